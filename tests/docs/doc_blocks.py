"""Code blocks of README and manual: found, classified, and run as a reader would."""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CHECK_ONLY = "check only: "

_FENCE = re.compile(r"^```(\w+)[ \t]*(\S*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_MD_COMMENT = re.compile(r"<!-- (.*?) -->\s*\Z")
_RST_BLOCK = re.compile(
    r"^\.\. code-block:: (\w+)\n((?:[ ]+:\w+:.*\n)*)\n((?:(?:[ ]{3}.*)?\n)+)", re.MULTILINE
)
_RST_COMMENT = re.compile(r"^\.\. (?!code-block|_)([^\n]*)\n\s*\Z", re.MULTILINE)
# What prepares a machine, or needs another one than this.
_NOT_RUN = re.compile(
    r"(python3\S* -m venv|\. \S+/activate|pip|MPICC=\S+ pip|git|module|lhapdf|sbatch|srun|scancel)\b"
)
_MARK = "<<status of the command above: "


@dataclass(frozen=True)
class Block:
    """One code block: its language, file name or '', text, and the comment in front of it or ''."""

    place: str
    language: str
    file: str
    text: str
    comment: str


@dataclass(frozen=True)
class Command:
    """One command of a console block and the output that is shown below it."""

    line: str
    shown: str


def blocks_of(path: Path) -> list[Block]:
    """All code blocks of a Markdown or reStructuredText file, in order."""
    text = path.read_text(encoding="utf-8") + "\n"
    return list(_markdown(path, text) if path.suffix == ".md" else _rst(path, text))


def _markdown(path: Path, text: str) -> Iterator[Block]:
    for match in _FENCE.finditer(text):
        before = _MD_COMMENT.search(text[: match.start()])
        yield Block(_place(path, text, match), match[1], match[2], match[3], before[1] if before else "")


def _rst(path: Path, text: str) -> Iterator[Block]:
    for match in _RST_BLOCK.finditer(text):
        before = _RST_COMMENT.search(text[: match.start()])
        caption = re.search(r":caption: *(\S+)", match[2])
        body = re.sub(r"^ {3}", "", match[3], flags=re.MULTILINE).strip("\n") + "\n"
        file = caption[1] if caption else ""
        yield Block(_place(path, text, match), match[1], file, body, before[1] if before else "")


def _place(path: Path, text: str, match: re.Match[str]) -> str:
    return f"{path.name}:{text.count(chr(10), 0, match.start()) + 1}"


def commands_of(block: Block) -> list[Command]:
    """Commands of a console block: lines after a prompt, and what is shown until the next."""
    parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    if parts[0].strip():
        raise ValueError(f"{block.place}: a console block begins with '$ '")
    split = (part.partition("\n") for part in parts[1:])
    return [Command(line, shown) for line, _, shown in split]


def is_run(line: str) -> bool:
    """Whether a command is executed; the others are looked over by ``check_command``."""
    return not _NOT_RUN.match(line) and not line.startswith("make ")


def check_command(line: str) -> list[str]:
    """What is wrong with a command that is not executed."""
    problems = _shell_problems(line)
    words = shlex.split(line, comments=True)
    if words[0] == "make":
        done = subprocess.run(
            ["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False
        )
        problems += [done.stderr] if done.returncode else []
    extras = re.search(r"\.\[(.*?)\]", line)
    if extras is not None:
        known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        problems += [f"no extra '{extra}'" for extra in extras[1].split(",") if extra not in known]
    return problems + [p for part in _own_arguments(words) for p in _argument_problems(part)]


def check_script(text: str) -> list[str]:
    """What is wrong with a shell script that is not executed."""
    problems = _shell_problems(text)
    lines = (line.rstrip("& ") for line in text.splitlines() if not line.startswith("#"))
    words = [shlex.split(line, comments=True) for line in lines if "compress-mpi" in line]
    return problems + [p for line in words for part in _own_arguments(line) for p in _argument_problems(part)]


def _shell_problems(text: str) -> list[str]:
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    return [done.stderr] if done.returncode else []


def _own_arguments(words: list[str]) -> Iterator[list[str]]:
    if "compress-mpi" in words:
        rest = words[words.index("compress-mpi") + 1 :]
        ends = [i for i, word in enumerate(rest) if word in ("|", ">", "&", "&&", ";")]
        yield rest[: min(ends, default=len(rest))]


def _argument_problems(arguments: list[str]) -> list[str]:
    """Options and commands that ``compress-mpi`` does not know."""
    import click

    from compress_mpi.cli import cli

    name = arguments[0] if arguments[:1] and arguments[0] in cli.commands else "run"
    rest = arguments[1:] if arguments[:1] == [name] else arguments
    command: click.Command = cli.commands[name]
    while isinstance(command, click.Group) and rest[:1] and rest[0] in command.commands:
        command, name, rest = command.commands[rest[0]], rest[0], rest[1:]
    try:
        command.make_context(name, list(rest)).close()
    except click.ClickException as error:
        return [f"compress-mpi {' '.join(arguments)}: {error.format_message()}"]
    return []


def run_block(block: Block, folder: Path, environment: Mapping[str, str], timeout: float = 300) -> list[str]:
    """Execute the commands of a console block in one shell.

    Returns
    -------
    list of str
        What is wrong: a command that failed, an output that is not the one shown. A status other
        than 0 is right where the next command is ``echo $?``.
    """
    commands = [command for command in commands_of(block) if is_run(command.line)]
    script = "".join(
        f"{command.line}\ndoc_status=$?\nprintf '\\n{_MARK}%d>>\\n' $doc_status\n(exit $doc_status)\n"
        for command in commands
    )
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    parts = re.split(rf"\n{re.escape(_MARK)}(\d+)>>\n", done.stdout)
    outputs, statuses = parts[0::2], [int(status) for status in parts[1::2]]
    problems = [] if len(statuses) == len(commands) else [f"the shell ended early: {done.stderr}"]
    followers = [command.line for command in commands[1:]] + [""]
    for command, output, status, follower in zip(commands, outputs, statuses, followers, strict=False):
        if status and follower != "echo $?":
            problems.append(f"{command.line}: exit status {status}: {output}{done.stderr}")
        elif command.shown.strip() and not _alike(command.shown, output):
            problems.append(
                f"{command.line}: shown is\n{command.shown}but it printed\n{output}\n{done.stderr}"
            )
    return [f"{block.place}: {problem}" for problem in problems]


def _alike(shown: str, output: str) -> bool:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return doctest.OutputChecker().check_output(shown, output, flags)
