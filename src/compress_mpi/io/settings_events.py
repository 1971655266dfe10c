"""What an events runcard may say: one frozen pydantic model per section, and the spelling of its keys.

As ``compress_mpi.io.settings`` does for compressions of PDF sets; the values are checked by
``compress_mpi.io.values_events``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Strict,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationInfo,
    field_validator,
)

from compress_mpi.io import values
from compress_mpi.io import values_events as own
from compress_mpi.io.runcard_keys import Keys
from compress_mpi.io.settings_events_scan import Scan
from compress_mpi.io.settings_sections import Seconds, Section, setting

__all__ = ["KEYS", "EventsConfig", "Flow", "Preprocess", "Training"]

_INT64_MAX = 2**63 - 1
_DEFAULT_BOUND = own.BoundSetting("range", 1e-4)

Bounds = Annotated[dict[str, own.BoundSetting], BeforeValidator(own.bounds)]
Files = Annotated[tuple[str, ...], BeforeValidator(own.files)]
Columns = Annotated[tuple[str, ...] | None, BeforeValidator(own.column_names)]
Chosen = Annotated[Literal["auto"] | tuple[str, ...], BeforeValidator(own.columns_or_auto)]
Dtypes = Annotated[dict[str, str], BeforeValidator(own.dtypes)]
Model = Annotated[str, BeforeValidator(own.model)]
Bits = Annotated[tuple[int, ...], BeforeValidator(own.bits)]
Validation = Annotated[float | str, BeforeValidator(own.fraction_or_file)]


class Flow(Section):
    """The flow of ``codec: latent``: one of the published models, or parts of it changed."""

    preset: Literal["model1", "model2"] = setting(
        "model1",
        "'model1' or 'model2'",
        "Published model that gives whatever is not said here and in the section training.",
    )
    family: Literal["maf", "nsf"] | None = setting(
        None, "'maf', 'nsf' or nothing", "Affine autoregressive layers as published, or splines."
    )
    transforms: StrictInt | None = setting(None, "an integer >= 1, or nothing", "Layers.", ge=1, le=1000)
    hidden: StrictInt | None = setting(
        None, "an integer >= 1, or nothing", "Units of every hidden layer.", ge=1, le=100_000
    )
    blocks: StrictInt | None = setting(
        None,
        "an integer >= 1, or nothing",
        "Residual blocks of every layer; nsf: hidden layers.",
        ge=1,
        le=100,
    )
    bins: StrictInt | None = setting(
        None, "an integer >= 2, or nothing", "nsf: bins of the splines.", ge=2, le=1000
    )
    dtype: Literal["float32", "float64"] = setting(
        "float32", "'float32' or 'float64'", "Precision of the training."
    )


class Training(Section):
    """The training of the flow of ``codec: latent``."""

    epochs: StrictInt | None = setting(
        None, "an integer >= 1, or nothing", "Epochs at most; nothing: as published.", ge=1, le=10_000_000
    )
    batch: StrictInt | None = setting(
        None, "an integer >= 1, or nothing", "Rows of a step; nothing: as published.", ge=1, le=_INT64_MAX
    )
    rate: Annotated[float, Strict()] | None = setting(
        None,
        "a number > 0, or nothing",
        "Learning rate at first; nothing: as published.",
        gt=0,
        allow_inf_nan=False,
    )
    plateau: StrictInt = setting(
        10, "an integer >= 1", "Epochs without a lower validation loss after which the rate is halved.", ge=1
    )
    patience: StrictInt | None = setting(
        50,
        "an integer >= 1, or nothing",
        "Epochs without a lower validation loss after which training ends.",
        ge=1,
    )
    device: Literal["auto", "cpu", "cuda"] = setting(
        "auto", "'auto', 'cpu' or 'cuda'", "Where to train; auto: on a GPU if there is one."
    )
    shards: StrictInt = setting(
        4,
        "an integer >= 1",
        "Parts of a batch whose gradients the ranks share out; part of the answer, unlike the number of ranks.",
        ge=1,
        le=100_000,
    )
    rows: StrictInt = setting(
        1_000_000,
        "an integer >= 1",
        "Rows to train on at most, evenly spread over the table.",
        ge=1,
        le=_INT64_MAX,
    )
    validation: Validation = setting(
        0.2, "a number between 0 and 1, or a file", "Part of the rows, or a table, that is not trained on."
    )


class Preprocess(Section):
    """What is done to columns before the flow of ``codec: latent``."""

    logarithm: Chosen = setting(
        "auto",
        "a list of columns, or 'auto'",
        "Columns that get log(10 + x); auto: floating ones without a negative value.",
    )
    quantile: Chosen = setting(
        "auto",
        "a list of columns, or 'auto'",
        "Columns that are mapped to a normal distribution by their quantiles; auto: floating ones with values of"
        " both signs.",
    )
    knots: StrictInt | None = setting(
        None,
        "an integer >= 2, or nothing",
        "Knots of the quantile map at most; nothing: 500, or 10,000 as published for form: published.",
        ge=2,
        le=10_000_000,
    )


class EventsConfig(Section):
    """Everything that decides what an events run does."""

    task: Literal["events"] = setting("events", "'events'", "Compress a table of events.")
    input: Files = setting(
        ...,
        own.EXPECTS_FILES,
        "Table: CSV, text, NPY, NPZ, HDF5, Parquet or ROOT by its suffix; of several files the rows follow one"
        " another. demo is built in: made-up jets.",
    )
    inside: StrictStr | None = setting(
        None,
        "a name, or nothing",
        "Array, dataset, group or tree inside the file, where it has several.",
    )
    columns: Columns = setting(
        None,
        own.EXPECTS_COLUMNS,
        "Columns to take, in this order; nothing: all. Where the file has no names, these are their names.",
    )
    dtype: Dtypes = setting(
        {}, own.EXPECTS_DTYPE, "What columns of a text file are read as; nothing: by what they hold."
    )
    rows: StrictInt | None = setting(
        None,
        "an integer >= 1, or nothing",
        "Take this many rows from the start; nothing: all (of demo 20,000).",
        ge=1,
        le=_INT64_MAX,
    )
    output: StrictStr | None = setting(
        None,
        "a path, or nothing",
        "Compressed file (.h5, .hdf5), or its folder; nothing: the current folder.",
    )
    name: StrictStr | None = setting(
        None,
        "a name, or nothing",
        "The compressed file is NAME.events.h5; nothing: the name of the input without its suffix.",
    )
    codec: Literal["bounded", "latent"] = setting(
        "bounded",
        "'bounded' or 'latent'",
        "bounded: every error is within its bound. latent: the published one through a flow, without a bound.",
    )
    bound: Bounds = setting(
        {"default": _DEFAULT_BOUND},
        own.EXPECTS_BOUND,
        "bounded: error of each column. absolute, relative (to each value) and range (to largest - smallest value)"
        " are greatest errors; mean, rms and published (rms / standard deviation) are targets of the whole column"
        " whose greatest error is then stated. Integer columns that are not named are lossless.",
    )
    model: Model = setting(
        "auto",
        own.EXPECTS_MODEL,
        "bounded: what the coder knows of the columns: nothing, their distributions, also how they depend on each"
        " other (tiny: a network of about 1 kB), or what another compressed table knows, which is needed again to"
        " decompress; auto: whichever gives the smallest file.",
    )
    context: Literal["auto", "previous", "none"] = setting(
        "auto",
        "'auto', 'previous' or 'none'",
        "bounded: whether the coder looks at the previous row, for tables whose neighbours are related.",
    )
    unordered: StrictBool = setting(
        False, "true or false", "bounded: rows may come back in another order, which takes less space."
    )
    block: StrictInt = setting(
        32768,
        "an integer >= 1",
        "Rows that are coded together, and decoded without others.",
        ge=1,
        le=1 << 24,
    )
    seed: StrictInt = setting(
        0,
        "an integer from 0 to 2^63 - 1",
        "Random seed; same seed, same file, on any number of ranks.",
        ge=0,
        le=_INT64_MAX,
    )
    bits: Bits = setting(
        (13,),
        own.EXPECTS_BITS,
        "latent: N of the published quantiser; of a list the first is used, and the report shows all.",
    )
    form: Literal["repaired", "published"] = setting(
        "repaired",
        "'repaired' or 'published'",
        "latent: even steps, rounded, at the published codec's mean error; or exactly as published.",
    )
    flow: Flow = setting(
        Flow(), "a mapping with preset and the sizes of the flow, or just the preset", "latent: the flow."
    )
    training: Training = setting(
        Training(), "a mapping with epochs, batch, rate and others", "latent: its training."
    )
    preprocess: Preprocess = setting(
        Preprocess(),
        "a mapping with logarithm, quantile, knots",
        "latent: what is done to columns before the flow.",
    )
    scan: Scan = setting(
        Scan(),
        "a mapping with transforms, hidden, epochs and others, or just 'published'",
        "latent: trainings of flows of several sizes, which the report draws.",
    )
    sample: StrictInt = setting(
        10_000, "an integer >= 0", "New events that the report compares with the table.", ge=0, le=100_000_000
    )
    report: StrictBool = setting(
        False, "true or false", "Write the page of figures beside the compressed file."
    )
    time_limit: Seconds | None = setting(
        None,
        values.EXPECTS_SECONDS,
        "Wall time after which a training writes its checkpoint and the run stops (exit code 85); nothing: no limit.",
    )
    checkpoint_interval: Seconds = setting(60.0, values.EXPECTS_SECONDS, "Wall time between checkpoints.")

    @field_validator("output")
    @classmethod
    def _path(cls, value: str | None) -> str | None:
        if value is not None and (not value.strip() or "\0" in value):
            raise ValueError(f"expected a path, got {values.show(value)}")
        return value

    @field_validator("name")
    @classmethod
    def _plain_name(cls, value: str | None) -> str | None:
        return None if value is None else values.combined_name(value)

    @field_validator("scan")
    @classmethod
    def _of_a_flow(cls, value: Scan, info: ValidationInfo) -> Scan:
        if value.wanted and info.data.get("codec") == "bounded":
            raise ValueError("only the codec latent has a flow to scan; leave it out, or use codec: latent")
        if value.wanted and info.data.get("model", "auto") not in own.MODELS:
            raise ValueError("the flow of another file is used, as model says; leave one of the two out")
        return value

    @field_validator("unordered")
    @classmethod
    def _of_one_codec(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("codec") == "latent":
            raise ValueError("only the codec bounded can reorder rows; leave it out, or use codec: bounded")
        return value

    @property
    def shared(self) -> str | None:
        """File whose tables and model are used, if one is."""
        return None if self.model in own.MODELS else self.model


_SECTIONS = {"flow": Flow, "training": Training, "preprocess": Preprocess, "scan": Scan}


def _canonical() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name in EventsConfig.model_fields:
        section: Any = _SECTIONS.get(name)
        inner = section.model_fields if section is not None else ()
        found |= {f"{name}.{key}": (name, key) for key in inner}
        if not inner:
            found[name] = (name,)
    return found


KEYS = Keys(_canonical(), {}, {"flow": "preset", "scan": "preset"}, open=("bound", "dtype"))
"""Every key of an events runcard, in canonical order."""
