"""Curves of a training: what is drawn, and that it can be read."""

from __future__ import annotations

import json

import numpy as np
import pytest

from compress_mpi.io.report.figures_enhance import draw_losses
from compress_mpi.workflows.stagefolder import write_losses

FLOW = {"train": np.linspace(30, 20, 40), "validation": np.linspace(31, 26, 40)}
GAN = {
    name: np.linspace(-1, 1, 40) * scale
    for name, scale in zip(("rdloss", "fdloss", "gploss", "advloss"), (5, 1, 0.1, 1), strict=True)
}


def texts(figure):
    from matplotlib.text import Text

    return [t for t in figure.findobj(Text) if t.get_visible() and t.get_text()]


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        (FLOW, {"epoch", "negative log-likelihood", "held-out replicas", "kept: epoch 30"}),
        (GAN, {"epoch", "gradient penalty", "score of real - score of generated", "loss of the generator"}),
        ({name: values[:1] for name, values in GAN.items()}, {"epoch"}),
    ],
    ids=["flow", "gan", "one epoch"],
)
def test_curves_are_labelled_and_readable(losses, words):
    figure = draw_losses(losses, 30)
    figure.canvas.draw()
    said = " ".join(text.get_text() for text in texts(figure))
    assert all(word in said for word in words)
    assert min(text.get_fontsize() for text in texts(figure)) >= 12


def test_the_distance_is_real_less_generated():
    lines = draw_losses(GAN).axes[0].lines
    (line,) = [line for line in lines if "score of real" in str(line.get_label())]
    np.testing.assert_allclose(line.get_ydata(), -GAN["rdloss"] - GAN["fdloss"])


def test_losses_are_written_with_the_published_names(tmp_path):
    write_losses(tmp_path / "losses_info.json", GAN)
    (content,) = json.loads((tmp_path / "losses_info.json").read_text())
    assert content == {name: values.tolist() for name, values in GAN.items()}
    assert {"rdloss", "fdloss", "advloss"} <= content.keys()
