"""Calls the events commands in this process, as the program does, on small tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from companions_tools import Answer
from compress_mpi import cli as program
from compress_mpi.parallel.abort import run_guarded

__all__ = ["Events", "jets", "spoilt"]


class Events:
    """The command line in one folder."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path):
        monkeypatch.chdir(folder)
        self.capsys, self.folder = capsys, folder

    def __call__(self, *words: object) -> Answer:
        self.capsys.readouterr()
        code = run_guarded(lambda: program._main([str(word) for word in words]))
        said = self.capsys.readouterr()
        return Answer(code, said.out, said.err)

    def good(self, *words: object) -> str:
        answer = self(*words)
        assert answer.code == 0, answer.err
        return answer.out

    def compress(self, *words: object) -> str:
        """``events compress``, without a network unless asked for: training takes seconds."""
        model = [] if "--model" in words or "latent" in words else ["--model", "marginal"]
        return self.good("events", "compress", *words, *model, "-q")


def jets(rows: int = 700, seed: int = 3) -> np.ndarray:
    """Made-up jets with what no grid has: NaN and infinities; float32 (rows, 4)."""
    from compress_mpi.io.demo_events import demo_jets

    found = demo_jets(rows, np.random.default_rng(seed)).astype(np.float32)
    found[5, 0], found[6, 1], found[7, 2] = np.nan, np.inf, -0.0
    return found


def spoilt(path: Path, position: int) -> Path:
    """The file with one bit flipped; negative positions count from the end."""
    data = bytearray(path.read_bytes())
    data[position] ^= 16
    path.write_bytes(data)
    return path
