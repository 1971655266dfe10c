"""Random streams: one per task, told apart by what the task is and never by who computes it."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

__all__ = ["Stream", "generator"]


class Stream(IntEnum):
    """What random numbers are for; the first word of a spawn key. Numbers are part of the file format."""

    TRIAL = 1
    BOOTSTRAP = 2
    START = 3
    GENETIC = 4
    CMA = 5
    TEMPERING = 6
    EXCHANGE = 7
    HESSIAN = 20
    COMBINE = 21
    MIX = 30
    KDE = 31
    FLOW = 32
    GAN = 33
    SCREEN = 34
    QUALITY = 35
    POLISH = 40


def generator(seed: int, stream: Stream, *task: int) -> np.random.Generator:
    """Generator of one task.

    Parameters
    ----------
    seed : int
        Of the runcard.
    stream : Stream
    task : int
        Numbers that name the task, e.g. subset size, island, epoch.
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(stream, *task))))
