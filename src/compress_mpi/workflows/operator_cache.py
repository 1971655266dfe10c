"""Evolution operators kept on disk, under a name made of all that decides them.

``<digest>.tar`` is an operator of eko that any of its tools opens, ``<digest>.json`` says that it
is complete and what its bytes have to be. ``<digest>.parts`` holds what an unfinished
computation has done.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import OutputError
from compress_mpi.io.atomic import atomic_write, replace_file, sweep, temporary_path
from compress_mpi.methods.evolution.cards import Cards, Scale, digest, eko_cards
from compress_mpi.methods.evolution.library import eko_module, eko_version
from compress_mpi.types import FloatArray

__all__ = ["OperatorCache", "default_cache"]

_DIGEST_BYTES = 32


def default_cache() -> Path:
    """Folder of operators: ``compress-mpi/eko`` below XDG_CACHE_HOME or ``~/.cache``.

    Raises
    ------
    OutputError
        If there is no home folder.
    """
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        home = Path(given) if given and Path(given).is_absolute() else Path.home() / ".cache"
    except RuntimeError as error:
        raise OutputError("no home folder for evolution operators; choose a folder with --cache") from error
    return home / "compress-mpi" / "eko"


class OperatorCache:
    """One operator in the cache; used by the root rank only.

    Parameters
    ----------
    folder : Path
        Made if need be.
    cards : Cards

    Attributes
    ----------
    path : Path
        The finished operator.
    warnings : list of str
        What was found damaged, and is computed again.
    """

    def __init__(self, folder: Path, cards: Cards) -> None:
        self._cards = cards
        name = digest(cards, eko_version())
        self.path = Path(folder).expanduser().absolute() / f"{name}.tar"
        self._seal = self.path.with_suffix(".json")
        self._parts = self.path.with_suffix(".parts")
        self.warnings: list[str] = []

    def read(self) -> list[FloatArray] | None:
        """The operators in the order of the card's targets, or None where there are none to use.

        Returns
        -------
        list of float64 (14, nx, 14, nx)
            As eko has them.
        """
        if not (self.path.is_file() and self._seal.is_file()):
            return None
        try:
            expected = str(json.loads(self._seal.read_bytes())["sha256"])
            found = _sha256(self.path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._damaged(self.path, f"cannot be read ({error})")
            return None
        if found != expected:
            self._damaged(self.path, "its bytes are not those that were written")
            return None
        return self._opened()

    def _opened(self) -> list[FloatArray]:
        struct, items = eko_module("eko.io.struct"), eko_module("eko.io.items")
        with tempfile.TemporaryDirectory(prefix="compress-mpi-eko-") as scratch:
            opened = struct.EKO.read(self.path, dest=Path(scratch))
            points = eko_cards(self._cards)[1].evolgrid
            return [np.array(opened.operators[items.Target.from_ep(point)].operator) for point in points]

    def _damaged(self, path: Path, reason: str) -> None:
        self.warnings.append(f"{path}: {reason}; computed again")

    def write(self, operators: Iterable[tuple[Scale, Any]]) -> list[FloatArray]:
        """Store finished operators, then forget their parts.

        Parameters
        ----------
        operators : iterable of (Scale, operator of eko)
            In the order of the card's targets; one is in memory with its errors at a time.

        Returns
        -------
        list of float64 (14, nx, 14, nx)

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        with _named(self.path), tempfile.TemporaryDirectory(prefix="compress-mpi-eko-") as scratch:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            sweep(self.path)
            arrays = self._fill(Path(scratch) / "eko", operators)
            self._seal.unlink(missing_ok=True)
            self._archive(Path(scratch) / "eko")
        seal = {"sha256": _sha256(self.path), "eko": eko_version(), "targets": len(arrays)}
        atomic_write(self._seal, json.dumps(seal) + "\n")
        shutil.rmtree(self._parts, ignore_errors=True)
        return arrays

    def _fill(self, folder: Path, operators: Iterable[tuple[Scale, Any]]) -> list[FloatArray]:
        struct, items = eko_module("eko.io.struct"), eko_module("eko.io.items")
        archive = folder.with_suffix(".tar")  # asked for, never written: `_archive` does that
        access = eko_module("eko.io.access").AccessConfigs(archive, readonly=False, open=True)
        folder.mkdir()
        theory, operator = eko_cards(self._cards)
        # not EKO.create, which leaves a temporary folder behind where something fails
        content = struct.Builder(folder, access, theory, operator).build()
        arrays = []
        for point, (_, result) in zip(operator.evolgrid, operators, strict=True):
            target = items.Target.from_ep(point)
            content.operators[target] = result
            del content.operators[target]
            arrays.append(np.array(result.operator))
        return arrays

    def _archive(self, folder: Path) -> None:
        """All files of a folder, without dates and owners: the same operators make the same bytes."""
        temporary = temporary_path(self.path)
        try:
            with tarfile.open(temporary, "w") as tar:
                tar.add(folder, arcname=".", filter=_anonymous)
            replace_file(temporary, self.path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def read_part(self, name: str) -> bytes | None:
        """One part of an unfinished computation, or None where it has to be computed."""
        path = self._parts / name
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._damaged(path, f"cannot be read ({error.strerror})")
            return None
        content = data[_DIGEST_BYTES:]
        if hashlib.sha256(content).digest() != data[:_DIGEST_BYTES]:
            self._damaged(path, "its bytes are not those that were written")
            return None
        return content

    def write_part(self, name: str, content: bytes) -> None:
        """Keep one part.

        Raises
        ------
        OutputError
        """
        with _named(self._parts):
            self._parts.mkdir(parents=True, exist_ok=True)
        atomic_write(self._parts / name, hashlib.sha256(content).digest() + content)


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.mtime = entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.isdir() else 0o644
    return entry


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        reason = error.strerror or str(error)
        raise OutputError(
            f"{path}: cannot be written ({reason}); choose another folder with --cache"
        ) from error
