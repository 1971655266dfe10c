"""The benchmarks run, and what they measure against computes the right thing."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import enhanced  # noqa: E402
import events_training  # noqa: E402
import floors  # noqa: E402
import jobs  # noqa: E402
import kernel  # noqa: E402
import large  # noqa: E402
import memory  # noqa: E402
import ranks  # noqa: E402
import run  # noqa: E402
import scaling  # noqa: E402
import search  # noqa: E402
import trials  # noqa: E402
import yardstick  # noqa: E402
from case import Case, Scale, find_set  # noqa: E402
from cli_tools import BAD  # noqa: E402
from compress_mpi.methods.selection.error_function import build_reference, distances, error_function  # noqa: E402
from compress_mpi.methods.selection.grid import correlation_nodes  # noqa: E402
from compress_mpi.types import ESTIMATORS  # noqa: E402
from measures import Outcome, ratios, table  # noqa: E402
from selection_tools import made_up_prior  # noqa: E402

TINY = Scale(
    repeats=2,
    sizes=(6,),
    generations=3,
    trials=20,
    seconds=0.001,
    chain_iterations=200,
    job_iterations=20,
    cold_starts=0,
    islands=16,
)


@pytest.fixture(scope="module")
def case():
    return Case("made-up", made_up_prior(), correlation_nodes(10, 3))


def values(outcome: Outcome, name: str) -> np.ndarray:
    (found,) = [measure.values for measure in outcome.measures if measure.name == name]
    return np.array(found)


def test_yardstick_computes_what_the_reference_does(case):
    """Two independent codes, all eight estimators."""
    reference = build_reference(case.values, ESTIMATORS, case.nodes)
    ours = yardstick.Yardstick(case.values, ESTIMATORS, case.nodes)
    rng = np.random.default_rng(3)
    for n_select in (5, 20, 60):
        index = rng.choice(60, n_select, replace=False)
        wanted = distances(case.values[index], reference)
        np.testing.assert_allclose(ours.distances(index), wanted, rtol=1e-9, atol=1e-18)


def test_yardstick_mutates_by_the_published_table():
    rng, parent = np.random.default_rng(4), np.arange(10_000)
    changed = [int((yardstick._mutate(parent, 10_000_000, rng) != parent).sum()) for _ in range(4000)]
    found = np.bincount(changed, minlength=5) / len(changed)
    np.testing.assert_allclose(found, [0, 0.3, 0.3, 0.1, 0.3], atol=0.03)


def test_yardstick_search_descends_and_says_what_it_selected(case):
    norm = case.normalisation(6, 50)
    found = [
        yardstick.search(case.yardstick, 6, norm, generations, np.random.default_rng(2))
        for generations in (0, 20, 200)
    ]
    assert found[0].erf > found[1].erf > found[2].erf
    assert found[2].erf == pytest.approx(
        error_function(case.values[found[2].members], case.reference, norm), rel=1e-9
    )
    assert found[2].duplicates == 6 - len(set(found[2].members.tolist()))


def test_kernel_benchmark_times_evaluations_that_agree(case):
    outcome = kernel.measure(case, TINY)
    for measure in outcome.measures:
        assert len(measure.values) == 2
        assert min(measure.values) > 0
    swap, reference = values(outcome, "N=6 swap"), values(outcome, "N=6 NumPy reference")
    np.testing.assert_array_equal(values(outcome, "N=6 swap / NumPy reference"), swap / reference)
    # the margin is a factor of hundred on an idle machine
    assert swap.min() > reference.max()


def test_trials_benchmark(case):
    outcome = trials.measure(case, TINY)
    theirs, ours = values(outcome, "N=6 yardstick"), values(outcome, "N=6 ours")
    np.testing.assert_array_equal(values(outcome, "N=6 yardstick / ours"), theirs / ours)
    assert min(*theirs, *ours) > 0


def test_floors_are_those_of_the_counted_work():
    peak = floors.Peak(operations=100.0, roots=10.0, near=1000.0, far=50.0)
    assert floors.floors(floors.Cost(200.0, 10.0, 1000.0, 100.0), peak) == (3.0, 3.0)
    few, many = floors.costs(64, 8, 56, 50), floors.costs(64, 8, 104, 100)
    # only the counts of values and the sums formed anew know the size of the subset
    for part in ("moments", "mean and spread", "correlation"):
        assert few[part] == many[part]
    for part in ("Kolmogorov-Smirnov", "accepted swap"):
        assert few[part].operations < many[part].operations
    twice = floors.costs(128, 8, 56, 50)
    assert twice["moments"].operations == 2 * few["moments"].operations


def test_floors_benchmark_measures_every_part(case):
    outcome = floors.measure(case, TINY)
    for part in floors.costs(64, 8, 8, 6):
        (ratio,) = values(outcome, f"N=6 {part}, from floor")
        (took,) = values(outcome, f"N=6 {part}")
        highest = max(
            values(outcome, f"N=6 {part}, floor from {what}")[0] for what in ("operations", "bytes")
        )
        assert ratio == pytest.approx(took / highest)
    assert values(outcome, "peak, multiplications and additions") > 0


def test_search_benchmark_meets_every_minimiser(case):
    outcome = search.measure(case, replace(TINY, generations=40))
    assert values(outcome, "N=6 yardstick ERF").min() > 0
    for name in ("tempering (1 island)", "tempering (8 islands)", "genetic (1 island)", "cma (2 islands)"):
        quality = values(outcome, f"N=6 {name}: ERF of yardstick / ours")
        erf = values(outcome, f"N=6 {name} ERF")
        np.testing.assert_allclose(quality * erf, values(outcome, "N=6 yardstick ERF"))
    # an epoch of sixteen islands is 16,000 mutants, against 200 of the yardstick
    assert values(outcome, "N=6 genetic (16 islands): ERF of yardstick / ours").min() > 1


def test_shortest_budget_is_the_first_that_is_as_good(case):
    norm = case.normalisation(6, 50)
    easy = search.Theirs([1e9, 1e9, 1e9], [60.0] * 3, [60.0] * 3, [0] * 3)
    iterations, seconds, erfs = search._soonest(case, norm, 6, 1, easy)
    assert iterations == search._FIRST_BUDGET
    assert len(seconds) == len(erfs) == 3
    hard = easy._replace(erfs=[float(np.median(erfs)) * 0.999] * 3)
    assert search._soonest(case, norm, 6, 1, hard)[0] > iterations
    hopeless = easy._replace(erfs=[0.0] * 3, seconds=[0.01] * 3)
    assert search._soonest(case, norm, 6, 1, hopeless) is None


def test_a_search_that_gives_up_counts_as_never(case):
    norm = case.normalisation(6, 50)
    hopeless = search._new_search(case, case.weights(norm), 6, 1, "genetic", 1)
    done = search._run(case, norm, hopeless, budget=0.01, target=0.0)
    assert ratios([0.01], [done.seconds]) == [0.0]
    assert np.isfinite(done.erf)


def test_efficiency_falls_with_ranks_and_with_the_network():
    compute = scaling.Compute(mean=0.01, slowest=0.01, report=1e-6, call=1e-6, iterations=150)
    cluster, slow = scaling.NETWORKS["cluster"], scaling.NETWORKS["ten times slower"]
    assert scaling.efficiency(compute, 50, 1, cluster) > 0.999
    found = [scaling.efficiency(compute, 50, ranks, cluster) for ranks in (2, 128, 1024, 8192)]
    assert found == sorted(found, reverse=True)
    assert scaling.efficiency(compute, 50, 1024, slow) < found[2]
    # a tenth more for the slowest island costs a tenth
    uneven = scaling.efficiency(compute._replace(slowest=0.011), 50, 1, cluster)
    assert uneven == pytest.approx(1 / 1.1, rel=1e-3)


def test_cost_of_a_collective_counts_rounds_and_bytes():
    network = scaling.Network(1e-6, 1e9)
    assert scaling.message_seconds(scaling.Message("allreduce", 8, 8), 1, network) == 0.0
    assert scaling.message_seconds(scaling.Message("allreduce", 0, 0), 1024, network) == pytest.approx(1e-5)
    gathered = scaling.Message("allgatherv", 1000, 1_000_000)
    assert scaling.message_seconds(gathered, 8, network) == pytest.approx(3e-6 + 1e-3)


@pytest.mark.mpi
def test_scaling_benchmark_predicts_from_what_it_measures(case):
    outcome = scaling.measure(case, TINY)
    assert values(outcome, "N=6 slowest island / mean") >= 1.0
    near, far = (values(outcome, f"N=6 {ranks} ranks, cluster: efficiency")[0] for ranks in scaling.RANKS)
    assert 0 < far < near <= 1


@pytest.mark.mpi
def test_trials_of_two_ranks_are_timed():
    seconds = trials.rank_seconds(TINY, "tiny", [BAD / "sets"], 4)
    assert len(seconds) == TINY.repeats
    assert min(seconds) > 0


@pytest.mark.mpi
def test_ranks_benchmark_runs_real_jobs():
    outcome = ranks.measure(replace(TINY, repeats=1), "tiny", [BAD / "sets"], n_select=4)
    for name in ("1 rank", "2 ranks"):
        assert values(outcome, f"evaluations, {name}").min() > 0
        assert 0.05 < values(outcome, f"start to first iteration, {name}, warm cache").max() < 120
    assert values(outcome, "evaluations, 2 ranks / 1 rank, by processor time").min() > 0


@pytest.mark.mpi
@pytest.mark.slow
def test_a_large_prior_is_stopped_and_its_memory_seen():
    if not Path("/proc/self/smaps_rollup").exists():
        pytest.skip("the proportional set size is a thing of Linux")
    scale = replace(TINY, large_replicas=60, large_select=10, large_ranks=2, large_seconds=12.0)
    outcome = large.measure(scale)
    assert 0.05 < outcome.value("most memory of all ranks") < 2.0
    assert outcome.value("evaluations, all ranks") > 1000


@pytest.mark.mpi
def test_a_job_that_fails_is_told(tmp_path):
    with pytest.raises(jobs.JobError, match=r"exit code 3; it said: compress-mpi: error: .*nowhere"):
        ranks.measure(replace(TINY, repeats=1), "nowhere", [tmp_path])


def test_memory_summary_counts_the_grid_once_or_often():
    mib = 2**20

    def rank(before: int, after: int) -> dict:
        memory_at = {kind: 40 * mib for kind in ("pss", "private", "resident")}
        return {
            "connected": memory_at,
            "reader": {**memory_at, "pss": before * mib},
            "loaded": {**memory_at, "pss": after * mib},
            "peak": 200 * mib,
        }

    found = {"grid": 80 * mib, "small": mib, "shape": [1000, 7, 1500], "ranks": [rank(40, 50)] * 8}
    assert memory.summarise(found, "x").value("sum of PSS increases / grid") == 1.0
    found["ranks"] = [rank(40, 120)] * 8
    assert memory.summarise(found, "x").value("sum of PSS increases / grid") == 8.0


def test_report_holds_machine_commit_and_ratios(tmp_path, monkeypatch, capsys):
    def outcomes(names, *_):
        outcome = Outcome("about it", {"set": "made-up"})
        outcome.add("ours / theirs", "x", [3.0, 1.0, 2.0])
        return {names[0]: outcome}, {"ranks": "no mpirun"}

    monkeypatch.setattr(run, "_outcomes", outcomes)
    # it would set thread counts for the tests that follow
    monkeypatch.setattr(run, "_prepare", lambda folder: None)
    path = tmp_path / "new" / "results.json"
    assert run.main(["--output", str(path), "--only", "kernel", "--quick"]) == 1
    report = json.loads(path.read_text())
    measure = report["benchmarks"]["kernel"]["measures"]["ours / theirs"]
    assert (measure["median"], measure["lowest"], measure["highest"]) == (2.0, 1.0, 3.0)
    assert measure["values"] == [3.0, 1.0, 2.0]
    assert report["failed"] == {"ranks": "no mpirun"}
    assert report["machine"]["cpu"]
    assert report["machine"]["cores_available"] >= 1
    assert len(report["machine"]["load_average_at_start"]) == 3
    assert {"python", "numpy", "numba"} <= set(report["versions"])
    assert report["commit"]["hash"]
    assert report["set"]["name"] == find_set()[0]
    printed = capsys.readouterr().out
    assert table({"kernel": outcomes(["kernel"])[0]["kernel"]}) in printed


def test_real_set_is_found_by_its_info_file(tmp_path, monkeypatch):
    monkeypatch.setenv("LHAPDF_DATA_PATH", f"{tmp_path / 'a'}:{tmp_path / 'b'}")
    assert find_set() == ("demo", ())
    folder = tmp_path / "b" / "JAM21PDF_proton_nlo"
    folder.mkdir(parents=True)
    (folder / "JAM21PDF_proton_nlo.info").touch()
    assert find_set() == ("JAM21PDF_proton_nlo", (tmp_path / "b",))


@pytest.mark.parametrize("words", [["--only", "nothing"], ["--generations", "0"], ["--quick", "--full"]])
def test_nonsense_is_refused_at_once(words, tmp_path):
    command = [sys.executable, BENCHMARKS / "run.py", "--output", tmp_path / "results.json", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "error: argument" in done.stderr
    assert not list(tmp_path.iterdir())


def test_enhanced_compares_at_equal_evaluations(case):
    outcome = enhanced.measure(case, TINY)
    for end in ("enhanced", "direct", "adiabatic", "prior alone, equal evaluations"):
        assert np.all(values(outcome, f"N = 6: {end}") > 0)
    best = np.minimum(values(outcome, "N = 6: direct"), values(outcome, "N = 6: adiabatic"))
    expected = np.minimum(best, values(outcome, "N = 6: prior alone, one phase"))
    assert np.array_equal(values(outcome, "N = 6: enhanced"), expected)
    assert np.all(values(outcome, "N = 6: the prior's selection, polished / not") <= 1)


def test_training_benchmark_times_epochs_and_says_who_is_missing(monkeypatch):
    for needed in ("torch", "zuko"):
        pytest.importorskip(needed, reason=f"{needed} is not installed (pip install 'compress-mpi[ml]')")
    monkeypatch.delenv("COMPRESS_MPI_EVENTS", raising=False)
    peers = {"zuko": events_training.PEERS["zuko"], "no_such_library": None}
    monkeypatch.setattr(events_training, "PEERS", peers)
    outcome = events_training.measure(replace(TINY, repeats=1, table_rows=300))
    assert outcome.settings["table"] == "made up"
    assert outcome.notes == ["no_such_library is not installed: left out"]
    assert outcome.value("wall time: ours / zuko") == pytest.approx(
        outcome.value("ours: epoch") / outcome.value("zuko: epoch")
    )
