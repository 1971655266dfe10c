"""Components, generators and sum rules on JAM21PDF_proton_nlo, against numbers that were measured independently."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from compress_mpi.io.gridfile import read_grid
from compress_mpi.io.settings import CompressConfig
from compress_mpi.methods.enhancement.basis import basis_of
from compress_mpi.methods.enhancement.choose import enhance
from compress_mpi.methods.enhancement.guards import build_guard
from compress_mpi.methods.enhancement.kde import KDE, KDESettings
from compress_mpi.methods.enhancement.linear import combine
from compress_mpi.methods.enhancement.mix import Mix, MixSettings
from compress_mpi.methods.enhancement.quality import compare
from compress_mpi.methods.enhancement.sum_rules import sum_rules
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.workflows.prior import load_prior, plan_prior

NAME = "JAM21PDF_proton_nlo"
SETS = next(
    (Path(d) for d in os.environ.get("LHAPDF_DATA_PATH", "").split(":") if d and (Path(d) / NAME).is_dir()),
    None,
)
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(SETS is None, reason=f"LHAPDF_DATA_PATH names no folder that holds {NAME}"),
]
NUMBERS = np.arange(2000)


@pytest.fixture(scope="module")
def prior():
    """Three light flavours at 1.65 GeV on the published nodes, without member 0."""
    config = CompressConfig(pdf=NAME, compressed=(50,), nf=3)
    return load_prior(plan_prior(config, [SETS], "auto"), SerialTeam()).values


@pytest.fixture(scope="module")
def sums():
    """Sums of the first 300 replicas at 1.58 GeV."""
    files = [SETS / NAME / f"{NAME}_{member:04d}.dat" for member in range(1, 301)]
    grids = [read_grid(file).subgrids[0] for file in files]
    at = int(np.abs(grids[0].q - 1.58).argmin())
    return sum_rules(np.array([g.values[:, at] for g in grids]), grids[0].x, grids[0].pids)


def test_numbers_of_components(prior):
    explained = basis_of(prior).explained
    held = [int(np.searchsorted(explained, part)) + 1 for part in (0.99, 0.999, 0.99999, 0.999999)]
    assert held == [33, 48, 69, 79]


def test_figures_on_held_out_replicas(prior):
    """Made from one half, compared with the other: the published means of one to three are narrow, kde is not."""
    bias, ks = {"mean": [], "kde": [], "half": []}, {"mean": [], "kde": [], "half": []}
    for split in range(2):
        rng = np.random.default_rng(split)
        order = rng.permutation(len(prior))
        one, two = prior[order[:503]], prior[order[503:]]
        means = np.zeros((2000, 503))
        for row in means:
            parents = rng.choice(503, rng.integers(1, 4), replace=False)
            row[parents] = 1.0 / len(parents)
        kde = KDE(basis_of(one), KDESettings(0.3), split).weights(NUMBERS)
        for name, new in (("mean", combine(means, one)), ("kde", combine(kde, one)), ("half", one)):
            found = compare(new, two)
            bias[name].append(np.median(found[:, 0]))
            ks[name].append(found[:, 3].mean())
    assert np.mean(bias["mean"]) == pytest.approx(-0.23, abs=0.03)
    assert np.mean(bias["kde"]) == pytest.approx(np.mean(bias["half"]), abs=0.02)
    assert np.mean(ks["half"]) == pytest.approx(0.05, abs=0.005)
    assert np.mean(ks["kde"]) == pytest.approx(0.09, abs=0.01)
    assert np.mean(ks["mean"]) == pytest.approx(0.112, abs=0.01)


def test_momentum_and_valence(sums):
    names, values = sums
    assert names == ("momentum", "u valence", "d valence", "s valence")
    np.testing.assert_allclose(values.mean(axis=0), [0.99866, 1.9993, 0.99984, 0.0077], atol=2e-3)
    assert values[:, 0].std() == pytest.approx(0.0012, abs=2e-4)


@pytest.mark.parametrize("name", ["mix", "kde"])
def test_published_settings_pass_all_guards(prior, sums, name):
    some, (_, own) = prior[:300], sums
    basis = basis_of(some)
    source = Mix(300, MixSettings(), 1) if name == "mix" else KDE(basis, KDESettings(), 1)
    found = enhance(source, build_guard(some, basis, own), 600, SerialTeam())
    checks = {check.name: check.value for check in found.checks}
    assert checks["rejected"] < 0.1
    assert 0.1 < checks["outside"] < 0.7, "leaving the envelope a little is common and no fault"
    assert checks["negative"] < 0.02
    new = combine(found.weights(), own)
    np.testing.assert_allclose(new.mean(axis=0), own.mean(axis=0), atol=0.2 * own.std(axis=0).max())
    assert np.all(np.abs(new.mean(axis=0) - own.mean(axis=0)) < 0.2 * own.std(axis=0))
