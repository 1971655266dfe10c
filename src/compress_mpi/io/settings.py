"""What a compression runcard may say: one frozen pydantic model per section.

The models hold the meaning of each key: its type, limits, default and one line
of documentation. How a card spells the keys is the business of
:mod:`compress_mpi.io.runcard_keys`. Every field carries ``expects``, the words
for "expected ..., got ..." in error messages and for the runcard reference.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, StrictBool, StrictInt, StrictStr, ValidationInfo, field_validator

from compress_mpi.io import values
from compress_mpi.io.settings_sections import (
    PUBLISHED_ESTIMATORS,
    Auto,
    Estimators,
    Gans,
    Generator,
    Launch,
    Polish,
    Portfolio,
    Seconds,
    Section,
    setting,
)

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
Nodes = Annotated[Literal["published", "lhapdf"] | tuple[float, ...], BeforeValidator(values.nodes)]
Scales = Annotated[float | tuple[float, ...], BeforeValidator(values.scales)]
PriorSets = Annotated[str | tuple[values.SetEntry, ...], BeforeValidator(values.prior_sets)]


class CompressConfig(Section):
    """Everything that decides what a compression does."""

    task: Literal["compress", "enhance"] = setting(
        "compress",
        "'compress' or 'enhance'",
        "What to do: select replicas, or only make the enhanced set.",
    )
    pdf: PriorSets = setting(
        ...,
        values.EXPECTS_PDF,
        "Prior: the name of an installed LHAPDF set of Monte Carlo replicas; demo is built in. A list combines"
        " sets, Hessian ones among them, into one prior: the same number of replicas from each, as many as the"
        " smallest Monte Carlo set has, or ``replicas`` from each, drawn or generated with ``seed``"
        " (see :ref:`combined`).",
    )
    combined_name: StrictStr | None = setting(
        None,
        "letters, digits and . _ + -, or nothing",
        "Name of the LHAPDF set of a combined prior; nothing: the names of the sets and ``combined``,"
        " joined by ``_``.",
    )
    existing_enhanced: StrictBool = setting(
        False,
        "true or false",
        "Select also from the set PDF_enhanced that is there already; its members are not made anew.",
    )
    compressed: Sizes = setting(
        ...,
        values.EXPECTS_SIZES,
        "Number of replicas to keep; with a list, one selection per size in one launch; auto: the smallest"
        " number that meets the target of the section auto.",
    )
    minimizer: Literal["tempering", "exchange", "genetic", "cma", "portfolio"] = setting(
        "tempering",
        "'tempering', 'exchange', 'genetic', 'cma' or 'portfolio'",
        "Search method: replica exchange with a final steepest descent, steepest descent alone, the two of the"
        " literature, or islands of several methods.",
    )
    max_iteration: StrictInt = setting(
        15000,
        "an integer >= 1",
        "Iterations of the search on each island (of genetic: generations).",
        ge=1,
        le=_INT64_MAX,
    )
    max_evaluations: StrictInt | None = setting(
        None,
        "an integer >= 1, or nothing",
        "Budget of error-function evaluations over all islands, in place of max_iteration.",
        ge=1,
        le=_INT64_MAX,
    )
    max_seconds: Seconds | None = setting(
        None,
        values.EXPECTS_SECONDS,
        "Budget of search time, in place of max_iteration; the answer then depends on the speed of the machine.",
    )
    stagnation: StrictInt | None = setting(
        None,
        "an integer >= 1, or nothing",
        "Iterations without a lower error function after which the search ends before its budget is spent.",
        ge=1,
        le=_INT64_MAX,
    )
    descent: Literal["auto"] | StrictBool = setting(
        "auto",
        "true, false or 'auto'",
        "Whether tempering and portfolio end in a steepest descent to a subset that no single swap improves; auto:"
        " as long as it takes no more evaluations than the search before it.",
    )
    portfolio: Portfolio = setting(
        Portfolio(),
        "a mapping with tempering, exchange, genetic, cma",
        "Islands of each method for minimizer: portfolio.",
    )
    seed: StrictInt = setting(
        0,
        "an integer from 0 to 2^63 - 1",
        "Random seed; same seed, same answer, on any number of ranks.",
        ge=0,
        le=_INT64_MAX,
    )
    estimators: Estimators = setting(
        PUBLISHED_ESTIMATORS,
        "a mapping with the lists corr_estimators, stat_estimators, moment_estimators",
        "Estimators of the error function.",
    )
    auto: Auto = setting(
        Auto(),
        "a mapping with factor, random_size or tolerance, and smallest, largest",
        "What compressed: auto asks for.",
    )
    gans: Gans = setting(
        Gans(), "a mapping with enhance, runcard, total_replicas", "Enhancement of the prior."
    )
    generator: Generator = setting(
        Generator(),
        "a mapping with kind, variance, spread, bandwidth, components, epochs, device, or just the kind",
        "What makes new replicas where gans.enhance is true.",
    )
    evolution: Literal["linear", "eko"] = setting(
        "linear",
        "'linear' or 'eko'",
        "How new replicas get their values at all scales: as the same sums of replicas of the prior, or by DGLAP"
        " evolution from q0.",
    )
    polish: Polish = setting(
        Polish(), "a mapping with radius, steps, candidates", "Continuous improvement of the selection."
    )
    launch: Launch = setting(
        Launch(),
        "a mapping with where, gpus, cores, partition, account, time, modules, environment, options",
        "Where networks are trained.",
    )
    q0: Scales = setting(
        1.65,
        values.EXPECTS_SCALES,
        "Scale in GeV at which the set is compared; with a list, the error function runs over all of them.",
    )
    nf: StrictInt = setting(
        4,
        "an integer from 1 to 6",
        "Quark flavours: gluon, quarks and antiquarks up to this one.",
        ge=1,
        le=6,
    )
    xgrid: Nodes = setting(
        "published",
        values.EXPECTS_NODES,
        "Momentum fractions: the 70 published nodes, the set's own knots (lhapdf), or a list.",
    )
    definition: Literal["paper", "pycompressor"] = setting(
        "paper",
        "'paper' or 'pycompressor'",
        "Definitions of the papers, or exactly those of pyCompressor"
        " (it counts member 0, and its fifth correlation node differs).",
    )
    trials: StrictInt = setting(
        1000,
        "an integer from 20 to 10000000",
        "Random subsets that normalise each estimator.",
        ge=20,
        le=10_000_000,
    )
    islands: StrictInt | None = setting(
        None,
        "an integer from 1 to 100000, or nothing",
        "Independent searches that exchange their best; nothing: chosen by the minimizer.",
        ge=1,
        le=100_000,
    )
    time_limit: Seconds | None = setting(
        None,
        values.EXPECTS_SECONDS,
        "Wall time after which a checkpoint is written and the run stops (exit code 85); nothing: no limit.",
    )
    checkpoint_interval: Seconds = setting(60.0, values.EXPECTS_SECONDS, "Wall time between checkpoints.")
    output: StrictStr | None = setting(
        None,
        "a path, or nothing",
        "Result file (.h5, .hdf5) or folder of results; nothing: the current folder.",
    )
    backend: Literal["auto", "lhapdf", "neopdf"] = setting(
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
