"""What a compression runcard may say: one frozen pydantic model per section.

The models hold the meaning of each key: its type, limits, default and one line
of documentation. How a card spells the keys is the business of
:mod:`compress_mpi.io.runcard_keys`. Every field carries ``expects``, the words
for "expected ..., got ..." in error messages and for the runcard reference.
"""

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
    "CompressConfig",
    "Estimators",
    "Gans",
    "Generator",
    "Launch",
    "Polish",
    "Portfolio",
]

_INT64_MAX = 2**63 - 1

Sizes = Annotated[Literal["auto"] | tuple[int, ...], BeforeValidator(values.sizes)]
Tolerances = Annotated[dict[str, float], BeforeValidator(values.tolerances)]
Nodes = Annotated[Literal["published", "lhapdf"] | tuple[float, ...], BeforeValidator(values.nodes)]
Scales = Annotated[float | tuple[float, ...], BeforeValidator(values.scales)]
PriorSets = Annotated[str | tuple[values.SetEntry, ...], BeforeValidator(values.prior_sets)]
Seconds = Annotated[float, BeforeValidator(values.seconds)]
Names = Annotated[tuple[str, ...], BeforeValidator(values.names)]
Environment = Annotated[dict[str, str], BeforeValidator(values.environment)]
Options = Annotated[dict[str, str], BeforeValidator(values.options)]


def _setting(default: Any, expects: str, doc: str, **limits: Any) -> Any:
    return Field(default, description=doc, json_schema_extra={"expects": expects}, **limits)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimators(_Section):
    """The estimators of the error function, in the three lists of ``est_dic``."""

    corr_estimators: tuple[str, ...] = _setting(
        (), "a list: [correlation]", "Correlation estimators; left out: none."
    )
    stat_estimators: tuple[str, ...] = _setting(
        (), "a list: [kolmogorov_smirnov]", "Distribution estimators; left out: none."
    )
    moment_estimators: tuple[str, ...] = _setting(
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


class Portfolio(_Section):
    """How many islands of each method a portfolio has."""

    tempering: StrictInt = _setting(8, "an integer >= 0", "Islands of tempering.", ge=0, le=100_000)
    exchange: StrictInt = _setting(1, "an integer >= 0", "Islands of exchange.", ge=0, le=100_000)
    genetic: StrictInt = _setting(3, "an integer >= 0", "Islands of genetic.", ge=0, le=100_000)
    cma: StrictInt = _setting(0, "an integer >= 0", "Islands of cma.", ge=0, le=100_000)

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not sum(self.islands.values()):
            raise ValueError("no island is left; expected at least one")
        return self

    @property
    def islands(self) -> dict[str, int]:
        """Number of islands by method."""
        return {name: getattr(self, name) for name in type(self).model_fields}


class Gans(_Section):
    """Enhancement of the prior, in the words of pyCompressor."""

    enhance: StrictBool = _setting(
        False, "true or false", "Make more replicas than the prior has, and select from them too."
    )
    runcard: StrictStr | None = _setting(
        None,
        "the name of a ganpdfs runcard, or nothing",
        "ganpdfs runcard with the parameters of the networks, relative to this card; .yml may be left out. With it"
        " the generator is gan unless another is asked for.",
    )
    total_replicas: StrictInt | None = _setting(
        None,
        "an integer >= 2, or nothing",
        "Size of the enhanced set, the replicas of the prior included; nothing: three times the prior.",
        ge=2,
        le=1_000_000,
    )


class Generator(_Section):
    """What makes new replicas."""

    kind: Literal["auto", "mix", "kde", "flow", "gan"] = _setting(
        "auto",
        "'auto', 'mix', 'kde', 'flow' or 'gan'",
        "Weighted sums of a few replicas, a kernel density estimate, a normalising flow, or a generative adversarial"
        " network; auto: gan where gans.runcard is given, else mix.",
    )
    variance: Annotated[float, Strict()] = _setting(
        0.99999,
        "a number between 0 and 1",
        "Part of the scaled variance of the prior that the principal components hold.",
        gt=0,
        lt=1,
    )
    spread: Annotated[float, Strict()] = _setting(
        0.6,
        "a number > 0",
        "mix: weight of the difference of two replicas that is added to a third.",
        gt=0,
        le=10,
    )
    bandwidth: Annotated[float, Strict()] = _setting(
        0.3, "a number between 0 and 1", "kde: width of the kernel in standard deviations.", gt=0, lt=1
    )
    components: StrictInt | None = _setting(
        None,
        "an integer >= 1, or nothing",
        "flow: leading components that the network learns; nothing: 20.",
        ge=1,
        le=1000,
    )
    epochs: StrictInt | None = _setting(
        None, "an integer >= 1, or nothing", "flow, gan: epochs of training at most.", ge=1, le=10_000_000
    )
    device: Literal["auto", "cpu", "cuda"] = _setting(
        "auto", "'auto', 'cpu' or 'cuda'", "flow, gan: where to train; auto: on a GPU if there is one."
    )


class Polish(_Section):
    """Continuous improvement of a selection."""

    radius: Annotated[float, Strict()] | None = _setting(
        None,
        "a number > 0, or nothing",
        "How far each selected replica may move along each principal component, in standard deviations of the prior;"
        " nothing: no polish.",
        gt=0,
        le=10,
        allow_inf_nan=False,
    )
    steps: StrictInt = _setting(800, "an integer >= 1", "Steps of the minimisation.", ge=1, le=1_000_000)
    candidates: StrictInt = _setting(
        2,
        "an integer >= 1",
        "Independent minimisations, shared by the ranks; the best one counts.",
        ge=1,
        le=10_000,
    )


class Launch(_Section):
    """Where a stage that trains a network runs."""

    where: Literal["local", "process", "slurm", "pbs", "pbs_classic", "lsf"] = _setting(
        "local",
        "'local', 'process', 'slurm', 'pbs', 'pbs_classic' or 'lsf'",
        "In rank 0 itself, in a process of its own on the same machine, or in a job of its own.",
    )
    gpus: StrictInt = _setting(1, "an integer >= 0", "GPUs of the job.", ge=0, le=1024)
    cores: StrictInt | None = _setting(
        None, "an integer >= 1, or nothing", "Cores of the job.", ge=1, le=4096
    )
    partition: StrictStr | None = _setting(None, "a name, or nothing", "Partition or queue.")
    account: StrictStr | None = _setting(None, "a name, or nothing", "Account or project that is charged.")
    time: Seconds = _setting(3600.0, values.EXPECTS_SECONDS, "Wall time of the job.")
    modules: Names = _setting((), "a list of names", "Modules to load before the stage starts.")
    environment: Environment = _setting(
        {}, "a mapping of names to texts", "Environment variables to set before the stage starts."
    )
    options: Options = _setting(
        {}, "a mapping of names to texts", "Further options of the scheduler by their long names, such as qos."
    )


class Auto(_Section):
    """What ``compressed: auto`` asks for: one target, and the sizes that may be tried."""

    factor: Annotated[float, Strict()] | None = _setting(
        None,
        "a number > 1, or nothing",
        "Target: the distance of every estimator is at most the median distance of random subsets that are this"
        " many times larger. Without any target: 10.",
        gt=1,
        allow_inf_nan=False,
    )
    random_size: StrictInt | None = _setting(
        None,
        "an integer >= 3, or nothing",
        "Target: the distance of every estimator is at most the median distance of random subsets of this size.",
        ge=3,
    )
    tolerance: Tolerances | None = _setting(
        None,
        values.EXPECTS_TOLERANCE,
        "Target: the distance of every estimator, not normalised, is at most the number given for it.",
    )
    smallest: StrictInt = _setting(10, "an integer >= 2", "Smallest size that is tried.", ge=2)
    largest: StrictInt | None = _setting(
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


class CompressConfig(_Section):
    """Everything that decides what a compression does."""

    task: Literal["compress", "enhance"] = _setting(
        "compress",
        "'compress' or 'enhance'",
        "What to do: select replicas, or only make the enhanced set.",
    )
    pdf: PriorSets = _setting(
        ...,
        values.EXPECTS_PDF,
        "Prior: the name of an installed LHAPDF set of Monte Carlo replicas; demo is built in. A list combines"
        " sets, Hessian ones among them, into one prior: the same number of replicas from each, as many as the"
        " smallest Monte Carlo set has, or ``replicas`` from each, drawn or generated with ``seed``"
        " (see :ref:`combined`).",
    )
    combined_name: StrictStr | None = _setting(
        None,
        "letters, digits and . _ + -, or nothing",
        "Name of the LHAPDF set of a combined prior; nothing: the names of the sets and ``combined``,"
        " joined by ``_``.",
    )
    existing_enhanced: StrictBool = _setting(
        False,
        "true or false",
        "Select also from the set PDF_enhanced that is there already; its members are not made anew.",
    )
    compressed: Sizes = _setting(
        ...,
        values.EXPECTS_SIZES,
        "Number of replicas to keep; with a list, one selection per size in one launch; auto: the smallest"
        " number that meets the target of the section auto.",
    )
    minimizer: Literal["tempering", "exchange", "genetic", "cma", "portfolio"] = _setting(
        "tempering",
        "'tempering', 'exchange', 'genetic', 'cma' or 'portfolio'",
        "Search method: replica exchange with a final steepest descent, steepest descent alone, the two of the"
        " literature, or islands of several methods.",
    )
    max_iteration: StrictInt = _setting(
        15000,
        "an integer >= 1",
        "Iterations of the search on each island (of genetic: generations).",
        ge=1,
        le=_INT64_MAX,
    )
    max_evaluations: StrictInt | None = _setting(
        None,
        "an integer >= 1, or nothing",
        "Budget of error-function evaluations over all islands, in place of max_iteration.",
        ge=1,
        le=_INT64_MAX,
    )
    max_seconds: Seconds | None = _setting(
        None,
        values.EXPECTS_SECONDS,
        "Budget of search time, in place of max_iteration; the answer then depends on the speed of the machine.",
    )
    stagnation: StrictInt | None = _setting(
        None,
        "an integer >= 1, or nothing",
        "Iterations without a lower error function after which the search ends before its budget is spent.",
        ge=1,
        le=_INT64_MAX,
    )
    descent: Literal["auto"] | StrictBool = _setting(
        "auto",
        "true, false or 'auto'",
        "Whether tempering and portfolio end in a steepest descent to a subset that no single swap improves; auto:"
        " as long as it takes no more evaluations than the search before it.",
    )
    portfolio: Portfolio = _setting(
        Portfolio(),
        "a mapping with tempering, exchange, genetic, cma",
        "Islands of each method for minimizer: portfolio.",
    )
    seed: StrictInt = _setting(
        0,
        "an integer from 0 to 2^63 - 1",
        "Random seed; same seed, same answer, on any number of ranks.",
        ge=0,
        le=_INT64_MAX,
    )
    estimators: Estimators = _setting(
        PUBLISHED_ESTIMATORS,
        "a mapping with the lists corr_estimators, stat_estimators, moment_estimators",
        "Estimators of the error function.",
    )
    auto: Auto = _setting(
        Auto(),
        "a mapping with factor, random_size or tolerance, and smallest, largest",
        "What compressed: auto asks for.",
    )
    gans: Gans = _setting(
        Gans(), "a mapping with enhance, runcard, total_replicas", "Enhancement of the prior."
    )
    generator: Generator = _setting(
        Generator(),
        "a mapping with kind, variance, spread, bandwidth, components, epochs, device, or just the kind",
        "What makes new replicas where gans.enhance is true.",
    )
    evolution: Literal["linear", "eko"] = _setting(
        "linear",
        "'linear' or 'eko'",
        "How new replicas get their values at all scales: as the same sums of replicas of the prior, or by DGLAP"
        " evolution from q0.",
    )
    polish: Polish = _setting(
        Polish(), "a mapping with radius, steps, candidates", "Continuous improvement of the selection."
    )
    launch: Launch = _setting(
        Launch(),
        "a mapping with where, gpus, cores, partition, account, time, modules, environment, options",
        "Where networks are trained.",
    )
    q0: Scales = _setting(
        1.65,
        values.EXPECTS_SCALES,
        "Scale in GeV at which the set is compared; with a list, the error function runs over all of them.",
    )
    nf: StrictInt = _setting(
        4,
        "an integer from 1 to 6",
        "Quark flavours: gluon, quarks and antiquarks up to this one.",
        ge=1,
        le=6,
    )
    xgrid: Nodes = _setting(
        "published",
        values.EXPECTS_NODES,
        "Momentum fractions: the 70 published nodes, the set's own knots (lhapdf), or a list.",
    )
    definition: Literal["paper", "pycompressor"] = _setting(
        "paper",
        "'paper' or 'pycompressor'",
        "Definitions of the papers, or exactly those of pyCompressor"
        " (it counts member 0, and its fifth correlation node differs).",
    )
    trials: StrictInt = _setting(
        1000,
        "an integer from 20 to 10000000",
        "Random subsets that normalise each estimator.",
        ge=20,
        le=10_000_000,
    )
    islands: StrictInt | None = _setting(
        None,
        "an integer from 1 to 100000, or nothing",
        "Independent searches that exchange their best; nothing: chosen by the minimizer.",
        ge=1,
        le=100_000,
    )
    time_limit: Seconds | None = _setting(
        None,
        values.EXPECTS_SECONDS,
        "Wall time after which a checkpoint is written and the run stops (exit code 85); nothing: no limit.",
    )
    checkpoint_interval: Seconds = _setting(60.0, values.EXPECTS_SECONDS, "Wall time between checkpoints.")
    output: StrictStr | None = _setting(
        None,
        "a path, or nothing",
        "Result file (.h5, .hdf5) or folder of results; nothing: the current folder.",
    )
    backend: Literal["auto", "lhapdf", "neopdf"] = _setting(
        "auto",
        "'auto', 'lhapdf' or 'neopdf'",
        "Library that reads the set; auto: lhapdf where it is installed, else neopdf.",
    )

    @field_validator("max_seconds")
    @classmethod
    def _one_budget(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and info.data.get("max_evaluations") is not None:
            raise ValueError("expected one budget, got max_evaluations and max_seconds; keep one")
        return value

    @field_validator("islands")
    @classmethod
    def _islands_by_method(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and info.data.get("minimizer") == "portfolio":
            raise ValueError("a portfolio has its islands by method; give them in the section portfolio")
        return value

    @field_validator("combined_name")
    @classmethod
    def _name_of_prior(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        if isinstance(info.data.get("pdf"), str):
            raise ValueError(
                "names a combined prior, but pdf is a single set; give pdf as a list, or drop this key"
            )
        return values.combined_name(value)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes that will be selected in any case: all of a list, the smallest of auto."""
        return (self.auto.smallest,) if isinstance(self.compressed, str) else self.compressed

    @property
    def scales(self) -> tuple[float, ...]:
        """Every scale of the comparison in GeV."""
        return self.q0 if isinstance(self.q0, tuple) else (self.q0,)

    @property
    def prior_name(self) -> str:
        """Name of the set that is compressed."""
        if isinstance(self.pdf, str):
            return self.pdf
        return self.combined_name or "_".join([*(entry.name for entry in self.pdf), "combined"])

    @field_validator("auto")
    @classmethod
    def _every_tolerance(cls, value: Auto, info: ValidationInfo) -> Auto:
        wanted = info.data["estimators"].names if "estimators" in info.data else ()
        if value.tolerance is not None and wanted and set(value.tolerance) != set(wanted):
            missing = ", ".join(name for name in wanted if name not in value.tolerance)
            extra = ", ".join(name for name in value.tolerance if name not in wanted)
            what = f"nothing for {missing}" if missing else f"{extra}, not in est_dic"
            raise ValueError(f"tolerance: expected {values.EXPECTS_TOLERANCE}, got {what}")
        return value

    @field_validator("output")
    @classmethod
    def _path(cls, value: str | None) -> str | None:
        if value is not None and (not value.strip() or "\0" in value):
            raise ValueError(f"expected a path, got {values.show(value)}")
        return value

    @field_validator("gans")
    @classmethod
    def _sizes_are_known(cls, value: Gans, info: ValidationInfo) -> Gans:
        enhanced = value.enhance or info.data.get("existing_enhanced")
        if enhanced and isinstance(info.data.get("compressed"), str):
            raise ValueError(
                "compressed: auto looks for a size of the prior alone; give sizes, or leave the enhancement out"
            )
        return value

    @property
    def enhanced(self) -> bool:
        """Whether there is more to select from than the prior."""
        return self.gans.enhance or self.existing_enhanced

    @property
    def generator_kind(self) -> str:
        """Generator of new replicas, ``auto`` resolved."""
        if self.generator.kind != "auto":
            return self.generator.kind
        return "gan" if self.gans.runcard is not None else "mix"
