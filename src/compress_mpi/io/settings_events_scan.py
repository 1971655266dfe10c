"""The section ``scan`` of an events runcard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Strict, StrictBool, StrictInt, model_validator

from compress_mpi.io import values_events as own
from compress_mpi.io.settings_sections import Section, setting

__all__ = ["Scan"]

Depths = Annotated[tuple[int, ...], BeforeValidator(own.sizes(1000))]
Widths = Annotated[tuple[int, ...], BeforeValidator(own.sizes(100_000))]


class Scan(Section):
    """Short trainings of flows of several sizes, before that of ``codec: latent``."""

    preset: Literal["none", "published"] = setting(
        "none",
        "'none' or 'published'",
        "published: one trial for every number of layers and width below; so too where any other key of this section"
        " is given.",
    )
    transforms: Depths = setting((2, 4, 6, 8), own.expects_sizes(1000), "Numbers of layers.")
    hidden: Widths = setting((16, 32, 64, 128), own.expects_sizes(100_000), "Widths of the hidden layers.")
    epochs: StrictInt = setting(30, "an integer >= 1", "Epochs of every trial.", ge=1, le=10_000_000)
    batch: StrictInt = setting(1024, "an integer >= 1", "Rows of a step.", ge=1, le=2**63 - 1)
    rate: Annotated[float, Strict()] = setting(
        1e-2, "a number > 0", "Learning rate at first.", gt=0, allow_inf_nan=False
    )
    plateau: StrictInt = setting(
        2, "an integer >= 1", "Epochs without a lower validation loss after which the rate is halved.", ge=1
    )
    pick: StrictBool = setting(
        False,
        "true or false",
        "Train the flow in the sizes of the trial of the lowest validation loss, where the section flow gives none.",
    )

    @model_validator(mode="before")
    @classmethod
    def _asked_for(cls, given: Any) -> Any:
        wanted = isinstance(given, Mapping) and given and "preset" not in given
        return {**given, "preset": "published"} if wanted else given

    @property
    def wanted(self) -> bool:
        """Whether there is anything to scan."""
        return self.preset == "published"
