"""The generated reference pages hold all that the program knows."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
from doc_blocks import ROOT, check_command

from compress_mpi.cli import cli
from compress_mpi.errors import EXIT_CODES
from compress_mpi.io import schema_events, settings_events
from compress_mpi.io.runcard_keys import ALIASES, CANONICAL, GAN_KEYS
from compress_mpi.io.schema import ATTRIBUTES, DATASETS
from compress_mpi.types import ESTIMATORS


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference_tables", ROOT / "docs/_ext/reference_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_key_and_spelling_of_a_runcard_is_there(tables: ModuleType) -> None:
    listed = re.findall(r"^``(.*?)``$", tables.runcard_keys(), flags=re.MULTILINE)
    assert listed == list(CANONICAL)
    assert all(f"``{key}``" in tables.runcard_aliases() for key in [*ALIASES, *GAN_KEYS])
    assert all(f"``{name}``" in tables.estimators() for name in ESTIMATORS)


def test_every_name_of_a_result_file_is_there(tables: ModuleType) -> None:
    assert all(f"``{d.path}``" in tables.datasets() and d.description in tables.datasets() for d in DATASETS)
    assert all(f"``{a.name}``" in tables.attributes() for a in ATTRIBUTES)
    assert tables.attributes().count("\n   * - ") == len(ATTRIBUTES) + 1


def test_every_key_of_an_events_runcard_and_every_name_of_its_file_is_there(tables: ModuleType) -> None:
    listed = re.findall(r"^``(.*?)``$", tables.events_keys(), flags=re.MULTILINE)
    assert listed == list(settings_events.KEYS.canonical)
    text = (
        tables.events_datasets() + tables.events_attributes() + tables.events_parts() + tables.events_header()
    )
    declared = [
        *schema_events.DATASETS,
        *schema_events.ATTRIBUTES,
        *schema_events.PARTS,
        *schema_events.HEADER,
    ]
    assert all(one.description in text for one in declared)


def test_every_exit_code_is_there(tables: ModuleType) -> None:
    rows = re.findall(r"\* - (\d+)\n     - (.*)", tables.exit_codes())
    assert rows == [(str(code), meaning) for code, meaning in EXIT_CODES.items()]


def test_every_command_is_there_with_its_help(tables: ModuleType) -> None:
    text = tables.commands()
    for name, command in cli.commands.items():
        assert f"\ncompress-mpi {name}\n---" in text
        inner = getattr(command, "commands", {})
        assert all(f"\ncompress-mpi {name} {word}\n---" in text for word in inner)
        params = [p for one in (command, *inner.values()) for p in one.params]
        assert all(option in text for p in params for option in p.opts if option.startswith("--"))


def test_every_command_is_there_with_an_example_that_it_understands(tables: ModuleType) -> None:
    sections = re.split(r"^compress-mpi (\S+)\n-+\n", tables.commands(), flags=re.MULTILINE)
    by_name = dict(zip(sections[1::2], sections[2::2], strict=True))
    assert set(by_name) == {name for name, command in cli.commands.items() if not command.hidden}
    for name, text in by_name.items():
        examples = re.findall(r"Example:\n((?: +\S.*\n)+)", text)
        assert examples, f"{name} has no example"
        lines = [line.strip() for line in examples[0].splitlines()]
        assert any("compress-mpi" in line for line in lines)
        assert [problem for line in lines for problem in check_command(line)] == []


def test_pages_include_tables_that_exist_and_all_of_them(tables: ModuleType, tmp_path: Path) -> None:
    tables.write_tables(tmp_path)
    made = {path.name for path in tmp_path.iterdir()}
    pages = "\n".join(page.read_text() for page in ROOT.glob("docs/*.rst"))
    assert set(re.findall(r"include:: generated/(\S+)", pages)) == made


def test_tables_are_written_only_when_they_change(tables: ModuleType, tmp_path: Path) -> None:
    tables.write_tables(tmp_path)
    (tmp_path / "datasets.rst").write_text("stale")
    before = (tmp_path / "commands.rst").stat().st_mtime_ns
    tables.write_tables(tmp_path)
    assert (tmp_path / "commands.rst").stat().st_mtime_ns == before
    assert (tmp_path / "datasets.rst").read_text() == tables.datasets()
