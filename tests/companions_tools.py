"""Calls the commands in this process, with messages and exit codes as the program gives them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from cli_tools import BAD, compress, write_runcard
from compress_mpi import cli as program

__all__ = ["Answer", "Program", "make_results"]


@dataclass
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str


class Program:
    """The command line on the small sets, in one folder."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path):
        monkeypatch.setenv("LHAPDF_DATA_PATH", str(BAD / "sets"))
        monkeypatch.chdir(folder)
        self.capsys, self.folder = capsys, folder

    def __call__(self, *words: object) -> Answer:
        self.capsys.readouterr()
        code = program._main([str(word) for word in words])
        said = self.capsys.readouterr()
        return Answer(code, said.out, said.err)

    def good(self, *words: object) -> str:
        answer = self(*words)
        assert answer.code == 0, answer.err
        return answer.out


def make_results(folder: Path) -> Path:
    """Three results of the tiny set: N = 4 and 5 with one seed, N = 4 with another in ``other``."""
    write_runcard(folder, compressed=[4, 5])
    for extra in ([], ["--set", "compressed=4", "--set", "seed=6", "--set", "output=other"]):
        result = compress(["runcard.yml", "-q", *extra], folder)
        assert result.returncode == 0, result.stderr
    write_runcard(folder)
    return folder
