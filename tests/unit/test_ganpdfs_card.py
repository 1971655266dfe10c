"""Runcards of ganpdfs: published ones load, wrong ones are refused (one file each under bad_inputs/ganpdfs)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from compress_mpi.errors import RuncardError
from compress_mpi.io.gancard_keys import FLAT, IDLE, GanCard
from compress_mpi.io.ganpdfs import load_gan_card
from compress_mpi.methods.enhancement.gan import GanSettings
from compress_mpi.models import specification
from compress_mpi.models.specification import Network, Optimizer

BAD = sorted((Path(__file__).parents[1] / "bad_inputs/ganpdfs").glob("*.yml"))

REFERENCE = """
pdf: NNPDF40
q: 1.65
x_grid: standard
nb_xpoints: 500
use_saved_model: False
architecture: dnn
gan_parameters:
  optimizer: {optimizer_name: Adam, learning_rate: 0.00005}
  loss: wasserstein
gen_parameters:
  structure: custom
  size_networks: 1
  kernel_initializer: glorot_uniform
  activation: leakyrelu
  use_bias: False
disc_parameters:
  size_networks: 1
  number_nodes: 250
  use_bias: False
  kernel_initializer: glorot_uniform
  weights_constraints: 1
  gp_weight: 10
  gp_loss: 1.0
  optimizer: {optimizer_name: RMSprop, learning_rate: 0.0005}
  loss: wasserstein
  activation: relu
nd_steps: 4
ng_steps: 1
batch_size: 50
epochs: 1000
"""

EARLY = """
pdf: NNPDF31
x_grid: custom
architecture: dcnn
g_nodes: 256
d_nodes: 128
g_act: leakyrelu
d_act: elu
d_opt: rms
gan_opt: sgd
epochs: 5000
batch_size: 32
nd_steps: 4
ng_steps: 3
add_xlayer: False
preprocessing: False
"""


@pytest.fixture
def load(tmp_path):
    def load_text(text: str):
        (tmp_path / "card.yml").write_text(text)
        return load_gan_card(tmp_path / "card.yml")

    return load_text


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_wrong_card_is_refused_in_one_line(path):
    head, code = path.read_text().split("\n", 1)[0].rsplit("; exit ", 1)
    with pytest.raises(RuncardError) as caught:
        load_gan_card(path)
    message = str(caught.value)
    assert caught.value.exit_code == int(code)
    assert message.startswith(f"{path}: ")
    assert len(message.splitlines()) == 1
    for expected in head.removeprefix("# expect: ").split(" | "):
        assert expected in message


def test_there_is_a_wrong_card_for_every_kind_of_key():
    said = " ".join(path.read_text() for path in BAD)
    assert len(BAD) > 25
    assert all(section in said for section in ("gan_parameters", "gen_parameters", "disc_parameters"))


def test_all_problems_come_in_one_message(load):
    with pytest.raises(RuncardError) as caught:
        load("epochs: 0\nfoo: 1\nbatch_size: 0\ngen_parameters: {nodes: 3}\n")
    assert len(str(caught.value).splitlines()) == 4


def test_the_reference_card_means_what_it_says(load):
    source = load(REFERENCE)
    settings = GanSettings.of(source.settings)
    assert settings.architecture == "dnn"
    assert settings.latent == "replicas"
    assert settings.generator == Network((128,), "leakyrelu", False)
    assert settings.critic == Network((250, 125), "relu", False)
    assert settings.generator_optimizer == Optimizer("Adam", 5e-5)
    assert settings.critic_optimizer == Optimizer("RMSprop", 5e-4)
    assert (settings.critic_steps, settings.generator_steps, settings.epochs) == (4, 1, 1000)
    assert settings.batch(1006) == 503
    assert (settings.penalty, settings.clip) == (10.0, 1.0)
    assert source.card.pdf == "NNPDF40"
    assert source.saved_model is None
    assert [line.split(": ")[1] for line in source.warnings] == ["q", "x_grid", "nb_xpoints"]


def test_an_early_card_loads_too(load):
    source = load(EARLY)
    settings = GanSettings.of(source.settings)
    assert settings.architecture == "dcnn"
    assert settings.latent == "replicas"
    assert settings.generator.hidden == (256,)
    assert settings.critic.hidden == (128, 64)
    assert settings.critic.activation == "elu"
    assert (settings.critic_optimizer.name, settings.generator_optimizer.name) == ("RMSprop", "SGD")
    assert len(source.warnings) == 3


def test_a_card_without_a_setting_has_the_published_defaults(load):
    settings = GanSettings.of(load("pdf: demo\n").settings)
    assert (settings.critic_steps, settings.generator_steps) == (4, 3)
    assert (settings.penalty, settings.clip, settings.architecture) == (10.0, None, "dnn")


def test_no_penalty_where_its_factor_is_zero(load):
    assert load("disc_parameters: {gp_loss: 0, weights_constraints: 0.01}").settings["penalty"] == 0.0


@pytest.mark.parametrize("key", IDLE)
def test_keys_without_effect_are_accepted_with_a_reason(load, key):
    section, _, name = key.rpartition(".")
    source = load(f"{section}: {{{name}: 1}}\n" if section else f"{name}: 1\n")
    (warning,) = source.warnings
    assert f"{key}: without effect here: {IDLE[key]}" in warning
    assert source.settings == load("pdf: demo\n").settings


def test_the_generators_own_loss_may_be_anything_in_either_spelling(load):
    for text in ("gen_parameters: {loss: mse, optimizer: {x: 1}}", "g_loss: mse\ng_opt: sgd"):
        assert len(load(text).warnings) == 2


def test_saved_model(load, tmp_path):
    assert load("use_saved_model: true").saved_model == tmp_path / "pre-trained-model.h5"
    assert load("use_saved_model: runs/output.h5").saved_model == tmp_path / "runs/output.h5"
    assert load("use_saved_model: /there/output.h5").saved_model == Path("/there/output.h5")


@pytest.mark.parametrize("spelled", ["GlorotUniform", "glorot_uniform", "glorotuniform"])
def test_initializers_of_keras_in_either_spelling(load, spelled):
    settings = load(f"gen_parameters: {{kernel_initializer: {spelled}}}").settings
    assert settings["generator"]["kernel_initializer"] == "glorot_uniform"


def test_words_of_the_card_are_those_of_the_networks(load):
    """io knows nothing of the networks, so their words stand in both places."""
    for field, names in (
        ("activation", specification.ACTIVATIONS),
        ("kernel_initializer", specification.INITIALIZERS),
        ("bias_initializer", specification.BIAS_INITIALIZERS),
    ):
        for name in names:
            settings = load(f"disc_parameters: {{{field}: {name}}}").settings
            assert settings["critic"][field] == name
    for name in specification.OPTIMIZERS:
        text = f"gan_parameters: {{optimizer: {{optimizer_name: {name.lower()}}}}}"
        assert load(text).settings["generator_optimizer"]["name"] == name


def test_every_setting_of_a_card_reaches_the_networks(load):
    settings = load("pdf: demo\n").settings
    assert asdict(GanSettings.of(settings)).keys() >= settings.keys()


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(RuncardError, match=r"absent\.yml: no such GAN runcard; check gans\.runcard"):
        load_gan_card(tmp_path / "absent.yml")
    with pytest.raises(RuncardError, match="cannot be read"):
        load_gan_card(tmp_path)
    (tmp_path / "large").write_bytes(b"a" * (1 << 21))
    with pytest.raises(RuncardError, match="larger than 1 MiB"):
        load_gan_card(tmp_path / "large")
    (tmp_path / "latin").write_bytes(b"pdf: \xe9\n")
    with pytest.raises(RuncardError, match="not UTF-8"):
        load_gan_card(tmp_path / "latin")


def test_every_flat_key_has_a_place():
    for section, name in FLAT.values():
        known = type(GanCard.model_fields[section].default).model_fields
        assert name in known or f"{section}.{name}" in IDLE
