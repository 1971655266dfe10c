"""Jobs on the Slurm of the tests."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ["ENDED", "JOBS", "PATIENCE", "Cluster"]

JOBS = Path(__file__).parents[1] / "jobs"
PATIENCE = 100
"""Seconds."""

ENDED = {"COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL"}


class Cluster:
    """One folder, and the jobs that are started from it."""

    def __init__(self, env: Mapping[str, str], folder: Path) -> None:
        self.env, self.folder = dict(env), folder

    def run(self, *words: object) -> str:
        done = subprocess.run(
            [*map(str, words)],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def facts(self, job: str) -> dict[str, str]:
        return dict(re.findall(r"(\w+)=(\S*)", self.run("scontrol", "show", "job", "--oneliner", job)))

    def wait(self, job: str, until: Callable[[dict[str, str]], bool] = lambda facts: False) -> dict[str, str]:
        end = time.monotonic() + PATIENCE
        while (facts := self.facts(job))["JobState"] not in ENDED and not until(facts):
            assert time.monotonic() < end, f"{facts}\n{self.log()}"
            time.sleep(0.2)
        return facts

    def ends(self, job: str, state: str, code: str = "0:0") -> None:
        facts = self.wait(job)
        assert (facts["JobState"], facts["ExitCode"]) == (state, code), self.log()

    def log(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self.folder.rglob("*.log")))

    def cancel_all(self) -> None:
        self.run("scancel", "--quiet", "--user", os.environ.get("USER", "root"))
