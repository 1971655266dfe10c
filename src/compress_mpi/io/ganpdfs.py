"""Runcards of ganpdfs, the published program: read, checked, and brought to the settings of the GAN here.

Early cards, with all keys at the top level, and late ones, with sections, both load. Keys
without meaning here are accepted with a warning that says why; unknown ones are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from compress_mpi.errors import RuncardError
from compress_mpi.io.gancard_keys import FLAT, IDLE, GanCard, Optimizer
from compress_mpi.io.runcard_yaml import parse_yaml
from compress_mpi.io.values import nearest, show

__all__ = ["SAVED_MODEL", "GanSource", "load_gan_card"]

SAVED_MODEL = "pre-trained-model.h5"
"""Where ``use_saved_model: true`` looks, beside the card."""

_LARGEST_CARD = 1 << 20  # bytes
_SECTIONS = ("gan_parameters", "gen_parameters", "disc_parameters")
_RATES = {"generator_optimizer": 5e-4, "critic_optimizer": 1e-3}  # where a card names none
_NODES = {"dnn": (128, 250), "dcnn": (32, 32)}  # of generator and critic, where a card names none
_LATENTS = {"custom": "replicas", "standard": "normal", None: "replicas"}


@dataclass(frozen=True)
class GanSource:
    """A runcard of ganpdfs that was read and understood."""

    card: GanCard
    path: Path
    text: str
    """The YAML as it stands in the file."""
    warnings: tuple[str, ...]
    """One line for every key without effect."""

    @property
    def saved_model(self) -> Path | None:
        """File of the model to use; None: train one."""
        wanted = self.card.use_saved_model
        if wanted is False:
            return None
        return self.path.absolute().parent / (SAVED_MODEL if wanted is True else wanted)

    @property
    def settings(self) -> dict[str, Any]:
        """What ``GanSettings.of`` takes; JSON-able."""
        card, maker, critic = self.card, self.card.gen_parameters, self.card.disc_parameters
        nodes, first = _NODES[card.architecture]
        nodes, first = maker.number_nodes or nodes, critic.number_nodes or first
        return {
            "architecture": card.architecture,
            "latent": _LATENTS[maker.structure],
            "generator": _network(maker, [nodes] * maker.size_networks),
            "critic": _network(critic, [max(first >> n, 1) for n in range(critic.size_networks + 1)]),
            "generator_optimizer": _moved(card.gan_parameters.optimizer, "generator_optimizer"),
            "critic_optimizer": _moved(critic.optimizer, "critic_optimizer"),
            "critic_steps": card.nd_steps,
            "generator_steps": card.ng_steps,
            "batch_percent": card.batch_size,
            "epochs": card.epochs,
            "penalty": critic.gp_weight * critic.gp_loss,
            "clip": critic.weights_constraints,
        }


def _network(section: Any, hidden: list[int]) -> dict[str, Any]:
    return {
        "hidden": hidden,
        "activation": section.activation,
        "bias": section.use_bias,
        "kernel_initializer": section.kernel_initializer,
        "bias_initializer": section.bias_initializer,
    }


def _moved(choice: Optimizer, role: str) -> dict[str, Any]:
    rate = _RATES[role] if choice.learning_rate is None else choice.learning_rate
    return {"name": choice.optimizer_name or "Adam", "rate": rate}


def load_gan_card(path: Path | str) -> GanSource:
    """Read and check a runcard of ganpdfs.

    Parameters
    ----------
    path : Path or str
        YAML (or JSON), UTF-8.

    Raises
    ------
    RuncardError
        If the file cannot be read or anything in it is wrong; one line for each problem.
    """
    path = Path(path)
    text = _text(path)
    content = parse_yaml(text, str(path))
    if not isinstance(content, Mapping):
        found = "an empty file" if content is None else show(content)
        raise RuncardError(f"{path}: expected a mapping of keys such as 'epochs: 1000', got {found}")
    reading = _Reading(str(path))
    fields = reading.fields(content)
    card = reading.checked(fields)
    return GanSource(card, path, text, tuple(reading.warnings))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            raw = stream.read(_LARGEST_CARD + 1)
    except FileNotFoundError as error:
        raise RuncardError(
            f"{path}: no such GAN runcard; check gans.runcard and the current folder"
        ) from error
    except OSError as error:
        raise RuncardError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(raw) > _LARGEST_CARD:
        raise RuncardError(f"{path}: larger than 1 MiB; expected a runcard, a short YAML text")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RuncardError(f"{path}: not UTF-8 text; expected a runcard in YAML, saved as UTF-8") from error


class _Reading:
    """One card on its way to a :class:`GanCard`."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.spelled: dict[str, str] = {}

    def fields(self, content: Mapping[Any, Any]) -> dict[str, Any]:
        """Everything at its place, but for what has no effect or is unknown."""
        fields: dict[str, Any] = {}
        for key, value in content.items():
            name = str(key)
            if name in _SECTIONS:
                self._section(fields, name, value)
            elif name in FLAT:
                self._put(fields.setdefault(FLAT[name][0], {}), ".".join(FLAT[name]), value, name)
            else:
                self._put(fields, name, value, name)
        return fields

    def checked(self, fields: Mapping[str, Any]) -> GanCard:
        """The card; all problems in one error."""
        found: list[str] = []
        card = None
        try:
            card = GanCard(**fields)
        except ValidationError as error:
            # a union reports each of its parts
            found = list(dict.fromkeys(line for details in error.errors() for line in self._explain(details)))
        if card is None or self.problems:
            raise RuncardError("\n".join(self.problems + found))
        return card

    def _section(self, fields: dict[str, Any], section: str, value: Any) -> None:
        if not isinstance(value, Mapping | None):
            known = ", ".join(_known(section))
            self._note(section, f"expected a mapping with {known}, got {show(value)}")
            return
        place = fields.setdefault(section, {})
        for key, inner in (value or {}).items():
            self._put(place, f"{section}.{key}", inner, f"{section}.{key}")

    def _put(self, place: dict[str, Any], path: str, value: Any, written: str) -> None:
        section, _, name = path.rpartition(".")
        if path in IDLE:
            self.warnings.append(f"{self.origin}: {written}: without effect here: {IDLE[path]}")
        elif name not in _known(section) or name in _SECTIONS:
            self._unknown(written, section, name)
        elif name in place and place[name] != value:
            other = self.spelled[path]
            self._note(
                written, f"given twice, {show(value)} here and {show(place[name])} as {other}; keep one"
            )
        else:
            self.spelled[path] = written
            if name == "optimizer" and isinstance(value, str):
                self.spelled[f"{path}.optimizer_name"] = written
            place[name] = value

    def _unknown(self, written: str, section: str, name: str) -> None:
        known = [*_known(section), *(() if section else FLAT), *_idle(section)]
        elsewhere = {key: f"{part}.{key}" for part in _SECTIONS for key in _known(part)}
        close = nearest(name, known) or elsewhere.get(name)
        inside = f" in {section}" if section else ""
        hint = f"did you mean '{close}'?" if close else f"known{inside}: {', '.join(known)}"
        self._note(written, f"unknown key; {hint}")

    def _explain(self, details: ErrorDetails) -> Iterator[str]:
        names = [str(part) for part in details["loc"] if isinstance(part, str)]
        path, info = _field(names)
        parent = ".".join(path.split(".")[:2])
        written = self.spelled.get(path) or path.replace(parent, self.spelled.get(parent, parent), 1)
        head = f"{self.origin}: {written}: "
        if details["type"] == "value_error":
            yield head + str(details["ctx"]["error"])
        elif details["type"] == "extra_forbidden":
            yield f"{head}unknown key; known in {path.rpartition('.')[0]}: {', '.join(Optimizer.model_fields)}"
        else:
            yield f"{head}expected {info.json_schema_extra['expects']}, got {show(details['input'])}"

    def _note(self, key: str, problem: str) -> None:
        self.problems.append(f"{self.origin}: {key if key.isprintable() else ascii(key)}: {problem}")


def _known(section: str) -> list[str]:
    model: type[BaseModel] = GanCard
    if section:
        model = type(GanCard.model_fields[section].default)
    return list(model.model_fields)


def _idle(section: str) -> list[str]:
    return [key.rpartition(".")[2] for key in IDLE if key.rpartition(".")[0] == section]


def _field(names: list[str]) -> tuple[str, Any]:
    """The longest path of fields that the names of an error begin with, and its last field."""
    model: type[BaseModel] = GanCard
    path: list[str] = []
    info: Any = None
    for name in names:
        if name not in model.model_fields:
            # an unknown key is the last name; a member of a union is no key
            path += [name] if model is Optimizer and info is not None else []
            break
        path.append(name)
        info = model.model_fields[name]
        if not isinstance(info.default, BaseModel):
            break
        model = type(info.default)
    return ".".join(path), info
