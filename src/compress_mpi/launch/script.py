"""The script of one attempt at a stage, the same for every scheduler and for none."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from string import Template

from compress_mpi.errors import LaunchError
from compress_mpi.launch.files import read_json
from compress_mpi.launch.settings import LaunchSettings

__all__ = ["LOG", "exit_code", "forget_attempts", "script_path", "script_text", "started"]

LOG = "stage.log"
"""Name of the log in the folder of a stage; attempts are appended."""

# The program runs in the background, as bash handles a signal only after a foreground program has ended. A signal to
# all processes of a job, as schedulers send it, and one to this script alone come to the same.
_SCRIPT = Template("""\
#!/bin/bash
# One attempt at a stage of compress-mpi. The next attempt removes this file: should this one
# still be in a queue then, it ends without having done anything.
cd $folder || exit 1
exec >>$log 2>&1 </dev/null
note() { printf '%s\\n' "$$2" >"$$1.tmp" && mv -f "$$1.tmp" "$$1"; }
finish() { note exit-$token "$$1"; exit "$$1"; }

child= asked=
ask() { asked=$$1; [ -z "$$child" ] || kill "-$$1" "$$child" 2>/dev/null; }
trap 'ask TERM' TERM INT
trap 'ask USR1' USR1

job=$${SLURM_JOB_ID:-$${PBS_JOBID:-$${LSB_JOBID:-$${COBALT_JOBID:-$${FLUX_JOB_ID:-}}}}}
note started-$token "{\\"pid\\": $$$$, \\"job\\": \\"$$job\\", \\"host\\": \\"$$(hostname)\\"}"
echo "-- attempt $attempt on $$(hostname)$${job:+, job $$job}, $$(date)"
$prepare
[ -z "$$asked" ] || finish 85
$command &
child=$$!
[ -z "$$asked" ] || ask "$$asked"
wait "$$child"; code=$$?
# a trap ends a wait early
while kill -0 "$$child" 2>/dev/null; do wait "$$child"; code=$$?; done
finish "$$code"
""")

_MODULES = """\
if ! type module >/dev/null 2>&1; then
    for init in "${MODULESHOME:-}/init/bash" /etc/profile.d/modules.sh /etc/profile.d/lmod.sh; do
        if [ -r "$init" ]; then . "$init"; break; fi
    done
fi
type module >/dev/null 2>&1 || { echo "no command 'module' on $(hostname)"; finish 6; }"""


def script_path(folder: Path, token: str) -> Path:
    """Where the script of an attempt lies; its name is in the command line of its processes."""
    return folder / f"launch-{token}.sh"


def script_text(
    folder: Path, token: str, attempt: int, command: Sequence[str], settings: LaunchSettings
) -> str:
    """The script of one attempt.

    It loads the modules, sets the environment, runs the command with its output in the log, asks it
    with SIGUSR1 to stop ahead of the time limit, passes SIGTERM and SIGUSR1 on to it, and notes its exit code.

    Parameters
    ----------
    folder : Path
        Absolute.
    token : str
        Name of the attempt.
    attempt : int
        Counted from 1.
    command : sequence of str
    settings : LaunchSettings

    Raises
    ------
    LaunchError
        If the environment has a name that no shell takes.
    """
    words = list(command)
    if settings.work_s is not None:
        limit = ["--foreground", "--preserve-status", "--signal=USR1", f"{settings.work_s:.1f}"]
        words = ["timeout", *limit, *words]
    return _SCRIPT.substitute(
        folder=shlex.quote(str(folder)),
        log=shlex.quote(LOG),
        token=token,
        attempt=attempt,
        prepare="\n".join(_prepare(settings)),
        command=shlex.join(words),
    )


def started(folder: Path, token: str) -> dict[str, str | int] | None:
    """What an attempt noted when it began: ``pid``, ``job`` (may be empty) and ``host``; None before that."""
    return read_json(folder / f"started-{token}")


def exit_code(folder: Path, token: str) -> int | None:
    """Exit code of an attempt's program; None as long as it runs, and for ever if it was killed."""
    try:
        text = (folder / f"exit-{token}").read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def forget_attempts(folder: Path) -> None:
    """Remove scripts and notes of all attempts; the log stays."""
    for pattern in ("launch-*.sh", "started-*", "exit-*"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


def _prepare(settings: LaunchSettings) -> list[str]:
    lines = [_MODULES] if settings.modules else []
    for module in settings.modules:
        name = shlex.quote(module)
        lines.append(f"module load {name} || {{ echo 'module load' {name} failed; finish 6; }}")
    for name, value in settings.environment.items():
        if not name.isidentifier() or not name.isascii():
            raise LaunchError(
                f"launch.environment: {name!r} cannot be the name of an environment variable; expected letters, digits"
                " and underscores"
            )
        lines.append(f"export {name}={shlex.quote(value)}")
    return lines
