"""Libraries that only some formats need."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from compress_mpi.errors import TableError

__all__ = ["need"]


def need(module: str, path: Path) -> Any:
    """An optional module.

    Parameters
    ----------
    module : str
    path : Path
        The file it is for.

    Raises
    ------
    TableError
        If it is not installed, with the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        library = module.partition(".")[0]
        raise TableError(
            f"{path}: {library} is not installed, which {path.suffix} files need;"
            " pip install 'compress-mpi[events]' brings it"
        ) from error
