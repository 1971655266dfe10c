"""What an .info file says about evolution, and the knots that follow; nothing here needs eko."""

from __future__ import annotations

import importlib.util
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress_mpi.errors import LaunchError
from compress_mpi.io.exportgrid import LABELS
from compress_mpi.methods.evolution import cards as card_module
from compress_mpi.methods.evolution import library
from compress_mpi.methods.evolution.apply import EXPORT_PIDS, ROWS, evolve_rows, to_export_order
from compress_mpi.methods.evolution.cards import Solver, digest, make_cards
from compress_mpi.methods.evolution.placement import nodes_of, standard_scales
from compress_mpi.methods.evolution.shift import is_noticeable, shifts
from compress_mpi.methods.evolution.theory import (
    active_flavours,
    assumptions,
    flavours_of_blocks,
    theory_of,
)

INFO = {
    "OrderQCD": 1,
    "AlphaS_MZ": 0.118,
    "MZ": 91.1876,
    "MCharm": 1.28,
    "MBottom": 4.18,
    "MTop": 180.0,
    "NumFlavors": 5,
    "FlavorScheme": "variable",
    "AlphaS_OrderQCD": 1,
}
THEORY = theory_of(INFO)
X = np.array([1e-3, 1e-2, 0.1, 0.3, 0.6, 1.0])


def test_theory_is_what_the_info_file_says():
    assert (THEORY.order, THEORY.alphas, THEORY.mz) == (2, 0.118, 91.1876)
    assert THEORY.thresholds == THEORY.masses == (1.28, 4.18, 180.0)
    assert theory_of({**INFO, "ThresholdCharm": 1.5}).thresholds == (1.5, 4.18, 180.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"MBottom": None}, "key 'MBottom' is missing"),
        ({"OrderQCD": 4}, "OrderQCD: expected 0 .LO. to 3 .N3LO., got 4"),
        ({"AlphaS_MZ": "0.118?"}, "AlphaS_MZ: expected a number, got"),
        ({"MCharm": 0.0}, "MCharm: expected a number > 0, got 0"),
        ({"MCharm": 5.0}, "expected to increase"),
        ({"NumFlavors": 2}, "NumFlavors: expected 3 to 6, got 2"),
    ],
)
def test_an_info_file_that_fixes_too_little_is_refused(changes, message):
    info = {key: value for key, value in {**INFO, **changes}.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        theory_of(info)


def test_flavours_change_at_thresholds_and_never_exceed_those_of_the_set():
    assert [active_flavours(THEORY, q) for q in (1.0, 1.28, 2.0, 4.18, 100.0, 500.0)] == [3, 4, 4, 5, 5, 5]
    assert active_flavours(THEORY, 1.28, below=True) == 3
    assert active_flavours(theory_of({**INFO, "NumFlavors": 6}), 500.0) == 6
    assert active_flavours(theory_of({**INFO, "FlavorScheme": "fixed", "NumFlavors": 3}), 500.0) == 3


def test_a_threshold_knot_belongs_to_the_subgrid_it_stands_in():
    blocks = [(1.0, 1.28), (1.28, 2.0, 4.18), (4.18, 10.0, 4180.0)]
    assert flavours_of_blocks(THEORY, blocks) == [[3, 3], [4, 4, 4], [5, 5, 5]]
    # one subgrid over all thresholds, and one that ends at a threshold that nothing follows
    assert flavours_of_blocks(THEORY, [(1.0, 1.28, 4.18, 10.0)]) == [[3, 4, 5, 5]]
    assert flavours_of_blocks(THEORY, [(1.4, 4.18)]) == [[4, 5]]


def test_six_digits_are_enough_to_be_on_a_threshold():
    assert active_flavours(THEORY, 4.18 * (1 - 1e-6)) == 5
    assert active_flavours(THEORY, 4.18 * (1 - 1e-4)) == 4


@given(st.floats(1.0, 3.0), st.floats(50.0, 1e5), st.integers(10, 80))
def test_standard_scales_cover_everything_in_subgrids_of_equal_flavours(q0, q_max, n_scales):
    blocks = standard_scales(THEORY, q0, q_max, n_scales)
    assert (blocks[0][0], blocks[-1][-1]) == (q0, q_max)
    assert all(one[-1] == two[0] for one, two in itertools.pairwise(blocks))
    assert all(len(knots) >= 4 and (np.diff(knots) > 0).all() for knots in blocks)
    flavours = flavours_of_blocks(THEORY, blocks)
    assert all(len(set(nf)) == 1 for nf in flavours)
    assert [nf[0] for nf in flavours] == sorted({nf[0] for nf in flavours})


def test_assumptions_name_what_the_file_leaves_open():
    assert "the number of flavours changes at the quark masses" in assumptions(INFO, THEORY)
    assert any("AlphaS_OrderQCD is 2" in text for text in assumptions({**INFO, "AlphaS_OrderQCD": 2}, THEORY))
    fixed = {**INFO, "ThresholdCharm": 1.28}
    assert "the number of flavours changes at the quark masses" not in assumptions(fixed, theory_of(fixed))


def test_nodes_are_the_knots_thinned_to_the_number_asked_for():
    source = np.geomspace(1e-9, 1, 30)
    assert nodes_of([X, X], source).tolist() == X.tolist()
    many = np.geomspace(1e-7, 1, 500)
    thin = nodes_of([many], source, most=40)
    assert len(thin) == 40
    assert (thin[0], thin[-1]) == (many[0], 1.0)
    assert set(thin) <= set(many)
    with pytest.raises(ValueError, match=r"given from x = 0\.01, but the x knots begin at 0\.001"):
        nodes_of([X], np.array([0.01, 1.0]))
    with pytest.raises(ValueError, match=r"x knots end at 0\.9"):
        nodes_of([[1e-3, 0.9]], source)


def test_the_name_of_an_operator_changes_with_everything_that_decides_it():
    def name(theory=INFO, start=(1.65, 4), targets=((10.0, 5),), x=X, solver=Solver(), version="1"):  # noqa: B008
        return digest(make_cards(theory_of(theory), start, targets, x, solver), version)

    changed = [
        name(),
        name({**INFO, "AlphaS_MZ": 0.1181}),
        name({**INFO, "MCharm": 1.3}),
        name({**INFO, "OrderQCD": 0}),
        name(start=(1.65, 3)),
        name(start=(1.66, 4)),
        name(targets=((10.0, 4),)),
        name(x=np.delete(X, 2)),
        name(solver=Solver(degree=3)),
        name(solver=Solver(iterations=1)),
        name(version="2"),
    ]
    assert len(set(changed)) == len(changed)
    assert name(targets=((10.0, 5), (10.0, 5))) == name()


@pytest.mark.parametrize("x", [X[:-1], X[:4], X[::-1], np.append(0.0, X)])
def test_nodes_that_eko_cannot_use_are_refused(x):
    with pytest.raises(ValueError, match="x nodes: expected at least 5, increasing from above 0 to 1"):
        make_cards(THEORY, (1.65, 4), [(10.0, 5)], x)


def test_columns_are_those_of_export_grids():
    names = {21: "GLUON", 22: "PHT", 1: "D", 2: "U", 3: "S", 4: "C", 5: "B", 6: "T"}
    expected = [names[pid] if pid > 0 else f"{names[-pid]}BAR" for pid in EXPORT_PIDS]
    assert expected == list(LABELS)


def test_operators_are_turned_to_x_f_and_to_the_order_of_export_grids():
    rng = np.random.default_rng(1)
    operator = rng.standard_normal((14, 6, 14, 6))
    f = rng.standard_normal((3, 14, 6))  # photon first, as in eko
    expected = np.einsum("ajbk,rbk->raj", operator, f) * X
    found = evolve_rows(to_export_order(operator, X), np.roll(f * X, -1, axis=1))
    np.testing.assert_allclose(found, np.roll(expected, -1, axis=1), rtol=1e-10, atol=1e-12)


def test_a_replica_evolves_to_the_same_bits_among_any_others():
    rng = np.random.default_rng(2)
    operator, values = rng.standard_normal((14, 6, 14, 6)), rng.standard_normal((2 * ROWS + 5, 14, 6))
    together = evolve_rows(operator, values)
    for first in range(0, len(values), ROWS):
        assert np.array_equal(
            evolve_rows(operator, values[first : first + ROWS]), together[first : first + ROWS]
        )
    assert np.array_equal(evolve_rows(operator, values[:3]), together[:3])


def test_shifts_are_those_put_in():
    rng = np.random.default_rng(5)
    original = rng.normal(10.0, 1.0, (400, 2, 6))
    original[:, :, -1] = 0.0
    moved = original.copy()
    moved[:, 1] += 0.5
    one, two = shifts((21, 2), 10.0, original, moved)
    assert (one.pid, one.percent, one.deviations, one.worst) == (21, 0.0, 0.0, 0.0)
    assert two.percent == pytest.approx(5.0, rel=0.02)
    assert two.deviations == pytest.approx(0.5, rel=0.1)
    assert is_noticeable([one, two])
    assert not is_noticeable([one])
    assert shifts((21,), 10.0, np.zeros((3, 1, 6)), np.ones((3, 1, 6))) == []


def test_without_the_library_one_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        LaunchError, match=r"eko is not installed; install it with .*compress-mpi\[evolution\]"
    ):
        library.eko_version()
    with pytest.raises(LaunchError, match="eko is not installed"):
        card_module.eko_cards(make_cards(THEORY, (1.65, 4), [(10.0, 5)], X))


def test_compiled_code_of_the_library_outlives_changes_of_this_programs_source(monkeypatch, tmp_path):
    from numba.core import config

    own = tmp_path / "compress-mpi" / "numba-0123456789abcdef"
    before = config.CACHE_DIR
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(own))
    with library._own_place("9.9"):
        assert str(tmp_path / "compress-mpi" / "eko-9.9-numba") == config.CACHE_DIR
    assert before == config.CACHE_DIR
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "mine"))
    with library._own_place("9.9"):
        assert before == config.CACHE_DIR
