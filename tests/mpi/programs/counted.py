"""``compress-mpi`` whose MPI calls are counted: ``counted.py ARGUMENTS...``; writes ``counted_RANK.json``.

One entry for every epoch, sweep, agreement and checkpoint, in their order: what it was, the iterations it
made, and its calls as (name, bytes given, bytes got).
"""

import atexit
import functools
import json
import sys
from pathlib import Path

from compress_mpi.parallel.launcher import prepare_environment

prepare_environment()

from compress_mpi import cli  # noqa: E402
from compress_mpi.methods.selection import search  # noqa: E402
from compress_mpi.parallel import channel  # noqa: E402
from compress_mpi.workflows import compress, selection  # noqa: E402

calls, entries = [], []


def counted(name):
    """A method of a communicator that notes what passes."""

    def call(self, *arguments, **options):
        given = arguments[0].nbytes if arguments else 0
        got = arguments[1] if len(arguments) > 1 else arguments[0] if arguments else None
        got = got[0] if isinstance(got, list) else got
        calls.append((name.removeprefix("I").lower(), given, 0 if got is None else got.nbytes))
        return getattr(super(type(self), self), name)(*arguments, **options)

    return call


@functools.cache
def counting_comm():
    """The class, once MPI has started."""
    from mpi4py import MPI

    blocking = ("Allreduce", "Allgather", "Allgatherv", "Bcast", "Barrier")
    names = (*blocking, *(f"I{name.lower()}" for name in blocking), "Send", "Isend")
    return type("CountingComm", (MPI.Intracomm,), {name: counted(name) for name in names})


make = channel.Channel.__init__


def make_counting(self, comm, everybody, patient):
    make(self, counting_comm()(comm), everybody, patient)


def noted(what, function):
    def run(*arguments):
        # what an outer entry calls is its own
        outer, calls[:] = list(calls), []
        before = getattr(arguments[0], "iteration", 0)
        sweeps = getattr(arguments[0], "_sweeps", 0)
        answer = function(*arguments)
        iterations = getattr(arguments[0], "iteration", 0) - before
        name = "sweep" if getattr(arguments[0], "_sweeps", 0) > sweeps else what
        entries.append({"what": name, "iterations": iterations, "calls": list(calls)})
        calls[:] = outer
        return answer

    return run


channel.Channel.__init__ = make_counting
search.IslandSearch.advance = noted("epoch", search.IslandSearch.advance)
selection._order = noted("order", selection._order)
selection._save = noted("save", selection._save)


def write():
    from mpi4py import MPI

    Path(f"counted_{MPI.COMM_WORLD.Get_rank()}.json").write_text(json.dumps(entries))


def start(*arguments):
    atexit.register(write)
    return advance_first(*arguments)


advance_first = compress.load_prior
# registered once MPI has started, so that it runs before MPI ends
compress.load_prior = start
cli.main(sys.argv[1:])
