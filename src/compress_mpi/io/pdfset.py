"""LHAPDF sets: where they are, what they are, whether they suit.

Nothing here reads the values of a member; that is `read_members`.
"""

from __future__ import annotations

import difflib
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compress_mpi.errors import PDFSetError
from compress_mpi.io.infofile import read_info

__all__ = [
    "PDFSet",
    "open_set",
    "require_replicas",
    "search_paths",
]

_VARIABLES = ("LHAPDF_DATA_PATH", "LHAPDF_PATH", "NEOPDF_DATA_PATH")
_SHOWN = 10


@dataclass(frozen=True)
class PDFSet:
    """A set on disk.

    Attributes
    ----------
    name : str
        Also the name of its folder.
    path : Path
        Its folder.
    n_rep : int
        Monte Carlo replicas: members 1 to ``n_rep``. Member 0, the average, is not
        counted, nor are the alpha_s variations of an ``ErrorType: replicas+as``.
    flavours : tuple of int
        PDG codes; the gluon is 21.
    error_type : str
        As written, "unknown" where the key is missing.
    x_min, x_max, q_min, q_max : float
        The range the set claims; Q in GeV.
    info : dict
        Every key of the ``.info`` file.
    """

    name: str
    path: Path
    n_rep: int
    flavours: tuple[int, ...]
    error_type: str
    x_min: float
    x_max: float
    q_min: float
    q_max: float
    info: dict[str, Any] = field(repr=False)

    @property
    def info_path(self) -> Path:
        """The ``.info`` file."""
        return self.path / f"{self.name}.info"

    def member_path(self, member: int) -> Path:
        """File of one member; the number has at least four digits and may need more."""
        return self.path / f"{self.name}_{member:04d}.dat"


def search_paths(extra: Sequence[Path] = ()) -> list[Path]:
    """Folders in which sets are looked for, in order.

    Parameters
    ----------
    extra : sequence of Path
        Looked in first (``--pdf-path``).

    Returns
    -------
    list of Path
        Existing folders, each once: ``extra``, those of LHAPDF_DATA_PATH, LHAPDF_PATH and
        NEOPDF_DATA_PATH, what ``lhapdf-config --datadir`` prints, and ``share/LHAPDF``
        of the Python and conda environments.
    """
    return [path for path in _candidates(extra) if path.is_dir()]


def _candidates(extra: Sequence[Path]) -> list[Path]:
    listed = [item for name in _VARIABLES for item in os.environ.get(name, "").split(os.pathsep)]
    prefixes = [sys.prefix, os.environ.get("CONDA_PREFIX", "")]
    listed += [_lhapdf_config(), *(f"{prefix}/share/LHAPDF" for prefix in prefixes if prefix)]
    paths = [Path(item).expanduser() for item in extra] + [Path(i).expanduser() for i in listed if i.strip()]
    return list(dict.fromkeys(Path(os.path.abspath(path)) for path in paths))


def _lhapdf_config() -> str:
    program = shutil.which("lhapdf-config")
    if program is None:
        return ""
    try:
        done = subprocess.run([program, "--datadir"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def open_set(name: str, extra_paths: Sequence[Path] = ()) -> PDFSet:
    """Find a set and read what it says about itself.

    Parameters
    ----------
    name : str
        Name of the set, or path of its folder.
    extra_paths : sequence of Path
        Folders to look in first.

    Returns
    -------
    PDFSet

    Raises
    ------
    PDFSetError
        If it is not found, its ``.info`` file is missing, unreadable or lacks a key, or a
        member file is missing.
    """
    folder = _find(str(name).strip(), extra_paths)
    info_path = folder / f"{folder.name}.info"
    pdfset = _described(folder, info_path, read_info(info_path))
    _require_members(pdfset)
    return pdfset


def _find(name: str, extra_paths: Sequence[Path]) -> Path:
    if not name:
        raise PDFSetError("the name of the PDF set is empty; give a set's name or the path of its folder")
    direct = Path(os.path.abspath(Path(name).expanduser()))
    is_path = os.sep in name or name.startswith(("~", "."))
    paths = search_paths(extra_paths)
    folders = [direct] if is_path else [*(path / name for path in paths), direct]
    for folder in folders:
        if (folder / f"{folder.name}.info").is_file():
            return folder
    for folder in folders:
        if folder.is_dir() and (is_path or folder != direct):
            raise PDFSetError(f"{folder}: {folder.name}.info is missing there; install the set again")
    raise PDFSetError(_not_found(name, _candidates(extra_paths)))


def _not_found(name: str, candidates: list[Path]) -> str:
    found = {path: _sets_in(path) for path in candidates}
    alike = difflib.get_close_matches(name, [s for sets in found.values() for s in sets], n=1)
    hint = f"; did you mean {alike[0]}?" if alike else ""
    lines = [f"  {path}: {_listed(path, sets)}" for path, sets in found.items()]
    looked = "looked in:" if lines else "no folder to look in"
    install = (
        f"  install it with 'lhapdf install {Path(name).name}'" if os.sep not in name else "  check the path"
    )
    advice = f"{install}, or set LHAPDF_DATA_PATH or --pdf-path to the folder that holds it"
    return "\n".join([f"PDF set '{name}' not found{hint}; {looked}", *lines, advice])


def _sets_in(folder: Path) -> list[str]:
    try:
        entries = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    except OSError:
        return []
    return [entry for entry in entries if (folder / entry / f"{entry}.info").is_file()]


def _listed(folder: Path, sets: list[str]) -> str:
    if not folder.is_dir():
        return "no such folder"
    if not os.access(folder, os.R_OK | os.X_OK):
        return "cannot be read"
    return _capped(sets) if sets else "no sets"


def _capped(items: Sequence[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more


def _described(folder: Path, path: Path, info: dict[str, Any]) -> PDFSet:
    error_type = str(info.get("ErrorType") or "unknown")
    x_min, x_max, q_min, q_max = (_number(path, info, key) for key in ("XMin", "XMax", "QMin", "QMax"))
    # Each '+parameter' of an error type stands for two members after the replicas.
    n_rep = _count(path, info, "NumMembers") - 1 - 2 * error_type.count("+")
    flavours = _flavours(path, info)
    return PDFSet(folder.name, folder, n_rep, flavours, error_type, x_min, x_max, q_min, q_max, info)


def _value(path: Path, info: dict[str, Any], key: str) -> Any:
    if key not in info:
        raise PDFSetError(f"{path}: key '{key}' is missing; install the set again")
    return info[key]


def _number(path: Path, info: dict[str, Any], key: str) -> float:
    value = _value(path, info, key)
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise PDFSetError(f"{path}: {key}: expected a number, got {value!r}; install the set again")
    return float(value)


def _count(path: Path, info: dict[str, Any], key: str) -> int:
    value = _number(path, info, key)
    if value != int(value) or value < 1:
        raise PDFSetError(f"{path}: {key}: expected a positive whole number, got {value:g}")
    return int(value)


def _flavours(path: Path, info: dict[str, Any]) -> tuple[int, ...]:
    value = _value(path, info, "Flavors")
    listed = [item for item in value if item != ""] if isinstance(value, list) else [value]
    if not listed or not all(isinstance(item, int) for item in listed):
        raise PDFSetError(f"{path}: Flavors: expected a list of PDG codes, got {value!r}")
    return tuple(21 if item == 0 else item for item in listed)


def _require_members(pdfset: PDFSet) -> None:
    try:
        with os.scandir(pdfset.path) as entries:
            there = {entry.name: not entry.is_symlink() or os.path.exists(entry) for entry in entries}
    except OSError as error:
        raise PDFSetError(f"{pdfset.path}: cannot be read ({error.strerror})") from error
    total = int(pdfset.info["NumMembers"])
    names = (pdfset.member_path(member).name for member in range(total))
    missing = [name for name in names if not there.get(name)]
    if missing:
        listed = f"NumMembers is {total}, {len(missing)} missing: {_capped(missing)}"
        dangling = "links that lead nowhere: link the" if missing[0] in there else "install the"
        raise PDFSetError(f"{pdfset.path}: member files missing ({listed}); {dangling} set again")


def require_replicas(pdfset: PDFSet, wanted: int | None = None) -> None:
    """Refuse a set that is not Monte Carlo, or too small.

    Parameters
    ----------
    pdfset : PDFSet
    wanted : int, optional
        Size of the compressed set; the prior must have more replicas than that.

    Raises
    ------
    PDFSetError
        Otherwise.
    """
    where = pdfset.info_path
    if pdfset.error_type.lower().split("+")[0].strip() != "replicas":
        what = "only Monte Carlo sets can be compressed, so choose one or convert this one to replicas first"
        raise PDFSetError(f"{where}: ErrorType: expected 'replicas', got '{pdfset.error_type}'; {what}")
    least = 1 if wanted is None else wanted + 1
    if pdfset.n_rep < least:
        found = f"the set has {pdfset.n_rep} replicas (NumMembers: {pdfset.info.get('NumMembers')})"
        asked = f"at least {least} are needed" + (f" to select {wanted}" if wanted is not None else "")
        raise PDFSetError(f"{where}: {found}, {asked}; ask for fewer or take a larger set")
