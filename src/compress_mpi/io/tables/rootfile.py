"""Event tables in ROOT files: the flat branches of a TTree, or the flat fields of an RNTuple."""

from __future__ import annotations

import contextlib
import lzma
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import TableError
from compress_mpi.io.tables.extras import need
from compress_mpi.io.tables.layout import not_empty, pick_one
from compress_mpi.io.tables.table import EventTable, Rows, TableColumn, chosen, supported

__all__ = ["RootTable", "check_root", "root_writer"]

_TREES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple")


class RootTable(EventTable):
    """An event table in a ROOT file.

    Parameters
    ----------
    path : Path
    columns : sequence of str, optional
        Names of branches with one number an event; others in the tree do not disturb then.
    inside : str, optional
        The tree, with its folders, where the file has several.

    Raises
    ------
    TableError
        If the file is damaged, a branch has arrays, or uproot is not installed.
    """

    def __init__(self, path: Path, columns: Sequence[str] | None = None, inside: str | None = None) -> None:
        uproot = need("uproot", path)
        self.path = path
        try:
            self._file = uproot.open(path)
        except _damage() as error:
            raise TableError(f"{path}: no ROOT file, or a damaged one: {_first_line(error)}") from error
        try:
            self._open(columns, inside)
        except TableError:
            self._file.close()
            raise
        except _damage() as error:
            self._file.close()
            raise self._damaged(error) from error

    def _open(self, columns: Sequence[str] | None, inside: str | None) -> None:
        kinds = self._file.classnames(recursive=True, cycle=False)
        trees = [name for name, kind in kinds.items() if kind in _TREES]
        asked = None if inside is None else inside.strip("/").partition(";")[0]
        found = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
        tree = self._file[pick_one(self.path, trees, asked, "trees", found)]
        self._branches = dict(_branches(tree))
        known = [(name, _dtype(branch)) for name, branch in self._branches.items()]
        self.columns, _ = chosen(self.path, known, columns)
        self.rows = not_empty(self.path, int(tree.num_entries), "the tree")

    def _damaged(self, error: Exception) -> TableError:
        return TableError(f"{self.path}: damaged: {_first_line(error)}; copy it again")

    def _read(self, start: int, stop: int) -> Rows:
        try:
            return {
                c.name: self._branches[c.name].array(entry_start=start, entry_stop=stop, library="np")
                for c in self.columns
            }
        except _damage() as error:
            raise self._damaged(error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._branches = {}
        self._file.close()


def _damage() -> tuple[type[Exception], ...]:
    """What uproot and its decompressors raise on bytes that make no sense."""
    import uproot

    plain = (OSError, ValueError, NotImplementedError)
    return (*plain, zlib.error, lzma.LZMAError, struct.error, uproot.DeserializationError)


def _branches(tree: Any) -> Iterator[tuple[str, Any]]:
    if not hasattr(tree, "branches"):
        yield from ((name, tree[name]) for name in tree.keys(recursive=False))
        return
    for branch in tree.itervalues(recursive=True):
        if not len(branch.branches):
            yield branch.name, branch


def _dtype(branch: Any) -> Any:
    """The dtype of a branch with one number an event; otherwise what it is, for the message."""
    if hasattr(branch, "interpretation"):
        kind = getattr(branch.interpretation, "to_dtype", None)
        return kind if supported(kind) is not None else f"branch of type {branch.typename}"
    # a field of an RNTuple: what an array without entries would hold
    kind = str(branch.array(entry_start=0, entry_stop=0).type.content)
    with contextlib.suppress(TypeError):
        return np.dtype(kind)
    return f"field of type {branch.typename}"


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def check_root(path: Path, columns: Sequence[TableColumn]) -> None:
    """Refuse columns that ROOT cannot hold.

    Raises
    ------
    TableError
        If uproot is not installed, or a column is float16.
    """
    need("uproot", path)
    for column in columns:
        if column.dtype == np.float16:
            raise TableError(f"{path}: column {column.name}: ROOT has no float16; write another format")


@contextlib.contextmanager
def root_writer(
    path: Path, columns: Sequence[TableColumn], inside: str | None
) -> Iterator[Callable[[Rows], None]]:
    """Write a TTree (``events`` by default), a basket of every branch for every block."""
    import uproot

    with uproot.recreate(path) as file:
        tree = file.mktree(inside or "events", {c.name: c.dtype for c in columns})
        yield tree.extend
