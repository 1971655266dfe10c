"""Every command and Python block of README and manual does what it says."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from doc_blocks import (
    CHECK_ONLY,
    ROOT,
    Block,
    blocks_of,
    check_command,
    check_script,
    commands_of,
    is_run,
    run_block,
)

PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.rst"))]
MARKS = {
    "README.md": [pytest.mark.mpi],
    "hpc.rst": [pytest.mark.mpi],
    "tutorial.rst": [pytest.mark.mpi, pytest.mark.slow],
}
WITH_BLOCKS = [
    pytest.param(page, id=page.name, marks=MARKS.get(page.name, ())) for page in PAGES if blocks_of(page)
]
LANGUAGES = {"console", "bash", "yaml", "python", "text"}


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """As in an activated environment, with a cache of its own and no sets installed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LHAPDF", "NEOPDF"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}


def work_through(block: Block, folder: Path, environment: dict[str, str]) -> list[str]:
    """Do with one block what a reader would; returns what is wrong."""
    if block.language == "yaml" and block.file:
        (folder / block.file).write_text(block.text, encoding="utf-8")
        return []
    if block.language == "bash":
        return [f"{block.place}: {problem}" for problem in check_script(block.text)]
    if block.language == "python":
        done = subprocess.run(
            [sys.executable, "-c", block.text],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return [f"{block.place}: {done.stderr}"] if done.returncode else []
    if block.language == "console":
        checked_only = block.comment.startswith(CHECK_ONLY)
        looked_over = [c.line for c in commands_of(block) if checked_only or not is_run(c.line)]
        problems = [f"{block.place}: {line}: {p}" for line in looked_over for p in check_command(line)]
        return problems if checked_only else problems + run_block(block, folder, environment)
    return []


@pytest.mark.parametrize("page", WITH_BLOCKS)
def test_page_can_be_worked_through(page: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    blocks = blocks_of(page)
    assert {block.language for block in blocks} <= LANGUAGES
    # a page may show a card below the command that uses it
    blocks.sort(key=lambda block: block.language != "yaml")
    problems: list[str] = []
    for block in blocks:
        problems = work_through(block, tmp_path, environment)
        # what follows builds on this block
        assert not problems, "\n".join(problems)


def test_readme_and_tutorial_show_what_they_should() -> None:
    lines = {
        page.name: [c.line for b in blocks_of(page) if b.language == "console" for c in commands_of(b)]
        for page in PAGES
    }
    assert {"make run", "make test"} <= {line.split("  ")[0] for line in lines["README.md"]}
    assert any(line.startswith("mpirun") for line in lines["README.md"])
    assert sum(is_run(line) for line in lines["tutorial.rst"]) > 20


def test_what_the_readme_leaves_to_the_tutorial_is_run_there() -> None:
    """A command that takes long need not be run twice: the same, with the same output."""
    left = [b for b in blocks_of(ROOT / "README.md") if b.comment == f"{CHECK_ONLY}the tutorial runs it"]
    run = [b for b in blocks_of(ROOT / "docs/tutorial.rst") if not b.comment.startswith(CHECK_ONLY)]
    done = {(c.line, c.shown.strip()) for b in run if b.language == "console" for c in commands_of(b)}
    asked = {(c.line.split("  #")[0].strip(), c.shown.strip()) for b in left for c in commands_of(b)}
    assert asked
    assert asked <= done


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("make no-such-target", "no-such-target"),
        ("pip install '.[no-such-extra]'", "no-such-extra"),
        ("mpirun -n 2 compress-mpi card.yml --no-such-option", "no-such-option"),
        ("compress-mpi inspect", "FILE"),
        ("if true; then", "syntax error"),
    ],
)
def test_the_check_of_commands_that_are_not_run_finds_mistakes(command: str, complaint: str) -> None:
    assert complaint in "\n".join(check_command(command))


def test_a_wrong_output_and_a_failing_command_are_found(tmp_path: Path, environment: dict[str, str]) -> None:
    def problems(text: str) -> list[str]:
        return run_block(Block("here", "console", "", text, ""), tmp_path, environment)

    assert problems("$ echo one\none\n$ false\n$ echo $?\n1\n") == []
    assert "shown is" in problems("$ echo one\ntwo\n")[0]
    assert "exit status 1" in problems("$ false\n$ echo one\none\n")[0]


def test_links_of_the_readme_lead_somewhere() -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / "README.md").read_text())
    assert len(targets) >= 8
    assert [target for target in targets if not (ROOT / target).exists()] == []


@pytest.mark.mpi
@pytest.mark.parametrize(("page", "file"), [("README.md", "job.sh"), ("docs/hpc.rst", "requeue.sh")])
def test_batch_script_requeues_itself(
    page: str, file: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    script = next(block.text for block in blocks_of(ROOT / page) if block.file == file)
    # Slurm's part: ranks of the allocation, and a scontrol that notes what it is asked for
    (tmp_path / "job.sh").write_text(script.replace("\nmpirun ", "\nmpirun -n 2 "))
    (tmp_path / "runcard.yml").write_text("{pdf: demo, compressed: 30, max_iteration: 100000000}")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/scontrol").write_text('#!/bin/sh\necho "$@" > asked\n')
    (tmp_path / "bin/scontrol").chmod(0o755)
    path = f"{tmp_path / 'bin'}{os.pathsep}{environment['PATH']}"
    with (tmp_path / "log").open("w") as log:
        job = subprocess.Popen(
            ["bash", "job.sh"],
            cwd=tmp_path,
            env={**environment, "PATH": path, "SLURM_JOB_ID": "4711"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            result = tmp_path / "compress_demo_30.h5"
            deadline = time.monotonic() + 90
            while not result.exists() and job.poll() is None and time.monotonic() < deadline:
                time.sleep(0.1)
            assert result.exists(), (tmp_path / "log").read_text()
            job.send_signal(signal.SIGUSR1)
            assert job.wait(timeout=60) == 0, (tmp_path / "log").read_text()
        finally:
            if job.poll() is None:
                os.killpg(job.pid, signal.SIGKILL)
    assert (tmp_path / "asked").read_text() == "requeue 4711\n"
    assert "stopped (SIGUSR1)" in (tmp_path / "log").read_text()
