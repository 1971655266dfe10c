"""Evolution operators against the evolution equation, and replicas on the knots of member files."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("eko") is None, reason="eko is not installed (extra 'evolution')"
)

PROGRAM = Path(__file__).parent / "programs" / "evolution_laws.py"


@pytest.fixture(scope="module")
def laws():
    done = subprocess.run([sys.executable, PROGRAM], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_a_small_step_solves_the_leading_order_equation(laws):
    found, expected = (np.array(laws["step"][key]) for key in ("found", "expected"))
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=2e-4 * np.abs(expected).max())


def test_replicas_land_on_the_knots_of_their_files(laws):
    errors = laws["placed"]
    assert errors["start"] < 1e-14
    assert max(errors["gluon"], errors["up"]) < 1e-12
    assert errors["moved"] > 1e-3


def test_interpolation_gives_polynomials_back_and_tells_tiny_nodes_apart(laws):
    found = laws["rotations"]
    assert found["cubic"] < 1e-11
    assert found["same"]
    assert found["tiny"] < 1e-9
