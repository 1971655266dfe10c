"""Runcards: accepted forms, refusals (one file each under bad_inputs/runcards), overrides, comparison."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from compress_mpi.errors import RuncardError
from compress_mpi.io import runcard, values
from compress_mpi.io.runcard_keys import ALIASES, CANONICAL, GAN_KEYS
from compress_mpi.io.runcard_yaml import parse_yaml
from compress_mpi.io.settings import CompressConfig, Estimators
from compress_mpi.methods.selection import estimators as numerics
from compress_mpi.types import ESTIMATORS

ROOT = Path(__file__).parents[2]
BAD_CARDS = sorted((ROOT / "tests/bad_inputs/runcards").glob("*.yml"))
SIX = ("mean", "stdev", "skewness", "kurtosis", "kolmogorov_smirnov", "correlation")
MINIMAL = "pdf: demo\ncompressed: 50\n"


@pytest.fixture
def load(tmp_path):
    def load_text(text: str, *overrides: str) -> runcard.RuncardSource:
        path = tmp_path / "card.yml"
        path.write_text(text, encoding="utf-8")
        return runcard.load_runcard(path, overrides)

    return load_text


def expectations(path: Path) -> list[str]:
    first = path.read_bytes().split(b"\n", 1)[0].decode()
    head, code = first.rsplit("; exit ", 1)
    assert head.startswith("# expect: ")
    assert code == "2"
    return head.removeprefix("# expect: ").split(" | ")


# --- refusals ---------------------------------------------------------------


def test_there_are_bad_cards():
    assert len(BAD_CARDS) >= 25


@pytest.mark.parametrize("path", BAD_CARDS, ids=lambda path: path.stem)
def test_bad_card_is_refused_naming_file_and_problem(path):
    with pytest.raises(RuncardError) as caught:
        runcard.load_runcard(path)
    message = str(caught.value)
    assert caught.value.exit_code == 2
    assert all(line.startswith(f"{path}: ") for line in message.splitlines())
    for expected in expectations(path):
        assert expected in message


def test_all_problems_come_in_one_message(load):
    with pytest.raises(RuncardError) as caught:
        load("pdf: 3\ncompressed: many\nfoo: 1\nq0: -1\nest_dic: {moment_estimators: [men, correlation]}\n")
    assert len(str(caught.value).splitlines()) == 6


@pytest.mark.parametrize("raw", [b"", b"\n\n", b"# only a comment\n", b"null\n"])
def test_file_without_content(tmp_path, raw):
    path = tmp_path / "card.yml"
    path.write_bytes(raw)
    with pytest.raises(RuncardError, match=r"card\.yml: expected a mapping.*an empty file"):
        runcard.load_runcard(path)


def test_missing_file(tmp_path):
    with pytest.raises(RuncardError, match=r"absent\.yml: no such runcard"):
        runcard.load_runcard(tmp_path / "absent.yml")


def test_folder_instead_of_a_file(tmp_path):
    with pytest.raises(RuncardError, match="is a folder"):
        runcard.load_runcard(tmp_path)


def test_unreadable_file():
    unreadable = Path("/proc/self/mem")  # reading its start fails even for root
    if not unreadable.exists():
        pytest.skip("needs Linux /proc")
    with pytest.raises(RuncardError, match="/proc/self/mem: cannot be read"):
        runcard.load_runcard(unreadable)


def test_large_file_is_not_taken_for_a_runcard(tmp_path):
    path = tmp_path / "result.h5"
    path.write_bytes(b"a" * (1 << 21))
    with pytest.raises(RuncardError, match="larger than 1 MiB"):
        runcard.load_runcard(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 3000, "nested too deeply"),
        (MINIMAL + "seed: 1" + "0" * 5000, "too many digits"),
        (MINIMAL + "q0: 1" + "0" * 400, "q0: expected a number > 0"),
        (MINIMAL + "nf: !!bool maybe", "unfit for its '!!' tag"),
        (MINIMAL + "nf: !!timestamp x", "unfit for its '!!' tag"),
        (MINIMAL + "time_limit: 1" + "0" * 400, "time_limit: expected a time"),
        ("pdf: demo\ncompressed: &a [*a]\n", "compressed: expected auto, an integer"),
        (MINIMAL + '"se\\ned": 3\n', r"'se\ned': unknown key; did you mean 'seed'?"),
        (MINIMAL + "1: 2\n", "1: unknown key"),
        (MINIMAL + "? [a, b]\n: 2\n", "line 3"),
        (MINIMAL + "est_dic:\n", "est_dic: no estimator is listed"),
        (MINIMAL + "est_dic: {}\n", "est_dic: no estimator is listed"),
    ],
)
def test_hostile_content_ends_in_a_message(load, text, message):
    with pytest.raises(RuncardError) as caught:
        load(text)
    assert message in str(caught.value)
    assert all("card.yml: " in line for line in str(caught.value).splitlines())


@pytest.mark.parametrize("task", ["scan", "fit", "simulate", "infer"])
def test_later_tasks_are_named_and_nothing_else(load, task):
    with pytest.raises(RuncardError) as caught:
        load(f"task: {task}\nunknown: 1\n")
    assert str(caught.value).endswith(
        f"task: this release runs 'compress', 'enhance' and 'events', not '{task}'"
    )


@settings(deadline=None)  # writes files
@given(st.text(max_size=200))
def test_any_text_loads_or_is_refused(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.yml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(RuncardError, match=r"any\.yml"):
        runcard.load_runcard(path)


# --- accepted forms -----------------------------------------------------------


def test_defaults_of_a_minimal_card(load):
    config = load(MINIMAL).config
    assert config == CompressConfig(pdf="demo", compressed=50)
    assert (config.compressed, config.minimizer, config.max_iteration, config.seed) == (
        (50,),
        "tempering",
        15000,
        0,
    )
    assert (config.q0, config.nf, config.xgrid, config.definition, config.trials) == (
        1.65,
        4,
        "published",
        "paper",
        1000,
    )
    assert (config.islands, config.time_limit, config.checkpoint_interval, config.output) == (
        None,
        None,
        60.0,
        None,
    )
    assert (config.task, config.backend, config.existing_enhanced, config.gans.enhance) == (
        "compress",
        "auto",
        False,
        False,
    )
    assert config.estimators.names == SIX


def test_published_nested_runcard_loads_unchanged():
    source = runcard.load_runcard(ROOT / "tests/data/legacy-nested.yml")
    config = source.config
    assert (config.pdf, config.existing_enhanced) == ("NNPDF40_nnlo_as_0118_1000", False)
    assert (config.compressed, config.minimizer) == ((100,), "genetic")
    assert config.estimators.names == SIX
    assert config.gans.model_dump() == {"enhance": False, "runcard": "ganpdfs", "total_replicas": 3000}
    assert source.warnings == ()


def test_flat_runcard_of_the_manual_loads_unchanged():
    source = runcard.load_runcard(ROOT / "tests/data/legacy-flat.yml")
    config = source.config
    assert config.pdf == "PN3_GLOBAL_NNPDF31_nnlo_as_0118_070219-001"
    assert (config.compressed, config.minimizer, config.q0) == ((50,), "cma", 1.65)
    assert config.estimators.names == ESTIMATORS
    assert (config.gans.enhance, config.gans.total_replicas) == (False, 1000)
    (warning,) = source.warnings
    assert all(key in warning for key in GAN_KEYS)
    assert "legacy-flat.yml" in warning
    assert "without effect" in warning


@pytest.mark.parametrize(
    "name",
    [
        *("demo", "combined", "published-nested", "published-flat", "jam21"),
        *("published-enhanced", "enhanced-jam21"),
    ],
)
def test_shipped_runcards_load(name):
    source = runcard.load_runcard(ROOT / f"runcards/{name}.yml")
    assert source.config.max_iteration == 15000
    assert source.text.startswith("#")


def test_portfolio_card_is_what_it_says():
    config = runcard.load_runcard(ROOT / "runcards/portfolio.yml").config
    assert (config.minimizer, config.max_evaluations, config.stagnation) == ("portfolio", 1_000_000, 5000)
    assert config.portfolio.islands == {"tempering": 4, "exchange": 1, "genetic": 2, "cma": 0}


def test_demo_card_is_the_first_run():
    config = runcard.load_runcard(ROOT / "runcards/demo.yml").config
    assert (config.pdf, config.compressed, config.minimizer) == ("demo", (50,), "tempering")


@pytest.mark.parametrize("alias", ALIASES)
def test_both_spellings_mean_the_same_and_may_agree(load, alias):
    value = {
        "pdf": "abc",
        "combined_name": "both",
        "minimizer": "cma",
        "existing_enhanced": "False",
        "descent": "False",
        "enhance": "off",
    }.get(alias, "7")
    section, name = ALIASES[alias].split(".")
    pdf = "pdf: [abc, demo]\n" if alias == "combined_name" else "pdf: demo\n"
    base = "compressed: 50\n" + ("" if alias == "pdf" else pdf)
    top = load(f"{base}{alias}: {value}\n").effective
    nested = load(f"{base}{section}: {{{name}: {value}}}\n").effective
    both = load(f"{base}{alias}: {value}\n{section}: {{{name}: {value}}}\n").effective
    assert top == nested == both
    assert top[section][name] in (value, False) or float(top[section][name]) == float(value)


def test_true_and_one_are_not_the_same_setting(load):
    with pytest.raises(RuncardError, match="seed: given twice, 1 here and true as minimization"):
        load(MINIMAL + "seed: 1\nminimization: {seed: true}\n")


def test_empty_sections_are_absent_sections(load):
    assert load(MINIMAL + "minimization:\ngans:\npdfsetting:\n").config == load(MINIMAL).config


@pytest.mark.parametrize(
    ("lists", "names"),
    [
        ("moment_estimators: [stdev, mean]", ("mean", "stdev")),
        ("corr_estimators: [correlation]\n  stat_estimators: []\n  moment_estimators:", ("correlation",)),
        (
            "stat_estimators: [kolmogorov_smirnov]\n  moment_estimators: [moment6th]",
            ("moment6th", "kolmogorov_smirnov"),
        ),
    ],
)
def test_estimator_lists_may_be_absent_empty_or_null(load, lists, names):
    assert load(f"{MINIMAL}est_dic:\n  {lists}\n").config.estimators.names == names


@pytest.mark.parametrize(
    ("written", "expected"),
    [("[20, 50, 100]", (20, 50, 100)), ("[2]", (2,)), ("2", (2,)), ("1_000", (1000,))],
)
def test_sizes(load, written, expected):
    assert load(f"pdf: demo\ncompressed: {written}\n").config.compressed == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("lhapdf", "lhapdf"),
        ("[1e-5, 0.1]", (1e-5, 0.1)),
        ("[.5]", (0.5,)),
    ],
)
def test_xgrid(load, written, expected):
    assert load(f"{MINIMAL}xgrid: {written}\n").config.xgrid == expected


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("3600", 3600.0),
        ("1e3", 1000.0),
        ("0.5", 0.5),
        ("02:30:00", 9000.0),
        ("12:30:00", 45000.0),
        ("100:00:01", 360001.0),
        ("1-00:00:10", 86410.0),
        ("90m", 5400.0),
        ("1h30m", 5400.0),
        ("1h 30m", 5400.0),
        ("2 d", 172800.0),
        ("1.5H", 5400.0),
        ("45s", 45.0),
    ],
)
def test_times(load, written, seconds):
    config = load(f"{MINIMAL}time_limit: {written}\ncheckpoint_interval: {written}\n").config
    assert (config.time_limit, config.checkpoint_interval) == (seconds, seconds)


@pytest.mark.parametrize(
    "written", ["", " ", "h", "30", "1h30", "1m1h", "-5s", "0s", "00:00:00", "1:60:00", "९s"]
)
def test_times_that_are_none(written):
    with pytest.raises(ValueError, match="expected a time > 0"):
        values.seconds(written)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59))
def test_clock_and_units_agree(hours, minutes, seconds):
    total = 3600 * hours + 60 * minutes + seconds
    if total:
        assert values.seconds(f"{hours:02}:{minutes:02}:{seconds:02}") == total
        assert values.seconds(f"{hours}h{minutes}m{seconds}s") == total


@pytest.mark.parametrize("name", ["demo", "210219-02-rs-nnpdf40-1000", "EPPS16nlo_CT14nlo_Pb208", "a.b+c"])
def test_set_names(name):
    assert values.set_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/3", "/abs", "two words", "a\\b", "a\n", "a\0"])
def test_names_that_are_no_sets(name):
    with pytest.raises(ValueError, match="expected the name of an LHAPDF set"):
        values.set_name(name)


# --- YAML ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1e5", 1e5),
        ("-2E+3", -2000.0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        (".inf", float("inf")),
        ("12", 12),
        ("-3", -3),
        ("+3", 3),
        ("010", "010"),
        ("0x10", "0x10"),
        ("12:30:00", "12:30:00"),
        ("2024-01-31", "2024-01-31"),
        ("True", True),
        ("off", False),
        ("~", None),
        ("1e", "1e"),
        ("e5", "e5"),
        ("'1e5'", "1e5"),
    ],
)
def test_scalars(text, value):
    parsed = parse_yaml(text, "here")
    assert parsed == value
    assert type(parsed) is type(value)


def test_merged_keys_may_be_overridden():
    text = "base: &b {a: 1, c: 2}\nmid: &m {<<: *b, a: 3}\nlast: {<<: *m, a: 4}\n"
    assert parse_yaml(text, "here") == {
        "base": {"a": 1, "c": 2},
        "mid": {"a": 3, "c": 2},
        "last": {"a": 4, "c": 2},
    }


def test_byte_order_mark_and_windows_lines(tmp_path):
    path = tmp_path / "card.yml"
    path.write_bytes(b"\xef\xbb\xbfpdf: demo\r\ncompressed: 50\r\n")
    assert runcard.load_runcard(path).config.pdf == "demo"


# --- overrides ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("minimization.seed=3", "seed", 3),
        ("seed=3", "seed", 3),
        ("compressed=[20,50]", "compressed", (20, 50)),
        ("q0=2", "q0", 2.0),
        ("q0 = 2", "q0", 2.0),
        ("pdf=abc", "pdf", "abc"),
        ("pdfsetting.pdf=abc", "pdf", "abc"),
        ("pdfsetting={pdf: abc}", "pdf", "abc"),
        ("time_limit=02:30:00", "time_limit", 9000.0),
        ("islands=null", "islands", None),
        ("output=a=b.h5", "output", "a=b.h5"),
        ("xgrid=[1e-4, 1e-1]", "xgrid", (1e-4, 0.1)),
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        "pdf: demo\ncompressed: 50\nseed: 8\n",
        "pdfsetting: {pdf: demo}\ncompressed: 50\nminimization: {seed: 8}\nislands: 4\n",
    ],
)
def test_override_replaces_any_spelling(load, text, override, key, value):
    source = load(text, override)
    assert getattr(source.config, key) == value
    assert source.text == text
    assert source.overrides == (override,)


def test_override_settles_a_conflict(load):
    text = MINIMAL + "seed: 1\nminimization: {seed: 2}\n"
    assert load(text, "seed=3").config.seed == 3


def test_last_override_counts(load):
    assert load(MINIMAL, "seed=1", "minimization.seed=2").config.seed == 2


def test_override_of_one_estimator_list_keeps_the_others(load):
    text = MINIMAL + "est_dic: {moment_estimators: [mean], corr_estimators: [correlation]}\n"
    config = load(text, "est_dic.moment_estimators=[stdev, kurtosis]").config
    assert config.estimators.names == ("stdev", "kurtosis", "correlation")


def test_override_can_repair_a_card(load):
    assert load("pdf: demo\ncompressed: many\n", "compressed=20").config.compressed == (20,)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed", "--set seed: expected key=value"),
        ("=3", "--set =3: expected key=value"),
        ("sede=3", "--set: sede: unknown key; did you mean 'seed'?"),
        ("minimization.sede=3", "--set: minimization.sede: unknown key; did you mean 'seed'?"),
        ("minimisation.seed=3", "--set: minimisation.seed: unknown key; did you mean 'minimization.seed'?"),
        ("minimization.seed=x", "--set: minimization.seed: expected an integer from 0"),
        ("compressed=[20,", "--set compressed=[20,: line 1"),
        (
            "compressed=",
            "--set: compressed: expected auto, an integer >= 2 or a list of them, got an empty value",
        ),
        ("task=scan", "--set: task: this release runs 'compress'"),
        ("gans.enhance=yes please", "--set: gans.enhance: expected true or false"),
        ("generator=magic", "--set: generator.kind: expected 'auto', 'mix', 'kde', 'flow' or 'gan'"),
        ("polish.radius=0", "--set: polish.radius: expected a number > 0"),
        ("launch.environment={1: x}", "--set: launch.environment: expected names of environment variables"),
        ("launch.modules=[a b]", "--set: launch.modules: expected a list of names without blanks"),
    ],
)
def test_bad_overrides(load, override, message):
    with pytest.raises(RuncardError) as caught:
        load(MINIMAL, override)
    assert message in str(caught.value)


# --- normalised content -----------------------------------------------------------


def test_effective_is_json_in_canonical_order(load):
    effective = load("compressed: [50, 20]\nseed: 3\npdf: demo\nxgrid: [0.1, 0.2]\n").effective
    assert json.loads(json.dumps(effective)) == effective
    assert list(effective)[:4] == ["task", "pdfsetting", "compressed", "minimization"]
    assert list(effective["minimization"]) == [
        *("minimizer", "max_iteration", "max_evaluations", "max_seconds", "stagnation", "descent", "seed")
    ]
    assert effective["compressed"] == [50, 20]
    assert effective["xgrid"] == [0.1, 0.2]


def test_same_content_in_other_words_is_no_difference(load):
    one = load(MINIMAL + "seed: 3\nest_dic: {moment_estimators: [mean, stdev]}\ncheckpoint_interval: 1m\n")
    two = load(
        "est_dic: {moment_estimators: [stdev, mean], corr_estimators: []}\ncompressed: [50]\n"
        "minimization: {seed: 3, minimizer: tempering}\npdfsetting: {pdf: demo}\nq0: 1.65\n"
    )
    assert runcard.differences(one.effective, two.effective) == []
    assert json.dumps(one.effective) == json.dumps(two.effective)


def test_differences_name_key_and_both_values(load):
    old = json.loads(json.dumps(load(MINIMAL + "seed: 3\n").effective))
    new = load("pdf: demo\ncompressed: [20, 50]\nseed: 4\nbackend: neopdf\n").effective
    assert runcard.differences(old, new) == [
        "compressed: [50] in the file, [20, 50] now",
        "minimization.seed: 3 in the file, 4 now",
        "backend: 'auto' in the file, 'neopdf' now",
    ]


def test_keys_that_may_change_are_no_difference(load):
    new = load(MINIMAL + "time_limit: 60\ncheckpoint_interval: 5\noutput: elsewhere.h5\n")
    assert runcard.differences(load(MINIMAL).effective, new.effective) == []
    assert {key.partition(".")[0] for key in CANONICAL} >= runcard.RESUMABLE_KEYS


def test_differences_with_a_file_of_another_version(load):
    new = load(MINIMAL).effective
    old = {key: value for key, value in new.items() if key != "nf"} | {"gone": 1}
    assert sorted(runcard.differences(old, new)) == [
        "gone: 1 in the file, absent now",
        "nf: absent in the file, 4 now",
    ]


# --- the models ---------------------------------------------------------------------


def test_reference_describes_every_key_once():
    rows = runcard.describe()
    assert [row.key for row in rows] == list(CANONICAL)
    assert all(row.type and row.default and row.doc.endswith(".") for row in rows)
    table = {row.key: row for row in rows}
    assert table["compressed"].default == "required"
    assert table["minimization.max_iteration"].default == "15000"
    assert table["est_dic.moment_estimators"].default == '["mean", "stdev", "skewness", "kurtosis"]'
    assert "``seed``" in table["minimization.seed"].doc


def test_canonical_keys_cover_the_models_exactly():
    sections = ("estimators", "gans", "generator", "polish", "launch", "auto", "portfolio")
    leaves = {name for name in CompressConfig.model_fields if name not in sections}
    assert {path[0] for path in CANONICAL.values() if len(path) == 1} == leaves
    for section in sections:
        inner = CompressConfig.model_fields[section].annotation.model_fields
        assert {path[1] for path in CANONICAL.values() if path[0] == section} == set(inner)


def test_config_is_frozen_strict_and_travels_between_ranks():
    config = CompressConfig(
        pdf="demo", compressed=(20, 50), estimators=Estimators(moment_estimators=("mean",))
    )
    with pytest.raises(ValidationError):
        config.seed = 3
    with pytest.raises(ValidationError):
        CompressConfig(pdf="demo", compressed=50, sede=3)
    assert pickle.loads(pickle.dumps(config)) == config


def test_estimator_names_are_those_of_the_numerics():
    assert ESTIMATORS == numerics.ESTIMATORS


def test_estimators_need_one():
    with pytest.raises(ValidationError, match="no estimator is listed"):
        Estimators()
