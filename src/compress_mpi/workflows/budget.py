"""How long a search goes on, as a runcard says it and as the search counts it."""

from __future__ import annotations

from dataclasses import replace

from compress_mpi.io.settings import CompressConfig
from compress_mpi.methods.selection.island import SearchSettings
from compress_mpi.methods.selection.search import evaluations_of, search_settings

__all__ = ["settings_of"]


def settings_of(config: CompressConfig, n_select: int, n_pool: int) -> SearchSettings:
    """What the search of one size is asked to do.

    Parameters
    ----------
    config : CompressConfig
    n_select : int
        Size N.
    n_pool : int
        Replicas that can be selected; ``max_evaluations`` becomes whole iterations of all islands.
    """
    settings = search_settings(
        config.minimizer,
        n_select,
        config.max_iteration,
        config.seed,
        config.islands,
        seconds=config.max_seconds,
        stagnation=config.stagnation,
        portfolio=config.portfolio.islands,
        descent=None if config.descent == "auto" else config.descent,
    )
    if config.max_evaluations is None:
        return settings
    iterations = -(-config.max_evaluations // evaluations_of(settings, 1, n_pool))
    return replace(settings, max_iteration=iterations)
