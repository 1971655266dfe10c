"""The published problem: JAM21PDF_proton_nlo with a runcard of the existing tool."""

from __future__ import annotations

import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from cli_tools import PROGRAM
from mpirun import mpirun

NAME = "JAM21PDF_proton_nlo"
SETS = next(
    (Path(d) for d in os.environ.get("LHAPDF_DATA_PATH", "").split(":") if d and (Path(d) / NAME).is_dir()),
    None,
)
pytestmark = [
    pytest.mark.mpi,
    pytest.mark.realdata,
    pytest.mark.skipif(SETS is None, reason=f"LHAPDF_DATA_PATH names no folder that holds {NAME}"),
]

# the runcard of pyCompressor, but for the minimizer: that is the default
RUNCARD = f"""
pdfsetting:
  pdf: {NAME}
  existing_enhanced: False
compressed: [50, 100]
est_dic:
  corr_estimators:
    - correlation
  stat_estimators:
    - kolmogorov_smirnov
  moment_estimators:
    - mean
    - stdev
    - skewness
    - kurtosis
gans  :
  enhance : False
  runcard : ganpdfs
  total_replicas: 3000
"""
PYCOMPRESSOR_ERF = {50: 0.0889, 100: 0.0731}
"""What pyCompressor reaches after 15,000 iterations at nf = 3."""


def x_nodes():
    """The published nodes from their description: exponents 16/99 apart, then steps of 0.9/49."""
    return np.concatenate([10 ** ((16.0 * np.arange(25) - 491) / 99), 0.1 + 0.9 * np.arange(45) / 49])


def prior_values(nf):
    """All members, member 0 among them, straight from the reader, (member, flavour, x)."""
    from neopdf.pdf import PDF

    pids = [*range(-nf, 0), 21, *range(1, nf + 1)]
    members = sorted((SETS / NAME).glob("*.dat"))
    return np.array(
        [PDF.mkPDF_lhapdf_file(str(m)).xfxQ2s(pids, x_nodes().tolist(), [1.65**2]) for m in members]
    )


def independent_erf(prior, subset, norm, kept):
    """The error function written once more, from the papers, with nothing of the package."""

    def estimators(f):
        m, s = f.mean(0), f.std(0, ddof=1)
        regions = np.stack(
            [(f <= m - 2 * s), (f <= m - s), (f <= m), (f <= m + s), (f <= m + 2 * s), np.full(f.shape, True)]
        ).sum(1)
        regions = np.diff(regions, axis=0, prepend=0) / len(f)
        moments = {n: ((f - m) ** k).mean(0) / s**k for n, k in (("skewness", 3), ("kurtosis", 4))}
        return {"mean": m, "stdev": s, **moments, "kolmogorov_smirnov": regions}

    def correlation(f):
        points = np.array([f[:, i, j] for i, j in kept]).T
        return np.corrcoef(points, rowvar=False)

    g, f = estimators(prior), estimators(subset)
    terms = {}
    for name in g:
        used = g[name] != 0
        terms[name] = (((f[name] - g[name])[used] / g[name][used]) ** 2).sum()
    p = correlation(prior)
    inverse = np.linalg.inv(p)
    wanted = np.trace(p @ inverse)
    terms["correlation"] = ((np.trace(correlation(subset) @ inverse) - wanted) / wanted) ** 2
    return np.mean([terms[name] / norm[name] for name in norm])


def compressed(folder, *overrides):
    (folder / "runcard.yml").write_text(RUNCARD)
    words = [word for override in overrides for word in ("--set", override)]
    result = mpirun(
        2,
        [PROGRAM, "runcard.yml", "-q", *words],
        cwd=folder,
        env={"LHAPDF_DATA_PATH": str(SETS)},
        timeout=500,
    )
    assert result.returncode == 0, result.stderr
    return result


def read(path):
    with h5py.File(path) as file:
        index, erf = file["/selection/index"][:], float(file["/selection"].attrs["erf"])
        norm = {name: float(group.attrs["normalisation"]) for name, group in file["/estimators"].items()}
        kept = file["/estimators/correlation/points"][:]
        dropped = file["/estimators/correlation/dropped"][:]
    return index, erf, norm, kept, dropped


@pytest.fixture(scope="module")
def three_flavours(tmp_path_factory):
    """The default search, in the definition of pyCompressor."""
    folder = tmp_path_factory.mktemp("nf3")
    compressed(folder, "nf=3", "definition=pycompressor")
    return folder


@pytest.mark.parametrize("n", [50, 100])
def test_better_than_pycompressor_in_its_own_definition(three_flavours, n):
    index, erf, norm, kept, dropped = read(three_flavours / f"compress_{NAME}_{n}.h5")
    assert len(set(index.tolist())) == n
    assert erf < PYCOMPRESSOR_ERF[n]
    assert len(dropped) == 0
    prior = prior_values(3)
    assert prior.shape == (1007, 7, 70)
    assert independent_erf(prior, prior[index], norm, kept) == pytest.approx(erf, rel=1e-9)


@pytest.mark.parametrize("n", [50, 100])
def test_in_seconds_and_with_a_certificate(three_flavours, n):
    """pyCompressor needs a minute on two cores; a busy machine takes its time here too."""
    with h5py.File(three_flavours / f"compress_{NAME}_{n}.h5") as file:
        seconds, erfs = file["/history/seconds"][:], file["/history/erf"][:]
        assert file["/selection"].attrs["local_optimum"] == 1
        assert file["/history"].attrs["ended_by"] == "budget"
        assert file["/launches/ranks"][:].tolist() == [2]
    assert seconds[-1] < 120
    # its own ERF is reached long before the end
    assert seconds[np.argmax(erfs < PYCOMPRESSOR_ERF[n])] < 0.5 * seconds[-1]


def test_default_flavours_where_pycompressor_stops(tmp_path):
    """Charm equals anticharm in this set: the correlation matrix of nf = 4 is singular."""
    result = compressed(tmp_path, "max_iteration=400")
    assert "5 of 45 points are determined by the others" in result.stderr
    prior = prior_values(4)[1:]
    for n in (50, 100):
        index, erf, norm, kept, dropped = read(tmp_path / f"compress_{NAME}_{n}.h5")
        assert index.min() >= 1
        assert dropped.tolist() == [[8, j] for j in (14, 28, 42, 56, 69)]
        assert independent_erf(prior, prior[index - 1], norm, kept) == pytest.approx(erf, rel=1e-9)


@pytest.mark.parametrize("n", [50, 100])
def test_the_compressed_set(three_flavours, n):
    """Members are the selected replicas to the last bit, member 0 is their mean."""
    from neopdf.pdf import PDF

    index, *_ = read(three_flavours / f"compress_{NAME}_{n}.h5")
    folder = three_flavours / f"{NAME}_compressed_{n}"
    files = sorted(folder.glob("*.dat"))
    assert len(files) == n + 1
    for written, replica in zip(files[1:], index, strict=True):
        assert written.read_bytes() == (SETS / NAME / f"{NAME}_{replica:04d}.dat").read_bytes()
    x, pids = np.geomspace(2e-6, 0.99, 60).tolist(), [-5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 21]
    for q in (1.2, 1.65, 4.5, 91.2, 300.0):
        values = np.array([PDF.mkPDF_lhapdf_file(str(f)).xfxQ2s(pids, x, [q * q]) for f in files])
        mean = values[1:].mean(0)
        scale = np.abs(values[1:]).max(0)
        # where replicas cancel, the seventh digit of the mean is that of the replicas
        assert np.abs(values[0] - mean).max() <= 1e-7 * scale.max()
        assert np.all(np.abs(values[0] - mean) <= 1e-7 * np.maximum(np.abs(mean), 1e-3 * scale))


def test_files_of_the_existing_tool(three_flavours):
    for n in (50, 100):
        index, erf, norm, *_ = read(three_flavours / f"compress_{NAME}_{n}.h5")
        content = json.loads((three_flavours / NAME / f"compress_{NAME}_{n}_output.dat").read_text())
        assert set(content) == {"pdfset_name", "ERFs", "index"}
        assert content["pdfset_name"] == NAME
        assert content["index"] == index.tolist()
        with h5py.File(three_flavours / f"compress_{NAME}_{n}.h5") as file:
            assert content["ERFs"] == pytest.approx(file["/history/erf"][:].tolist())
        assert content["ERFs"][-1] == pytest.approx(erf, rel=1e-6)
        for name in ("erf_randomized", "erf_reduced"):
            lines = (three_flavours / "erfs_output" / f"{name}.dat").read_text().splitlines()
            values = {int(line.split(":", 1)[0]): json.loads(line.split(":", 1)[1]) for line in lines}
            assert sorted(values) == [50, 100]
            assert set(values[n]) == set(norm)
            if name == "erf_randomized":
                assert set(values[n]["mean"]) == {"rcv", "rmd", "l50", "u50", "l68", "u68", "l90", "u90"}
                assert values[n]["mean"]["u68"] == pytest.approx(norm["mean"], rel=1e-12)
