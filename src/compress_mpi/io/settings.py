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

__all__ = ["PUBLISHED_ESTIMATORS", "CompressConfig", "Estimators", "Gans"]

_PRIOR_ONLY = "this release selects from the prior only; set this key to false"
_INT64_MAX = 2**63 - 1

StrictFloat = Annotated[float, Strict()]
Sizes = Annotated[tuple[int, ...], BeforeValidator(values.sizes)]
Nodes = Annotated[Literal["published", "lhapdf"] | tuple[float, ...], BeforeValidator(values.nodes)]
Seconds = Annotated[float, BeforeValidator(values.seconds)]


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


class Gans(_Section):
    """Enhancement of the prior, accepted so that existing runcards load; off in this release."""

    enhance: StrictBool = _setting(
        False, "true or false", "Enhance the prior first; only false in this release."
    )
    runcard: StrictStr | None = _setting(
        None, "the name of a GAN runcard", "GAN runcard; without effect while enhance is false."
    )
    total_replicas: StrictInt | None = _setting(
        None, "an integer >= 1", "Size of the enhanced set; without effect while enhance is false.", ge=1
    )

    @field_validator("enhance")
    @classmethod
    def _off(cls, value: bool) -> bool:
        if value:
            raise ValueError(_PRIOR_ONLY)
        return value


class CompressConfig(_Section):
    """Everything that decides what a compression does."""

    task: Literal["compress"] = _setting("compress", "'compress'", "What to do.")
    pdf: StrictStr = _setting(
        ...,
        "the name of an LHAPDF set, or demo",
        "Prior: the name of an installed LHAPDF set of Monte Carlo replicas; demo is built in.",
    )
    existing_enhanced: StrictBool = _setting(
        False, "true or false", "Select from an existing enhanced set; only false in this release."
    )
    compressed: Sizes = _setting(
        ...,
        values.EXPECTS_SIZES,
        "Number of replicas to keep; with a list, one selection per size in one launch.",
    )
    minimizer: Literal["genetic", "cma"] = _setting("genetic", "'genetic' or 'cma'", "Search method.")
    max_iteration: StrictInt = _setting(
        15000, "an integer >= 1", "Generations of the search on each island.", ge=1, le=_INT64_MAX
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
    gans: Gans = _setting(
        Gans(),
        "a mapping with enhance, runcard, total_replicas",
        "Enhancement of the prior; off in this release.",
    )
    q0: StrictFloat = _setting(
        1.65, "a number > 0", "Scale in GeV at which the set is compared.", gt=0, allow_inf_nan=False
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

    @field_validator("pdf")
    @classmethod
    def _set_name(cls, value: str) -> str:
        return values.set_name(value)

    @field_validator("output")
    @classmethod
    def _path(cls, value: str | None) -> str | None:
        if value is not None and (not value.strip() or "\0" in value):
            raise ValueError(f"expected a path, got {values.show(value)}")
        return value

    @field_validator("existing_enhanced")
    @classmethod
    def _prior_only(cls, value: bool) -> bool:
        if value:
            raise ValueError(_PRIOR_ONLY)
        return value
