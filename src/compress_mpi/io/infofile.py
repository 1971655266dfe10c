"""The ``.info`` file of an LHAPDF set: YAML in name, in practice a little less.

Published sets hold unquoted text with colons, keys given twice, lists that end in a
comma, and numbers such as ``1E+03`` or ``0101`` that YAML 1.1 takes for a string or
an octal. Scalars are therefore typed here, by Python's rules, and a text that is not
YAML at all is read line by line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress_mpi.errors import PDFSetError
from compress_mpi.io.gridfile import read_bytes

__all__ = ["parse_info", "read_info", "read_info_text", "updated_info"]

_INTEGER = re.compile(r"[+-]?\d+")
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_ENTRY = re.compile(r"""\s*["']?(?P<key>[A-Za-z]\w*)["']?\s*:(?:\s+(?P<value>.*))?$""")


def read_info_text(path: Path) -> str:
    """Text of an ``.info`` file.

    Raises
    ------
    PDFSetError
        If it cannot be read, is empty or is not text.
    """
    data = read_bytes(path)
    if b"\0" in data or not data.strip():
        found = "is empty" if not data.strip() else "is not a text file (holds zero bytes)"
        raise PDFSetError(f"{path}: {found}; install the set again")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def read_info(path: Path) -> dict[str, Any]:
    """Keys and values of an ``.info`` file.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict
        Values are int, float, str, or lists of them. Of a key given twice the last counts,
        as in LHAPDF.

    Raises
    ------
    PDFSetError
        If the file cannot be read or holds no key at all.
    """
    info = parse_info(read_info_text(path))
    if not info:
        raise PDFSetError(f"{path}: no 'Key: value' line found; install the set again")
    return info


def parse_info(text: str) -> dict[str, Any]:
    """Keys and values in the text of an ``.info`` file; see `read_info`."""
    import yaml

    # BaseLoader is as safe as safe_load and leaves every scalar a string.
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        content = yaml.load(text, Loader=loader)
    except (yaml.YAMLError, ValueError):
        content = None
    if not isinstance(content, dict):
        content = _parse_lines(text)
    return {str(key): _typed(value) for key, value in content.items()}


def _typed(value: Any) -> Any:
    if isinstance(value, list):
        return [_typed(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _typed(item) for key, item in value.items()}
    text = str(value).strip()
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _parse_lines(text: str) -> dict[str, Any]:
    entries: dict[str, str] = {}
    key = ""
    for line in text.splitlines():
        match = _ENTRY.match(line)
        if match and not _open_list(entries.get(key, "")):
            key = match["key"]
            entries[key] = (match["value"] or "").strip()
        elif key and not line.lstrip().startswith("#"):
            entries[key] = f"{entries[key]} {line.strip()}".strip()
    return {key: _unquoted(value) for key, value in entries.items()}


def _open_list(value: str) -> bool:
    return value.startswith("[") and "]" not in value


def _unquoted(value: str) -> str | list[str]:
    if value.startswith("["):
        items = value[1:].partition("]")[0].split(",")
        return [item.strip() for item in items if item.strip()]
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value.partition(" #")[0].strip()


def updated_info(text: str, changes: Mapping[str, str | int | None]) -> str:
    """The text with some keys changed, and everything else as it was.

    Parameters
    ----------
    text : str
        An ``.info`` file, whatever its spacing.
    changes : mapping of key to new value
        A key that stands in the text is replaced where it first stands, together with the
        lines its old value went on for, and dropped where it stands again; the others
        are put at the end. The new value None takes a key out.

    Returns
    -------
    str
    """
    left = {key: value for key, value in changes.items() if value is not None}
    kept: list[str] = []
    dropping = False
    for line in text.splitlines():
        match = _ENTRY.match(line) if line[:1] not in (" ", "\t", "#") else None
        if match is None:
            if not dropping or line.startswith("#"):
                kept.append(line)
            continue
        dropping = match["key"] in changes
        if not dropping:
            kept.append(line)
        elif match["key"] in left:
            kept.append(_entry(match["key"], left.pop(match["key"])))
    while kept and kept[-1].strip() in ("", "...", "---"):  # nothing may follow the end of a YAML document
        kept.pop()
    return "\n".join([*kept, *(_entry(key, value) for key, value in left.items()), ""])


def _entry(key: str, value: str | int) -> str:
    plain = isinstance(value, int) or re.fullmatch(r"[A-Za-z]\w*", value)
    shown = str(value) if plain else json.dumps(" ".join(str(value).split()), ensure_ascii=False)
    return f"{key}: {shown}"
