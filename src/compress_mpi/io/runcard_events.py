"""Events runcards: from a YAML file and overrides, or from options, to a checked, frozen configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress_mpi.io.runcard_reading import KeyRow, configured, gather, jsonable, key_row, read_card
from compress_mpi.io.settings_events import KEYS, EventsConfig
from compress_mpi.io.values_events import BoundSetting

__all__ = [
    "RESUMABLE_KEYS",
    "EventsSource",
    "changed_settings",
    "complete_events",
    "describe_events",
    "load_events_runcard",
]

RESUMABLE_KEYS = frozenset(
    {"output", "name", "report", "sample", "time_limit", "checkpoint_interval", "training.device"}
)
"""Keys that do not touch the bytes of the compressed file."""


@dataclass(frozen=True)
class EventsSource:
    """An events runcard that was read and understood.

    Attributes
    ----------
    config : EventsConfig
    text : str
        The YAML as it stands in the file; empty where there is none.
    where : str
        File or command that it comes from.
    """

    config: EventsConfig
    text: str
    where: str


def load_events_runcard(path: Path | str, overrides: Sequence[str] = ()) -> EventsSource:
    """Read, complete and check a runcard.

    Parameters
    ----------
    path : Path or str
    overrides : sequence of str
        ``key=value`` each, value in YAML.

    Raises
    ------
    RuncardError
        If the file cannot be read or anything in it is wrong; one line for each problem.
    """
    text, content = read_card(Path(path))
    return EventsSource(complete_events(content, overrides, str(path)), text, str(path))


def complete_events(content: Any, overrides: Sequence[str] = (), where: str = "settings") -> EventsConfig:
    """Settings from what a runcard would hold, completed and checked.

    Raises
    ------
    RuncardError
        If anything is wrong; one line for each problem.
    """
    card = gather(content, where, overrides, KEYS)
    config: EventsConfig = configured(card, where, EventsConfig, card.fields())
    return config


def changed_settings(config: EventsConfig) -> dict[str, Any]:
    """What differs from the defaults and touches the bytes of the file, in canonical order; JSON-able."""
    found = {}
    for key, path in KEYS.canonical.items():
        value, default = _of(config, path), _default(path)
        if key not in RESUMABLE_KEYS and key not in ("task", "input") and value != default:
            found[key] = _plain(value)
    return found


def describe_events() -> list[KeyRow]:
    """All keys with type, default and meaning, in canonical order, taken from the models."""
    rows = [key_row(key, KEYS, EventsConfig) for key in KEYS.canonical]
    bound = EventsConfig.model_fields["bound"].default
    return [row._replace(default=json.dumps(_plain(bound))) if row.key == "bound" else row for row in rows]


def _of(config: Any, path: Sequence[str]) -> Any:
    for name in path:
        config = getattr(config, name)
    return config


def _default(path: Sequence[str]) -> Any:
    found = EventsConfig.model_fields[path[0]].default
    return found if len(path) == 1 else getattr(found, path[1])


def _plain(value: Any) -> Any:
    if isinstance(value, BoundSetting):
        return "lossless" if value.kind == "lossless" else {value.kind: value.value}
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return jsonable(value)
