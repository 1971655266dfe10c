"""What the HDF5 files of this program share: written in one step, laid out by a table, read as paths and values."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import OutputError
from compress_mpi.io.atomic import replace_file, temporary_path
from compress_mpi.io.schema import Attribute, Dataset

__all__ = ["new_hdf5", "read_content", "text", "write_content"]

_Storage = Callable[[np.ndarray], Mapping[str, Any]]


@contextlib.contextmanager
def new_hdf5(path: Path) -> Iterator[Any]:
    """HDF5 file to fill, which takes its place when the block ends well; until then an old one stays.

    Raises
    ------
    OutputError
        If the file system refuses. The old file is then as it was.
    """
    import h5py

    temporary = temporary_path(path)
    try:
        with h5py.File(temporary, "w") as file:
            yield file
        replace_file(temporary, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_content(
    path: Path,
    datasets: Mapping[str, Any],
    attributes: Mapping[tuple[str, str], Any],
    dataset_of: Callable[[str], Dataset | None],
    storage: _Storage,
) -> None:
    """Write declared datasets, each with units and description, and attributes of groups.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    datasets : mapping of str to array or text
    attributes : mapping of (path, name) to number or text
    dataset_of : callable
        Declaration of a path, None if there is none.
    storage : callable
        Chunks and filters of an array; asked only where there can be any.

    Raises
    ------
    KeyError
        If a dataset is not declared.
    OutputError
        As `new_hdf5`.
    """
    with new_hdf5(path) as file:
        for name, value in datasets.items():
            _create(file, name, value, dataset_of(name), storage)
        for (where, name), value in attributes.items():
            file.require_group(where).attrs[name] = value


def _create(file: Any, path: str, value: Any, declared: Dataset | None, storage: _Storage) -> None:
    import h5py

    if declared is None:
        raise KeyError(f"the schema does not know {path}")
    if declared.dtype == "str":
        created = file.create_dataset(path, data=value, dtype=h5py.string_dtype())
    else:
        array = np.asarray(value, dtype=None if declared.dtype == "any" else declared.dtype)
        # a scalar, or nothing, cannot be chunked, hence not checksummed
        options = storage(array) if array.ndim and array.size else {}
        created = file.create_dataset(path, data=array, **options)
    created.attrs["units"] = declared.units
    created.attrs["description"] = declared.description


def read_content(
    file: Any, attribute_of: Callable[[str, str], Attribute | None]
) -> tuple[dict[str, Any], dict[tuple[str, str], Any]]:
    """All datasets of an open file by path, and its declared attributes by (path, name).

    Text comes as str, a list of texts as a list.
    """
    import h5py

    datasets: dict[str, Any] = {}
    attributes: dict[tuple[str, str], Any] = {}
    names = [""]
    file.visit(names.append)
    for found in names:
        path, item = f"/{found}", file[found or "/"]
        if isinstance(item, h5py.Dataset):
            datasets[path] = _read(item)
        for name, value in item.attrs.items():
            if attribute_of(path, name) is not None:
                attributes[path, name] = text(value) if isinstance(value, str | bytes) else value
    return datasets, attributes


def _read(item: Any) -> Any:
    import h5py

    if h5py.check_string_dtype(item.dtype) is None:
        return item[()]
    value = item.asstr()[()]
    return value if isinstance(value, str) else [str(v) for v in value]


def text(value: Any) -> str:
    """Text of an attribute, whether it was kept as str or as bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)
