"""The library that computes operators: found, imported, and its compiled code kept.

It compiles for minutes where its machine code is not cached (measured for eko 0.15.7: 4 to 15
minutes and up to 4 GB, depending on the machine and the order), so that the cache has to survive
changes of this program's own source, for each state of which numba has a folder of its own.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from compress_mpi.errors import LaunchError

__all__ = ["eko_module", "eko_version", "is_compiled"]

_PLACE = "NUMBA_CACHE_DIR"


def eko_version() -> str:
    """Version of eko.

    Raises
    ------
    LaunchError
        If it is not installed.
    """
    if importlib.util.find_spec("eko") is None:
        raise LaunchError(
            "evolution: the library eko is not installed; install it with "
            "'pip install \"compress-mpi[evolution]\"', or choose 'evolution: linear', which needs none"
        )
    return importlib.metadata.version("eko")


def eko_module(name: str) -> Any:
    """A module of eko, such as ``eko.runner.parts``.

    Raises
    ------
    LaunchError
        If eko is not installed.
    """
    version = eko_version()
    with _own_place(version):
        return importlib.import_module(name)


def is_compiled() -> bool:
    """Whether eko runs as machine code at all, which NUMBA_DISABLE_JIT turns off."""
    return not _numba_config().DISABLE_JIT


def _numba_config() -> Any:
    return importlib.import_module("numba.core.config")


@contextlib.contextmanager
def _own_place(version: str) -> Iterator[None]:
    """Let functions that are defined in the block be cached beside, not inside, this program's own folder."""
    given = os.environ.get(_PLACE, "")
    if not Path(given).name.startswith("numba-") or Path(given).parent.name != "compress-mpi":
        yield  # a place of the user's
        return
    config = _numba_config()
    before = config.CACHE_DIR
    config.CACHE_DIR = str(Path(given).with_name(f"eko-{version}-numba"))
    try:
        yield
    finally:
        config.CACHE_DIR = before
