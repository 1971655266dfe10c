"""Events runcards: every key is checked, whatever way it is given, before any work starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress_mpi.errors import RuncardError
from compress_mpi.io.runcard import load_runcard, task_of
from compress_mpi.io.runcard_events import (
    changed_settings,
    complete_events,
    describe_events,
    load_events_runcard,
)
from compress_mpi.io.settings_events import KEYS
from compress_mpi.io.values_events import BoundSetting, text_of_bound

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["events", "events-latent"])
def test_the_examples_load(name):
    source = load_events_runcard(ROOT / f"runcards/{name}.yml")
    assert source.config.input == ("demo",)
    assert task_of(ROOT / f"runcards/{name}.yml") == "events"
    with pytest.raises(RuncardError, match="task: events is not for this command"):
        load_runcard(ROOT / f"runcards/{name}.yml")


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        (0.02, {"default": BoundSetting("absolute", 0.02)}),
        ("lossless", {"default": BoundSetting("lossless", 0.0)}),
        ({"relative": 1e-3}, {"default": BoundSetting("relative", 1e-3)}),
        (
            {"pt": 1, "m": {"mean": 0.5}, "default": "lossless"},
            {
                "pt": BoundSetting("absolute", 1.0),
                "m": BoundSetting("mean", 0.5),
                "default": BoundSetting("lossless", 0.0),
            },
        ),
    ],
)
def test_bounds_in_every_form(bound, expected):
    assert complete_events({"input": "a.npy", "bound": bound}).bound == expected


def test_overrides_reach_one_column_and_one_key():
    config = complete_events({"input": "a.npy", "bound": 0.1}, ["bound.pt={rms: 2}", "flow=model2", "seed=4"])
    assert config.bound == {"default": BoundSetting("absolute", 0.1), "pt": BoundSetting("rms", 2.0)}
    assert (config.flow.preset, config.seed) == ("model2", 4)
    assert changed_settings(config) == {
        "bound": {"default": {"absolute": 0.1}, "pt": {"rms": 2.0}},
        "seed": 4,
        "flow.preset": "model2",
    }
    assert changed_settings(complete_events({"input": "b.npy", "output": "x", "report": True})) == {}
    assert text_of_bound(config.bound["pt"]) == "rms 2"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "card: input: missing; expected demo, a file"),
        ({"input": []}, "card: input: expected demo, a file"),
        ({"input": ["demo", "a.npy"]}, "card: input: demo stands alone"),
        ({"input": "a", "task": "event"}, "card: task: expected 'events', got 'event'"),
        ({"input": "a", "bounds": 1}, "card: bounds: unknown key; did you mean 'bound'?"),
        ({"input": "a", "bound": {}}, "card: bound: expected a number > 0"),
        ({"input": "a", "bound": True}, "card: bound: expected a number > 0, got true"),
        ({"input": "a", "bound": {"pt": {"mean": 1, "rms": 2}}}, "card: bound: pt: expected one of absolute"),
        ({"input": "a", "bound": "losless"}, "did you mean 'lossless'?"),
        ({"input": "a", "columns": [1]}, "card: columns: expected a list of different names"),
        ({"input": "a", "dtype": "float"}, "card: dtype: default: expected one of bool, int8"),
        ({"input": "a", "name": "a/b"}, "card: name: expected a name of letters"),
        ({"input": "a", "output": " "}, "card: output: expected a path"),
        ({"input": "a", "bits": [13, 13]}, "card: bits: 13 is listed twice"),
        ({"input": "a", "bits": 0}, "card: bits: expected an integer from 1 to 31"),
        ({"input": "a", "flow": "model3"}, "card: flow.preset: expected 'model1' or 'model2', got 'model3'"),
        (
            {"input": "a", "flow": {"depth": 3}},
            "card: flow.depth: unknown key; known in flow: preset, family",
        ),
        ({"input": "a", "training": {"validation": 1.5}}, "card: training.validation: expected a number"),
        ({"input": "a", "training": {"rate": float("nan")}}, "card: training.rate: expected a number > 0"),
        ({"input": "a", "preprocess": {"knots": 1}}, "card: preprocess.knots: expected an integer >= 2"),
        ({"input": "a", "time_limit": "30:00"}, "card: time_limit: expected a time > 0"),
        ("events", "expected a mapping of keys such as 'input: NAME'"),
    ],
)
def test_bad_values_are_named(content, message):
    with pytest.raises(RuncardError) as caught:
        complete_events(content, where="card")
    assert message in str(caught.value)


def test_the_reference_has_every_key_with_its_words():
    rows = describe_events()
    assert [row.key for row in rows] == list(KEYS.canonical)
    assert all(row.type and row.doc for row in rows)
    assert {row.key: row.default for row in rows}["bound"] == '{"default": {"range": 0.0001}}'


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=50)
@given(st.sampled_from([key for key in KEYS.canonical if "." not in key]), VALUES)
def test_any_value_is_taken_or_refused(key, value):
    said = ""
    try:
        complete_events({"input": "a.npy", key: value}, where="card")
    except RuncardError as error:
        said = str(error)
    assert all(line.startswith("card: ") for line in said.splitlines())
