"""The sections of a compression runcard; see :mod:`compress_mpi.io.settings` for the whole."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from compress_mpi.io import values
from compress_mpi.types import ESTIMATOR_LISTS, ESTIMATORS

__all__ = [
    "PUBLISHED_ESTIMATORS",
    "Auto",
    "Estimators",
    "Gans",
    "Generator",
    "Launch",
    "Polish",
    "Portfolio",
    "Seconds",
    "Section",
    "setting",
]

Tolerances = Annotated[dict[str, float], BeforeValidator(values.tolerances)]
Seconds = Annotated[float, BeforeValidator(values.seconds)]
Names = Annotated[tuple[str, ...], BeforeValidator(values.names)]
Environment = Annotated[dict[str, str], BeforeValidator(values.environment)]
Options = Annotated[dict[str, str], BeforeValidator(values.options)]


def setting(default: Any, expects: str, doc: str, **limits: Any) -> Any:
    """A field with the words for messages and for the reference."""
    return Field(default, description=doc, json_schema_extra={"expects": expects}, **limits)


class Section(BaseModel):
    """A part of a runcard: frozen, and no key besides its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimators(Section):
    """The estimators of the error function, in the three lists of ``est_dic``."""

    corr_estimators: tuple[str, ...] = setting(
        (), "a list: [correlation]", "Correlation estimators; left out: none."
    )
    stat_estimators: tuple[str, ...] = setting(
        (), "a list: [kolmogorov_smirnov]", "Distribution estimators; left out: none."
    )
    moment_estimators: tuple[str, ...] = setting(
        (),
        f"a list of {', '.join(ESTIMATOR_LISTS['moment_estimators'])}",
        "Moment estimators; left out: none. Without est_dic the published six are used.",
    )

    @field_validator("corr_estimators", "stat_estimators", "moment_estimators", mode="before")
    @classmethod
    def _known_names(cls, value: Any, info: ValidationInfo) -> tuple[str, ...]:
        return values.estimator_names(value, str(info.field_name), ESTIMATOR_LISTS)

    @model_validator(mode="after")
    def _at_least_one(self) -> Self:
        if not self.names:
            raise ValueError("no estimator is listed; list one, or leave est_dic out for the published six")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """All chosen estimators in canonical order."""
        chosen = {*self.corr_estimators, *self.stat_estimators, *self.moment_estimators}
        return tuple(name for name in ESTIMATORS if name in chosen)


PUBLISHED_ESTIMATORS = Estimators(
    corr_estimators=("correlation",),
    stat_estimators=("kolmogorov_smirnov",),
    moment_estimators=("mean", "stdev", "skewness", "kurtosis"),
)
"""The six estimators of arXiv:1504.06469, used where a card has no ``est_dic``."""


class Portfolio(Section):
    """How many islands of each method a portfolio has."""

    tempering: StrictInt = setting(8, "an integer >= 0", "Islands of tempering.", ge=0, le=100_000)
    exchange: StrictInt = setting(1, "an integer >= 0", "Islands of exchange.", ge=0, le=100_000)
    genetic: StrictInt = setting(3, "an integer >= 0", "Islands of genetic.", ge=0, le=100_000)
    cma: StrictInt = setting(0, "an integer >= 0", "Islands of cma.", ge=0, le=100_000)

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not sum(self.islands.values()):
            raise ValueError("no island is left; expected at least one")
        return self

    @property
    def islands(self) -> dict[str, int]:
        """Number of islands by method."""
        return {name: getattr(self, name) for name in type(self).model_fields}


class Gans(Section):
    """Enhancement of the prior, in the words of pyCompressor."""

    enhance: StrictBool = setting(
        False, "true or false", "Make more replicas than the prior has, and select from them too."
    )
    runcard: StrictStr | None = setting(
        None,
        "the name of a ganpdfs runcard, or nothing",
        "ganpdfs runcard with the parameters of the networks, relative to this card; .yml may be left out. With it"
        " the generator is gan unless another is asked for.",
    )
    total_replicas: StrictInt | None = setting(
        None,
        "an integer >= 2, or nothing",
        "Size of the enhanced set, the replicas of the prior included; nothing: three times the prior.",
        ge=2,
        le=1_000_000,
    )


class Generator(Section):
    """What makes new replicas."""

    kind: Literal["auto", "mix", "kde", "flow", "gan"] = setting(
        "auto",
        "'auto', 'mix', 'kde', 'flow' or 'gan'",
        "Weighted sums of a few replicas, a kernel density estimate, a normalising flow, or a generative adversarial"
        " network; auto: gan where gans.runcard is given, else mix.",
    )
    variance: Annotated[float, Strict()] = setting(
        0.99999,
        "a number between 0 and 1",
        "Part of the scaled variance of the prior that the principal components hold.",
        gt=0,
        lt=1,
    )
    spread: Annotated[float, Strict()] = setting(
        0.6,
        "a number > 0",
        "mix: weight of the difference of two replicas that is added to a third.",
        gt=0,
        le=10,
    )
    bandwidth: Annotated[float, Strict()] = setting(
        0.3, "a number between 0 and 1", "kde: width of the kernel in standard deviations.", gt=0, lt=1
    )
    components: StrictInt | None = setting(
        None,
        "an integer >= 1, or nothing",
        "flow: leading components that the network learns; nothing: 20.",
        ge=1,
        le=1000,
    )
    epochs: StrictInt | None = setting(
        None, "an integer >= 1, or nothing", "flow, gan: epochs of training at most.", ge=1, le=10_000_000
    )
    device: Literal["auto", "cpu", "cuda"] = setting(
        "auto", "'auto', 'cpu' or 'cuda'", "flow, gan: where to train; auto: on a GPU if there is one."
    )


class Polish(Section):
    """Continuous improvement of a selection."""

    radius: Annotated[float, Strict()] | None = setting(
        None,
        "a number > 0, or nothing",
        "How far each selected replica may move along each principal component, in standard deviations of the prior;"
        " nothing: no polish.",
        gt=0,
        le=10,
        allow_inf_nan=False,
    )
    steps: StrictInt = setting(800, "an integer >= 1", "Steps of the minimisation.", ge=1, le=1_000_000)
    candidates: StrictInt = setting(
        2,
        "an integer >= 1",
        "Independent minimisations, shared by the ranks; the best one counts.",
        ge=1,
        le=10_000,
    )


class Launch(Section):
    """Where a stage that trains a network runs."""

    where: Literal["local", "process", "slurm", "pbs", "pbs_classic", "lsf"] = setting(
        "local",
        "'local', 'process', 'slurm', 'pbs', 'pbs_classic' or 'lsf'",
        "In rank 0 itself, in a process of its own on the same machine, or in a job of its own.",
    )
    gpus: StrictInt = setting(1, "an integer >= 0", "GPUs of the job.", ge=0, le=1024)
    cores: StrictInt | None = setting(None, "an integer >= 1, or nothing", "Cores of the job.", ge=1, le=4096)
    partition: StrictStr | None = setting(None, "a name, or nothing", "Partition or queue.")
    account: StrictStr | None = setting(None, "a name, or nothing", "Account or project that is charged.")
    time: Seconds = setting(3600.0, values.EXPECTS_SECONDS, "Wall time of the job.")
    modules: Names = setting((), "a list of names", "Modules to load before the stage starts.")
    environment: Environment = setting(
        {}, "a mapping of names to texts", "Environment variables to set before the stage starts."
    )
    options: Options = setting(
        {},
        "a mapping of names to texts",
        "Further options of the scheduler by their long names, such as qos.",
    )


class Auto(Section):
    """What ``compressed: auto`` asks for: one target, and the sizes that may be tried."""

    factor: Annotated[float, Strict()] | None = setting(
        None,
        "a number > 1, or nothing",
        "Target: the distance of every estimator is at most the median distance of random subsets that are this"
        " many times larger. Without any target: 10.",
        gt=1,
        allow_inf_nan=False,
    )
    random_size: StrictInt | None = setting(
        None,
        "an integer >= 3, or nothing",
        "Target: the distance of every estimator is at most the median distance of random subsets of this size.",
        ge=3,
    )
    tolerance: Tolerances | None = setting(
        None,
        values.EXPECTS_TOLERANCE,
        "Target: the distance of every estimator, not normalised, is at most the number given for it.",
    )
    smallest: StrictInt = setting(10, "an integer >= 2", "Smallest size that is tried.", ge=2)
    largest: StrictInt | None = setting(
        None,
        "an integer >= 2, or nothing",
        "Largest size that is tried; nothing: the largest at which the target can be met.",
        ge=2,
    )

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        given = [name for name in ("factor", "random_size", "tolerance") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"expected one target, got {' and '.join(given)}; keep one")
        if self.largest is not None and self.largest < self.smallest:
            raise ValueError(
                f"largest is {self.largest}, smaller than smallest, {self.smallest}; expected it larger"
            )
        return self
