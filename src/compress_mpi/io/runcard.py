"""Runcards: from a YAML file and overrides to a checked, frozen configuration.

Use :func:`load_runcard` to read one, :func:`differences` to compare the
normalised content of two, :func:`describe` for the reference of all keys.
Existing pyCompressor runcards load unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compress_mpi.errors import RuncardError
from compress_mpi.io.runcard_keys import CANONICAL, COMPRESS, Card
from compress_mpi.io.runcard_reading import KeyRow, configured, gather, jsonable, key_row, read_card, task_in
from compress_mpi.io.settings import (
    PUBLISHED_ESTIMATORS,
    CompressConfig,
    Estimators,
    Gans,
    Generator,
    Launch,
    Polish,
)
from compress_mpi.io.values import show

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
    "task_of",
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

_OTHER_TASKS = ("scan", "fit", "simulate", "infer")


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
    text, content = read_card(path)
    card = gather(content, str(path), overrides)
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
    return _validate(gather(content, where, overrides), where)


def task_of(path: Path | str, overrides: Sequence[str] = ()) -> str:
    """Task that a runcard asks for, whatever else is right or wrong with it.

    Raises
    ------
    RuncardError
        If the file cannot be read or is not YAML.
    """
    return task_in(read_card(Path(path))[1], overrides)


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
    return [key_row(key, COMPRESS, CompressConfig) for key in CANONICAL]


def _validate(card: Card, where: str) -> CompressConfig:
    fields = card.fields()
    task = fields.get("task")
    origin = card.written(("task",), where).origin
    if task == "events":
        raise RuncardError(
            f"{origin}: task: events is not for this command; run the card with 'compress-mpi RUNCARD',"
            " or see 'compress-mpi events --help'"
        )
    if task in _OTHER_TASKS:
        # Its own keys would only be a list of unknown ones.
        raise RuncardError(
            f"{origin}: task: this release runs 'compress', 'enhance' and 'events', not '{task}'"
        )
    if task == "enhance":
        # no size is selected, and a card that asks for the task asks for the enhancement
        fields.setdefault("compressed", 2)
        fields["gans"] = {**fields.get("gans", {}), "enhance": True}
    config: CompressConfig = configured(card, where, CompressConfig, fields)
    return config


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
        place[name] = jsonable(value)
    return content


def without_enhancement(source: RuncardSource) -> RuncardSource:
    """The same runcard for the prior alone: what its first phase does, and what a run without enhancement did."""
    plain = {name: type(getattr(source.config, name))() for name in ("gans", "generator", "polish", "launch")}
    config = source.config.model_copy(update={**plain, "existing_enhanced": False, "evolution": "linear"})
    return replace(source, config=config, effective=effective(config))


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
