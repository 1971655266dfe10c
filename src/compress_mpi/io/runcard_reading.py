"""What reading a runcard of any task has in common: text, keys, messages, the lines of the reference."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from compress_mpi.errors import RuncardError
from compress_mpi.io.runcard_keys import COMPRESS, Card, Keys
from compress_mpi.io.runcard_yaml import parse_yaml
from compress_mpi.io.values import SetEntry, show

__all__ = ["KeyRow", "configured", "gather", "jsonable", "key_row", "read_card", "task_in"]

_LARGEST_CARD = 1 << 20  # bytes; a result file given by mistake is not read to its end


class KeyRow(NamedTuple):
    """One line of the runcard reference."""

    key: str
    type: str
    default: str
    doc: str


def read_card(path: Path) -> tuple[str, Any]:
    """Text and content of a runcard.

    Raises
    ------
    RuncardError
        If the file cannot be read or is not YAML.
    """
    text = _read_text(path)
    return text, parse_yaml(text, str(path))


def task_in(content: Any, overrides: Sequence[str]) -> str:
    """Task that a runcard asks for, whatever else is right or wrong with it."""
    found = content.get("task") if isinstance(content, Mapping) else None
    for override in overrides:
        key, equals, value = override.partition("=")
        if equals and key.strip() == "task":
            found = value.strip()
    return found if isinstance(found, str) else "compress"


def gather(content: Any, where: str, overrides: Sequence[str], keys: Keys = COMPRESS) -> Card:
    """Settings of a card and of overrides, by key.

    Raises
    ------
    RuncardError
        If the content is no mapping or an override has not the form key=value.
    """
    if not isinstance(content, Mapping):
        found = "an empty file" if content is None else show(content)
        raise RuncardError(
            f"{where}: expected a mapping of keys such as '{_example(keys)}: NAME', got {found}"
        )
    card = Card(keys)
    card.read(content, where)
    for override in overrides:
        key, value = _split_override(override)
        card.override(key, value, "--set")
    return card


def _split_override(override: str) -> tuple[str, Any]:
    key, equals, value = override.partition("=")
    if not equals or not key.strip():
        raise RuncardError(f"--set {override}: expected key=value, such as minimization.seed=3")
    return key.strip(), parse_yaml(value, f"--set {override}")


def _example(keys: Keys) -> str:
    return "pdf" if "pdf" in keys.aliases else "input"


def configured(card: Card, where: str, model: type[BaseModel], fields: Mapping[str, Any]) -> Any:
    """The checked configuration of a card.

    Parameters
    ----------
    card : Card
    where : str
        Begins the lines about what nobody wrote.
    model : type
    fields : mapping
        Keyword arguments of the model.

    Raises
    ------
    RuncardError
        One line for each problem.
    """
    try:
        config = model(**fields)
    except ValidationError as error:
        # a union reports each of its parts
        problems = list(
            dict.fromkeys(
                line for details in error.errors() for line in _explain(card, details, where, model)
            )
        )
        raise RuncardError("\n".join(card.problems + problems)) from error
    if card.problems:
        raise RuncardError("\n".join(card.problems))
    return config


def _explain(card: Card, details: ErrorDetails, where: str, model: type[BaseModel]) -> Iterator[str]:
    setting = card.written(details["loc"], where)
    head = f"{setting.origin}: {setting.written}: "
    expects = _field_info(model, details["loc"]).json_schema_extra["expects"]
    if details["type"] == "value_error":
        yield from (head + line for line in str(details["ctx"]["error"]).splitlines())
    elif details["type"] == "missing":
        yield f"{head}missing; expected {expects}"
    else:
        yield f"{head}expected {expects}, got {show(details['input'])}"


def _field_info(model: type[BaseModel], path: Sequence[int | str]) -> Any:
    info = model.model_fields[str(path[0])]
    if len(path) > 1 and isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
        info = info.annotation.model_fields[str(path[1])]
    return info


def jsonable(value: Any) -> Any:
    """A setting as JSON has it."""
    if isinstance(value, SetEntry):
        return value._asdict()
    return [jsonable(item) for item in value] if isinstance(value, tuple) else value


def key_row(key: str, keys: Keys, model: type[BaseModel]) -> KeyRow:
    """Line of the reference of one key, taken from the model."""
    path = keys.canonical[key]
    info = _field_info(model, path)
    aliases = [f"``{alias}``" for alias, target in keys.aliases.items() if target == key]
    also = f" Also accepted as {' or '.join(aliases)} at the top level." if aliases else ""
    return KeyRow(key, info.json_schema_extra["expects"], _default(path, model), f"{info.description}{also}")


def _default(path: tuple[str, ...], model: type[BaseModel]) -> str:
    info = model.model_fields[path[0]]
    if info.is_required():
        return "required"
    value = info.default if len(path) == 1 else getattr(info.default, path[1])
    return value if isinstance(value, str) else json.dumps(value)


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            raw = stream.read(_LARGEST_CARD + 1)
    except FileNotFoundError as error:
        raise RuncardError(f"{path}: no such runcard; check the name and the current folder") from error
    except IsADirectoryError as error:
        raise RuncardError(f"{path}: is a folder; give a runcard file (YAML)") from error
    except OSError as error:
        raise RuncardError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(raw) > _LARGEST_CARD:
        raise RuncardError(f"{path}: larger than 1 MiB; expected a runcard, a short YAML text")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise RuncardError(
            f"{path}: line {line}: not UTF-8 text; expected a runcard in YAML, saved as UTF-8"
        ) from error
