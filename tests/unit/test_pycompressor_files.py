"""Files of pyCompressor: what we write it can read, what it writes we can read."""

from __future__ import annotations

import ast
import json
import math
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from compress_mpi.errors import OutputError, StoreError
from compress_mpi.io.pycompressor import (
    CompressDat,
    merge_erf_line,
    random_bands,
    read_compress_dat,
    read_erf_lines,
    write_compress_dat,
)
from compress_mpi.methods.selection.normalisation import central_interval

BANDS = ["rcv", "rmd", "l50", "u50", "l68", "u68", "l90", "u90"]

# --- compress_<PDF>_<N>_output.dat --------------------------------------------


def test_selection_round_trip(tmp_path):
    path = tmp_path / "ABC/compress_ABC_3_output.dat"
    write_compress_dat(path, "ABC", np.array([0.3, 0.1]), np.array([4, 17, 10001]))
    assert read_compress_dat(path) == CompressDat("ABC", (0.3, 0.1), (4, 17, 10001))


def test_selection_has_the_exact_layout_of_pycompressor(tmp_path):
    write_compress_dat(tmp_path / "f.dat", "ABC", [0.5], [1, 2])
    expected = '{\n  "pdfset_name": "ABC",\n  "ERFs": [\n    0.5\n  ],\n  "index": [\n    1,\n    2\n  ]\n}'
    assert (tmp_path / "f.dat").read_text() == expected


def test_selection_of_pycompressor_with_its_slips(tmp_path):
    path = tmp_path / "f.dat"
    path.write_text(json.dumps({"index": [0, 7, 7], "ERFs": [], "pdfset_name": "A_enhanced"}))
    assert read_compress_dat(path) == CompressDat("A_enhanced", (), (0, 7, 7))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON: .*line 1, column 2"),
        ("[1]", "expected a JSON object"),
        ("[" * 100_000, "not usable JSON"),
        ('{"ERFs": [], "index": [1]}', "pdfset_name: missing"),
        ('{"pdfset_name": 3, "ERFs": [], "index": [1]}', "pdfset_name: expected the name"),
        ('{"pdfset_name": "A", "index": [1]}', "ERFs: missing"),
        ('{"pdfset_name": "A", "ERFs": ["x"], "index": [1]}', "ERFs: expected a list of numbers"),
        (
            '{"pdfset_name": "A", "ERFs": [1' + "0" * 400 + '], "index": [1]}',
            "ERFs: expected a list of numbers",
        ),
        ('{"pdfset_name": "A", "ERFs": []}', "index: missing"),
        ('{"pdfset_name": "A", "ERFs": [], "index": []}', "index: expected a list of replica numbers"),
        ('{"pdfset_name": "A", "ERFs": [], "index": [1.0]}', "index: expected a list of replica numbers"),
        ('{"pdfset_name": "A", "ERFs": [], "index": [true]}', "index: expected a list of replica numbers"),
        ('{"pdfset_name": "A", "ERFs": [], "index": [-1]}', "index: expected a list of replica numbers"),
        ('{"pdfset_name": "A", "ERFs": [], "index": 1}', "index: expected a list of replica numbers"),
    ],
)
def test_damaged_selection_is_refused(tmp_path, text, message):
    path = tmp_path / "f.dat"
    path.write_text(text)
    with pytest.raises(StoreError, match=rf"f\.dat: {message}"):
        read_compress_dat(path)


def test_unreadable_selections(tmp_path):
    (tmp_path / "binary.dat").write_bytes(b"\x89HDF\r\n\xff")
    with pytest.raises(StoreError, match=r"binary\.dat: not a text file"):
        read_compress_dat(tmp_path / "binary.dat")
    with pytest.raises(StoreError, match=r"absent\.dat: cannot be read: No such file"):
        read_compress_dat(tmp_path / "absent.dat")
    with pytest.raises(StoreError, match="cannot be read"):
        read_compress_dat(tmp_path)


def test_selection_below_a_file_is_refused(tmp_path):
    (tmp_path / "ABC").touch()
    with pytest.raises(OutputError, match="ABC"):
        write_compress_dat(tmp_path / "ABC/f.dat", "ABC", [], [1])


# --- bands ---------------------------------------------------------------------


def test_bands_of_a_thousand_trials():
    trials = np.random.default_rng(1).permutation(np.arange(1000.0))
    bands = random_bands(trials)
    assert list(bands) == BANDS
    # 1000 (1 - 0.68) / 2 is 159.999... in floating point, and both existing codes cut it to 159.
    assert [bands[key] for key in BANDS[2:]] == [250, 749, 159, 840, 49, 950]
    assert bands["rcv"] == bands["rmd"] == 499.5


@pytest.mark.parametrize("n", [20, 21, 99, 1000, 1234])
@pytest.mark.parametrize("percent", [50, 68, 90])
def test_bands_are_the_intervals_of_the_normalisation(n, percent):
    lower, upper = central_interval(n, percent / 100)
    bands = random_bands(np.arange(float(n)))
    assert (bands[f"l{percent}"], bands[f"u{percent}"]) == (lower, upper)


@given(arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6)))
def test_bands_are_nested_trials(trials):
    bands = random_bands(trials)
    order = [bands[key] for key in ("l90", "l68", "l50", "u50", "u68", "u90")]
    assert order == sorted(order)
    assert set(order) <= set(trials.tolist())
    assert bands["l50"] <= bands["rmd"] <= bands["u50"]
    assert all(type(value) is float for value in bands.values())


@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e6, 1e6)), st.randoms())
def test_bands_do_not_depend_on_the_order_of_trials(trials, random):
    shuffled = trials.tolist()
    random.shuffle(shuffled)
    one, two = random_bands(trials), random_bands(np.array(shuffled))
    assert {key: one[key] for key in BANDS[1:]} == {key: two[key] for key in BANDS[1:]}
    assert one["rcv"] == pytest.approx(two["rcv"], rel=1e-12, abs=1e-6)


def test_bands_leave_the_trials_alone_and_need_some():
    trials = np.array([3.0, 1.0, 2.0])
    random_bands(trials)
    assert trials.tolist() == [3.0, 1.0, 2.0]
    with pytest.raises(ValueError, match="at least one"):
        random_bands(np.array([]))


# --- erfs_output/*.dat -----------------------------------------------------------


def test_lines_round_trip_and_read_as_python(tmp_path):
    path = tmp_path / "erfs_output/erf_randomized.dat"
    bands = {"mean": random_bands(np.arange(5.0)), "correlation": random_bands(np.arange(7.0))}
    merge_erf_line(path, 50, bands)
    merge_erf_line(path, 20, {"mean": np.float64(1.5), "stdev": np.float32(0.5), "kurtosis": np.int64(2)})
    assert read_erf_lines(path) == {50: bands, 20: {"mean": 1.5, "stdev": 0.5, "kurtosis": 2}}
    first, second = path.read_text().splitlines()
    assert first.startswith('50:{"mean": {"rcv": 2.0, "rmd": 2.0, ')
    # pyCompressor's own reader takes what stands after the colon as a Python literal.
    assert ast.literal_eval(second.split(":", 1)[1]) == {"mean": 1.5, "stdev": 0.5, "kurtosis": 2}


def test_line_of_the_same_size_is_replaced_and_others_keep_every_byte(tmp_path):
    path = tmp_path / "erf_reduced.dat"
    path.write_bytes(
        b'100:{"mean":1}\n50:{"mean": 2}\n  \n# odd line \xff\n5:{"a": 1}\n50:{"mean": 3}\n500:{}'
    )
    merge_erf_line(path, 50, {"mean": 9.0})
    assert path.read_bytes() == (
        b'100:{"mean":1}\n50:{"mean": 9.0}\n  \n# odd line \xff\n5:{"a": 1}\n500:{}\n'
    )
    merge_erf_line(path, 7, {"mean": 1.0})
    assert path.read_bytes().endswith(b'500:{}\n7:{"mean": 1.0}\n')
    assert os.listdir(tmp_path) == ["erf_reduced.dat"]


def test_repeated_sizes_of_pycompressor_last_wins(tmp_path):
    path = tmp_path / "erf_reduced.dat"
    path.write_text('50:{"mean": 2}\n\n100 : {"mean": 5}\n50:{"mean": NaN}\n')
    lines = read_erf_lines(path)
    assert list(lines) == [50, 100]
    assert math.isnan(lines[50]["mean"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("4 3.32 3.33", "expected a size, a colon and a JSON object"),
        ("-4:{}", "expected a size"),
        ("50:[1]", "expected a JSON object of estimators after '50:'"),
        ("50:{'mean': 1}", "not valid JSON"),
        ("50:", "not valid JSON"),
        ('50:{"mean": 1', "not valid JSON"),
    ],
)
def test_malformed_line_is_named(tmp_path, line, message):
    path = tmp_path / "erf_reduced.dat"
    path.write_text(f'20:{{"mean": 1}}\n\n{line}\n')
    with pytest.raises(StoreError, match=rf"erf_reduced\.dat: line 3: {message}"):
        read_erf_lines(path)


def test_missing_file_of_lines(tmp_path):
    with pytest.raises(StoreError, match=r"erf_reduced\.dat: cannot be read"):
        read_erf_lines(tmp_path / "erf_reduced.dat")


def test_folder_in_place_of_the_file(tmp_path):
    with pytest.raises(OutputError, match="cannot be read to add a line"):
        merge_erf_line(tmp_path, 50, {})


def test_jobs_that_share_a_folder_lose_no_line(tmp_path):
    path = tmp_path / "erf_reduced.dat"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: merge_erf_line(path, n, {"mean": float(n)}), range(2, 42)))
    assert read_erf_lines(path) == {n: {"mean": float(n)} for n in sorted(read_erf_lines(path))}
    assert set(read_erf_lines(path)) == set(range(2, 42))


@settings(deadline=None, max_examples=40)  # writes files
@given(
    st.dictionaries(
        st.integers(0, 10**6),
        st.dictionaries(st.text(), st.floats(allow_nan=False)),
        min_size=1,
        max_size=6,
    )
)
def test_any_lines_come_back(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("erfs") / "erf_reduced.dat"
    for n, values in lines.items():
        merge_erf_line(path, n, {"old": 0.0})
        merge_erf_line(path, n, values)
    assert read_erf_lines(path) == lines
