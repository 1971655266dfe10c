"""``python -m compress_mpi``."""

from compress_mpi.cli import main

main()
