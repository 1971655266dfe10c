"""The spellings of a runcard key, brought to one canonical form.

Three forms are in use: the nested one of pyCompressor (``minimization: {seed}``),
its published runcards (``minimizer`` at the top), and the flat one of its manual,
where GAN settings stand at the top too. :class:`Card` takes any mixture, and
overrides, and remembers for each setting how and where it was written, so that
messages use the user's own words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from compress_mpi.io.values import nearest, show

__all__ = ["ALIASES", "CANONICAL", "GAN_KEYS", "Card", "Keys", "Setting"]

CANONICAL: dict[str, tuple[str, ...]] = {
    "task": ("task",),
    "pdfsetting.pdf": ("pdf",),
    "pdfsetting.existing_enhanced": ("existing_enhanced",),
    "pdfsetting.combined_name": ("combined_name",),
    "compressed": ("compressed",),
    "minimization.minimizer": ("minimizer",),
    "minimization.max_iteration": ("max_iteration",),
    "minimization.max_evaluations": ("max_evaluations",),
    "minimization.max_seconds": ("max_seconds",),
    "minimization.stagnation": ("stagnation",),
    "minimization.descent": ("descent",),
    "minimization.seed": ("seed",),
    "portfolio.tempering": ("portfolio", "tempering"),
    "portfolio.exchange": ("portfolio", "exchange"),
    "portfolio.genetic": ("portfolio", "genetic"),
    "portfolio.cma": ("portfolio", "cma"),
    "est_dic.corr_estimators": ("estimators", "corr_estimators"),
    "est_dic.stat_estimators": ("estimators", "stat_estimators"),
    "est_dic.moment_estimators": ("estimators", "moment_estimators"),
    "gans.enhance": ("gans", "enhance"),
    "gans.runcard": ("gans", "runcard"),
    "gans.total_replicas": ("gans", "total_replicas"),
    "generator.kind": ("generator", "kind"),
    "generator.variance": ("generator", "variance"),
    "generator.spread": ("generator", "spread"),
    "generator.bandwidth": ("generator", "bandwidth"),
    "generator.components": ("generator", "components"),
    "generator.epochs": ("generator", "epochs"),
    "generator.device": ("generator", "device"),
    "evolution": ("evolution",),
    "polish.radius": ("polish", "radius"),
    "polish.steps": ("polish", "steps"),
    "polish.candidates": ("polish", "candidates"),
    "launch.where": ("launch", "where"),
    "launch.gpus": ("launch", "gpus"),
    "launch.cores": ("launch", "cores"),
    "launch.partition": ("launch", "partition"),
    "launch.account": ("launch", "account"),
    "launch.time": ("launch", "time"),
    "launch.modules": ("launch", "modules"),
    "launch.environment": ("launch", "environment"),
    "launch.options": ("launch", "options"),
    "auto.factor": ("auto", "factor"),
    "auto.random_size": ("auto", "random_size"),
    "auto.tolerance": ("auto", "tolerance"),
    "auto.smallest": ("auto", "smallest"),
    "auto.largest": ("auto", "largest"),
    "q0": ("q0",),
    "nf": ("nf",),
    "xgrid": ("xgrid",),
    "definition": ("definition",),
    "trials": ("trials",),
    "islands": ("islands",),
    "time_limit": ("time_limit",),
    "checkpoint_interval": ("checkpoint_interval",),
    "output": ("output",),
    "backend": ("backend",),
}
"""Canonical key -> path of its field in ``CompressConfig``, in canonical order."""

ALIASES: dict[str, str] = {
    "pdf": "pdfsetting.pdf",
    "existing_enhanced": "pdfsetting.existing_enhanced",
    "combined_name": "pdfsetting.combined_name",
    "minimizer": "minimization.minimizer",
    "max_iteration": "minimization.max_iteration",
    "max_evaluations": "minimization.max_evaluations",
    "max_seconds": "minimization.max_seconds",
    "stagnation": "minimization.stagnation",
    "descent": "minimization.descent",
    "seed": "minimization.seed",
    "enhance": "gans.enhance",
    "nbgen": "gans.total_replicas",
}
"""Top-level spelling -> canonical key."""

SHORT: dict[str, str] = {"generator": "kind"}
"""Section -> the key that a single word in its place stands for."""

GAN_KEYS: tuple[str, ...] = (
    *("q", "x_grid", "architecture", "g_nodes", "d_nodes", "g_act", "d_act", "d_opt", "gan_opt"),
    *("epochs", "batch_size", "nd_steps", "ng_steps"),
)
"""GAN settings of pyCompressor's manual, accepted at the top level, without effect here."""


class Keys:
    """The keys that runcards of a task may have.

    Parameters
    ----------
    canonical : mapping
        Canonical key -> path of its field in the configuration, in canonical order.
    aliases : mapping
        Top-level spelling -> canonical key.
    short : mapping
        Section -> the key that a single word in its place stands for.
    ignored : tuple of str
        Keys that are accepted at the top level, without effect.
    open : tuple of str
        Keys whose value is a mapping with names of the user's own; an override may set one of them.

    Attributes
    ----------
    sections : dict of list of str
        Names of the keys of each section.
    """

    def __init__(
        self,
        canonical: Mapping[str, tuple[str, ...]],
        aliases: Mapping[str, str],
        short: Mapping[str, str],
        ignored: tuple[str, ...] = (),
        open: tuple[str, ...] = (),
    ) -> None:
        self.canonical, self.aliases, self.short = canonical, aliases, short
        self.ignored, self.open = ignored, open
        self.sections: dict[str, list[str]] = {}
        for section, dot, name in (key.partition(".") for key in canonical):
            if dot:
                self.sections.setdefault(section, []).append(name)

    @property
    def top_level(self) -> list[str]:
        """Everything that may stand at the top level."""
        plain = [key for key in self.canonical if "." not in key]
        return [*plain, *self.sections, *self.aliases, *self.ignored]


COMPRESS = Keys(CANONICAL, ALIASES, SHORT, GAN_KEYS)
"""Of the tasks ``compress`` and ``enhance``."""


class Setting(NamedTuple):
    """One value as it was written."""

    written: str
    """Key in the spelling of the user."""
    value: Any
    origin: str
    """File or option it comes from."""


@dataclass
class Card:
    """Settings of one runcard, gathered from its file and from overrides."""

    keys: Keys = field(default_factory=lambda: COMPRESS)
    """Those it may have."""
    settings: dict[str, list[Setting]] = field(default_factory=dict)
    """Canonical key -> every place that gives it."""
    sections: dict[str, Setting] = field(default_factory=dict)
    """Sections that are present, even empty ones."""
    ignored: list[str] = field(default_factory=list)
    """GAN settings found at the top level."""
    problems: list[str] = field(default_factory=list)
    """Lines for the error message."""

    def read(self, content: Mapping[Any, Any], origin: str) -> None:
        """Take all keys of a file, noting unknown ones as problems."""
        for key, value in content.items():
            self._take(str(key), value, origin)

    def override(self, dotted: str, value: Any, origin: str) -> None:
        """Set one key, or a whole section, in place of whatever the file says in any spelling."""
        section, _, name = dotted.partition(".")
        if name and section in self.keys.open:
            dotted, value = section, self._with(section, name, value)
        for inner in self.keys.sections.get(dotted, ()):
            self.settings.pop(f"{dotted}.{inner}", None)
        self.settings.pop(self.keys.aliases.get(dotted, dotted), None)
        if name and section in self.keys.sections:
            self._take(section, {name: value}, origin)
        else:
            self._take(dotted, value, origin)

    def fields(self) -> dict[str, Any]:
        """Keyword arguments for the configuration; notes settings given twice with different values."""
        fields: dict[str, Any] = {"estimators": {}} if "est_dic" in self.sections else {}
        for key, given in self.settings.items():
            self._note_conflict(given)
            path = self.keys.canonical[key]
            place = fields if len(path) == 1 else fields.setdefault(path[0], {})
            place[path[-1]] = given[0].value
        return fields

    def written(self, path: tuple[Any, ...], origin: str) -> Setting:
        """The setting behind a field of the configuration, in the spelling of the user.

        ``origin`` is used for what nobody wrote, such as a missing key.
        """
        for key, field_path in self.keys.canonical.items():
            if path[: len(field_path)] == field_path:
                short = next((alias for alias, target in self.keys.aliases.items() if target == key), key)
                return self.settings.get(key, [Setting(short, None, origin)])[0]
        section = "est_dic" if path[:1] == ("estimators",) else ".".join(map(str, path))
        return self.sections.get(section, Setting(section, None, origin))

    def _with(self, key: str, name: str, value: Any) -> Any:
        given = self.settings.get(key)
        before = given[0].value if given else {}
        # what is no mapping stands for all names together
        return {**(before if isinstance(before, Mapping) else {"default": before}), name: value}

    def _take(self, key: str, value: Any, origin: str) -> None:
        if key in self.keys.sections:
            self._take_section(key, value, origin)
        elif key in self.keys.ignored:
            self.ignored.append(key)
        elif key in self.keys.aliases or key in self.keys.canonical:
            setting = Setting(key, value, origin)
            self.settings.setdefault(self.keys.aliases.get(key, key), []).append(setting)
        else:
            self._unknown(key, key, self.keys.top_level, "", origin)

    def _take_section(self, section: str, value: Any, origin: str) -> None:
        known = self.keys.sections[section]
        short = self.keys.short.get(section)
        if short is not None and isinstance(value, str):
            value = {short: value}
        if not isinstance(value, Mapping | None):
            self._note(origin, section, f"expected a mapping with {', '.join(known)}, got {show(value)}")
            return
        self.sections[section] = Setting(section, value, origin)
        for name, inner in (value or {}).items():
            key = f"{section}.{name}"
            if name in known:
                self.settings.setdefault(key, []).append(Setting(key, inner, origin))
            else:
                self._unknown(key, str(name), known, section, origin)

    def _unknown(self, key: str, name: str, known: list[str], section: str, origin: str) -> None:
        elsewhere = {canonical.split(".")[-1]: canonical for canonical in self.keys.canonical}
        close = elsewhere.get(name.rpartition(".")[2]) or nearest(name, known)
        if close is None:
            where = f" in {section}" if section else ""
            hint = f"known{where}: {', '.join(key for key in known if key not in self.keys.ignored)}"
        else:
            hint = f"did you mean '{close}'?"
        self._note(origin, key, f"unknown key; {hint}")

    def _note_conflict(self, given: list[Setting]) -> None:
        first = given[0]
        for other in given[1:]:
            if (type(other.value), other.value) != (type(first.value), first.value):
                values = f"{show(first.value)} here and {show(other.value)} as {other.written}"
                self._note(first.origin, first.written, f"given twice, {values}; keep one")

    def _note(self, origin: str, key: str, problem: str) -> None:
        self.problems.append(f"{origin}: {key if key.isprintable() else ascii(key)}: {problem}")
