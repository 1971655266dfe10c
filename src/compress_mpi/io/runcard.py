"""Runcards: from a YAML file and overrides to a checked, frozen configuration.

Use :func:`load_runcard` to read one, :func:`differences` to compare the
normalised content of two, :func:`describe` for the reference of all keys.
Existing pyCompressor runcards load unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from compress_mpi.errors import RuncardError
from compress_mpi.io.runcard_keys import ALIASES, CANONICAL, Card
from compress_mpi.io.runcard_yaml import parse_yaml
from compress_mpi.io.settings import (
    PUBLISHED_ESTIMATORS,
    CompressConfig,
    Estimators,
    Gans,
    Generator,
    Launch,
    Polish,
)
from compress_mpi.io.values import SetEntry, show

__all__ = [
    "PUBLISHED_ESTIMATORS",
    "RESUMABLE_KEYS",
    "CompressConfig",
    "Estimators",
    "Gans",
    "Generator",
    "KeyRow",
    "Launch",
    "Polish",
    "RuncardSource",
    "describe",
    "differences",
    "load_runcard",
    "without_enhancement",
]

RESUMABLE_KEYS = frozenset({"time_limit", "checkpoint_interval", "output", "launch", "polish"})
"""Keys and sections that may change between a run and its continuation: they do not touch the answer."""

_ONLY_IF_GIVEN = frozenset({"pdfsetting.combined_name"})
"""Keys that most runs have no use for: results of earlier releases do not know them either."""

_ONLY_IF: dict[str, Callable[[CompressConfig], bool]] = {
    "generator": lambda config: config.gans.enhance,
    "evolution": lambda config: config.gans.enhance,
    "launch": lambda config: config.gans.enhance,
    "polish": lambda config: config.polish.radius is not None,
}
"""Sections that say something only in some runs."""

_OTHER_TASKS = ("events", "scan", "fit", "simulate", "infer")
_LARGEST_CARD = 1 << 20  # bytes; a result file given by mistake is not read to its end


@dataclass(frozen=True)
class RuncardSource:
    """A runcard that was read and understood."""

    config: CompressConfig
    text: str
    """The YAML as it stands in the file."""
    path: Path
    effective: dict[str, Any]
    """Everything that holds, defaults and overrides included, in canonical form; JSON-able."""
    warnings: tuple[str, ...] = ()
    """What a person should know, such as keys without effect."""
    overrides: tuple[str, ...] = ()


class KeyRow(NamedTuple):
    """One line of the runcard reference."""

    key: str
    type: str
    default: str
    doc: str


def load_runcard(path: Path | str, overrides: Sequence[str] = ()) -> RuncardSource:
    """Read, complete and check a runcard.

    Parameters
    ----------
    path : Path or str
        A YAML file, UTF-8, in any of the accepted forms.
    overrides : sequence of str
        ``key=value`` each, value in YAML; they replace the file's setting whichever way it is spelled.

    Returns
    -------
    RuncardSource

    Raises
    ------
    RuncardError
        If the file cannot be read or anything in it is wrong; one line for each problem.
    """
    path = Path(path)
    text = _read_text(path)
    card = _gather(parse_yaml(text, str(path)), str(path), overrides)
    config = _validate(card, str(path))
    return RuncardSource(
        config, text, path, effective(config), _warnings(card, path, config), tuple(overrides)
    )


def complete(
    content: Mapping[str, Any], overrides: Sequence[str] = (), where: str = "settings"
) -> CompressConfig:
    """Settings from a mapping in any of the accepted forms, completed and checked.

    Parameters
    ----------
    content : mapping
        What a runcard would hold, or what :func:`effective` gave.
    overrides : sequence of str
        As for :func:`load_runcard`.
    where : str
        Begins every line of the message.

    Raises
    ------
    RuncardError
        If anything is wrong; one line for each problem.
    """
    return _validate(_gather(content, where, overrides), where)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What changed between two ``effective`` contents, one line per key.

    ``RESUMABLE_KEYS``, keys or sections, are left out.

    Parameters
    ----------
    old, new : mapping
        ``RuncardSource.effective``, or what JSON gives back of it.

    Returns
    -------
    list of str
        Such as ``minimization.seed: 3 in the file, 4 now``; empty where nothing that matters changed.
    """
    before, now = dict(_flat(old)), dict(_flat(new))
    keys = [key for key in {**before, **now} if not {key, key.partition(".")[0]} & RESUMABLE_KEYS]
    return [
        f"{key}: {_shown(before, key)} in the file, {_shown(now, key)} now"
        for key in keys
        if key not in before or key not in now or before[key] != now[key]
    ]


def describe() -> list[KeyRow]:
    """All keys with type, default and meaning, in canonical order, taken from the models."""
    return [_row(key, field_path) for key, field_path in CANONICAL.items()]


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


def _gather(content: Any, where: str, overrides: Sequence[str]) -> Card:
    if not isinstance(content, Mapping):
        found = "an empty file" if content is None else show(content)
        raise RuncardError(f"{where}: expected a mapping of keys such as 'pdf: NAME', got {found}")
    card = Card()
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


def _validate(card: Card, where: str) -> CompressConfig:
    fields = card.fields()
    task = fields.get("task")
    if task in _OTHER_TASKS:
        # Its own keys would only be a list of unknown ones.
        origin = card.written(("task",), where).origin
        raise RuncardError(f"{origin}: task: this release runs 'compress' and 'enhance', not '{task}'")
    if task == "enhance":
        # no size is selected, and a card that asks for the task asks for the enhancement
        fields.setdefault("compressed", 2)
        fields["gans"] = {**fields.get("gans", {}), "enhance": True}
    try:
        config = CompressConfig(**fields)
    except ValidationError as error:
        # a union reports each of its parts
        problems = list(
            dict.fromkeys(line for details in error.errors() for line in _explain(card, details, where))
        )
        raise RuncardError("\n".join(card.problems + problems)) from error
    if card.problems:
        raise RuncardError("\n".join(card.problems))
    return config


def _explain(card: Card, details: ErrorDetails, where: str) -> Iterator[str]:
    setting = card.written(details["loc"], where)
    head = f"{setting.origin}: {setting.written}: "
    expects = _field_info(details["loc"]).json_schema_extra["expects"]
    if details["type"] == "value_error":
        yield from (head + line for line in str(details["ctx"]["error"]).splitlines())
    elif details["type"] == "missing":
        yield f"{head}missing; expected {expects}"
    else:
        yield f"{head}expected {expects}, got {show(details['input'])}"


def _field_info(path: Sequence[int | str]) -> Any:
    model: type[BaseModel] = CompressConfig
    info = model.model_fields[str(path[0])]
    if len(path) > 1 and isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
        info = info.annotation.model_fields[str(path[1])]
    return info


def effective(config: CompressConfig) -> dict[str, Any]:
    """Every setting in canonical form, defaults included; JSON-able."""
    content: dict[str, Any] = {}
    for key, path in CANONICAL.items():
        value: Any = config
        for name in path:
            value = getattr(value, name)
        if value is None and key in _ONLY_IF_GIVEN:
            continue
        if not _ONLY_IF.get(path[0], lambda _: True)(config):
            continue
        section, _, name = key.rpartition(".")
        place = content.setdefault(section, {}) if section else content
        place[name] = _jsonable(value)
    return content


def without_enhancement(source: RuncardSource) -> RuncardSource:
    """The same runcard for the prior alone: what its first phase does, and what a run without enhancement did."""
    plain = {name: type(getattr(source.config, name))() for name in ("gans", "generator", "polish", "launch")}
    config = source.config.model_copy(update={**plain, "existing_enhanced": False, "evolution": "linear"})
    return replace(source, config=config, effective=effective(config))


def _jsonable(value: Any) -> Any:
    if isinstance(value, SetEntry):
        return value._asdict()
    return [_jsonable(item) for item in value] if isinstance(value, tuple) else value


def _warnings(card: Card, path: Path, config: CompressConfig) -> tuple[str, ...]:
    if not card.ignored:
        return ()
    keys = ", ".join(dict.fromkeys(card.ignored))
    if config.gans.enhance:
        return (f"{path}: {keys}: without effect here; a network takes its settings from gans.runcard",)
    hint = (
        " (scale and nodes of the compression are q0 and xgrid)" if {"q", "x_grid"} & {*card.ignored} else ""
    )
    return (f"{path}: {keys}: GAN settings, without effect while enhancement is off{hint}",)


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _shown(content: Mapping[str, Any], key: str) -> str:
    return show(content[key]) if key in content else "absent"


def _row(key: str, path: tuple[str, ...]) -> KeyRow:
    info = _field_info(path)
    aliases = [f"``{alias}``" for alias, target in ALIASES.items() if target == key]
    also = f" Also accepted as {' or '.join(aliases)} at the top level." if aliases else ""
    return KeyRow(key, info.json_schema_extra["expects"], _default(path), f"{info.description}{also}")


def _default(path: tuple[str, ...]) -> str:
    info = CompressConfig.model_fields[path[0]]
    if info.is_required():
        return "required"
    value = info.default if len(path) == 1 else getattr(info.default, path[1])
    return value if isinstance(value, str) else json.dumps(value)
