"""Several scales: the flavour axis holds every flavour at the first scale, then at the next."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compress_mpi.errors import PDFSetError, StoreError
from compress_mpi.io.demo import write_demo_set
from compress_mpi.io.runcard import complete, effective
from compress_mpi.io.schema import dataset_of
from compress_mpi.io.store import Tree, _check_shapes, scales
from compress_mpi.methods.selection.error_function import build_reference, distances
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.workflows.pair import load_pair
from compress_mpi.workflows.prior import load_prior, plan_prior

SCALES = (1.65, 10.0, 100.0)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    write_demo_set(folder, 90, "tiny")
    return folder


def prior(sets: Path, q0: object, **settings: object):
    config = complete({"pdf": "tiny", "compressed": 5, "q0": q0, "nf": 3, **settings})
    return load_prior(plan_prior(config, [sets], "neopdf"), SerialTeam())


def test_values_are_those_of_each_scale_side_by_side(sets: Path) -> None:
    together = prior(sets, list(SCALES))
    assert together.values.shape == (90, 21, 70)
    alone = np.concatenate([prior(sets, q).values for q in SCALES], axis=1)
    assert np.array_equal(together.values, alone)
    plan = together.plan
    assert [plan.column(f) for f in (0, 6, 7, 20)] == [(1.65, -3), (1.65, 3), (10.0, -3), (100.0, 3)]
    assert (plan.label(8), prior(sets, 1.65).plan.label(1)) == ("-2 at 10 GeV", "-2")


def test_distances_of_moments_add_up_over_scales(sets: Path) -> None:
    names = ("mean", "stdev", "skewness", "kurtosis", "kolmogorov_smirnov")
    rows = [2, 5, 11, 17, 23]

    def found(q0: object) -> np.ndarray:
        one = prior(sets, q0)
        reference = build_reference(one.values, names, one.plan.nodes)
        return distances(one.values[rows], reference)

    np.testing.assert_allclose(found(list(SCALES)), sum(found(q) for q in SCALES), rtol=1e-12)


def test_correlation_points_are_those_of_every_scale(sets: Path) -> None:
    one = prior(sets, [1.65, 100.0])
    reference = build_reference(one.values, ("correlation",), one.plan.nodes)
    assert len(reference.points) + len(reference.dropped) == 5 * 7 * 2
    assert set(reference.points[:, 0] // 7) == {0, 1}


def test_order_is_kept_and_one_scale_is_a_number(sets: Path) -> None:
    config = complete({"pdf": "tiny", "compressed": 5, "q0": [100, 1.65]})
    assert config.scales == (100.0, 1.65)
    assert effective(config)["q0"] == [100.0, 1.65]
    assert complete(effective(config)) == config
    single = complete({"pdf": "tiny", "compressed": 5, "q0": [2]})
    assert (single.q0, effective(single)["q0"]) == (2.0, 2.0)
    assert prior(sets, [2]).sha256 == prior(sets, 2).sha256


def test_nodes_have_to_lie_inside_at_every_scale(sets: Path) -> None:
    plan = prior(sets, [1.2, 50.0], xgrid="lhapdf").plan
    assert (plan.xgrid[0], len(plan.xgrid)) == (1e-6, 49)
    with pytest.raises(PDFSetError, match="q0 = 200000 GeV is out of range"):
        prior(sets, [1.65, 2e5])


def test_a_set_is_compared_at_all_scales_of_the_other(sets: Path) -> None:
    pair = load_pair("tiny", "tiny", ["q0=[1.65, 10.0]", "nf=3"], [sets])
    assert np.array_equal(pair.prior, pair.compressed)
    assert pair.prior.shape[1] == 14
    assert pair.plan.q0 == [1.65, 10.0]


def test_files_hold_a_number_or_a_list() -> None:
    for value, expected in ((1.65, (1.65,)), (np.array([1.65, 10.0]), (1.65, 10.0))):
        tree = Tree({"/prior/q0": np.float64(value) if expected == (1.65,) else value})
        _check_shapes(tree)
        assert scales(tree) == expected
    with pytest.raises(KeyError, match="/prior/q0 has 2 axes"):
        _check_shapes(Tree({"/prior/q0": np.ones((2, 2))}))
    declared = dataset_of("/prior/q0")
    assert declared is not None
    assert declared.or_scalar
    assert issubclass(StoreError, ValueError)
