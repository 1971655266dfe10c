"""Compression of Monte Carlo PDF sets over MPI."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("compress-mpi")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
