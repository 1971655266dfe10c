"""Everything that knows about MPI; the only importer of mpi4py.

``launcher`` prepares a process before any heavy import, ``team`` is the working
communicator, ``abort`` ends all ranks when one fails.
"""
