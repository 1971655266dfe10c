"""How figures look: colours, names, axes, and how they are saved.

Sizes suit a slide of 13.3 x 7.5 inches: a figure as wide as the slide has letters
of 12 points and more. Nothing here uses pyplot, so no state outlives a figure.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec

import numpy as np

from compress_mpi.errors import OutputError
from compress_mpi.io.atomic import atomic_write
from compress_mpi.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "DPI",
    "ESTIMATOR_LABELS",
    "LOOKS",
    "RANDOM_SHADES",
    "SLIDE_WIDTH",
    "Look",
    "estimator_label",
    "flavour_label",
    "flavour_text",
    "make_folder",
    "mixed_x_axis",
    "new_figure",
    "robust_limits",
    "save_figure",
    "shared_legend",
    "styled",
]

P = ParamSpec("P")

SLIDE_WIDTH = 13.3
"""Inches."""
DPI = 150
"""Of PNG files."""

RANDOM_SHADES = {"90": "#e3e6ea", "68": "#c3c9d1", "50": "#98a2af"}
"""Greys of the 90, 68 and 50 % bands of random subsets."""

# matplotlib types the keys by a list that changes between releases
_RC: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 14,
    "axes.titlesize": 16,
    "axes.labelsize": 15,
    "xtick.labelsize": 13,
    "ytick.labelsize": 13,
    "legend.fontsize": 13,
    "legend.frameon": False,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "lines.linewidth": 2.0,
    "hatch.linewidth": 1.2,
    "axes.axisbelow": True,
}


@dataclass(frozen=True)
class Look:
    """How one set is drawn wherever it appears.

    Attributes
    ----------
    colour : str
        Of lines and hatches.
    fill : str or None
        Colour of the band; None leaves it open.
    hatch : str or None
    line : str
        Line style of the edges at one standard deviation.
    marker : str
    """

    colour: str
    fill: str | None
    hatch: str | None
    line: str
    marker: str


# The palette of Okabe and Ito, which the common kinds of colour blindness keep apart;
# hatches and markers differ as well, for grey printers.
LOOKS = (
    Look("#0072B2", "#9ecae9", None, "--", "o"),
    Look("#D55E00", None, "////", ":", "D"),
    Look("#009E73", None, "\\\\\\\\", "-.", "s"),
    Look("#CC79A7", None, "....", "-.", "^"),
    Look("#E69F00", None, "xxxx", "--", "v"),
)
"""Looks of the sets of a figure in order; the first one, the prior, is a filled band."""

ESTIMATOR_LABELS = {
    "mean": "mean",
    "stdev": "standard deviation",
    "skewness": "skewness",
    "kurtosis": "kurtosis",
    "moment5th": "5th moment",
    "moment6th": "6th moment",
    "kolmogorov_smirnov": "Kolmogorov-Smirnov",
    "correlation": "correlation",
}

_QUARKS = {1: "d", 2: "u", 3: "s", 4: "c", 5: "b", 6: "t"}
_OTHERS = {0: "g", 21: "g", 22: "\\gamma"}


def estimator_label(name: str) -> str:
    """Name of an estimator as people write it."""
    return ESTIMATOR_LABELS.get(name, name)


def flavour_label(pid: int) -> str:
    """Name of a flavour in math text, without the dollar signs."""
    if abs(pid) in _QUARKS:
        return _QUARKS[pid] if pid > 0 else rf"\bar{{{_QUARKS[-pid]}}}"
    return _OTHERS.get(pid, rf"\mathrm{{{pid}}}")


def flavour_text(pid: int) -> str:
    """Name of a flavour in plain text: ``g``, ``u``, ``ubar``."""
    if abs(pid) in _QUARKS:
        return _QUARKS[abs(pid)] + ("bar" if pid < 0 else "")
    return {0: "g", 21: "g", 22: "photon"}.get(pid, str(pid))


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorator: draw a figure in the style of this module, whatever the user's matplotlibrc says."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        import matplotlib as mpl

        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(_RC)
            return draw(*args, **kwargs)

    return drawn


def new_figure(
    width: float, height: float, layout: Literal["constrained", "compressed"] = "constrained"
) -> Figure:
    """An empty figure on the Agg canvas.

    Parameters
    ----------
    width, height : float
        Inches.
    layout : {"constrained", "compressed"}
        ``compressed`` for panels of a fixed shape, such as images.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def make_folder(folder: Path) -> Path:
    """The folder, made if it is missing.

    Raises
    ------
    OutputError
        If it cannot be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be made: {error.strerror or error}; choose another folder"
        ) from error
    return folder


def save_figure(figure: Figure, folder: Path, name: str) -> bytes:
    """Write ``name.png`` and ``name.pdf``.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    folder : Path
        Created if it is missing.
    name : str

    Returns
    -------
    bytes
        The PNG.

    Raises
    ------
    OutputError
        If the folder or a file cannot be written.
    """
    make_folder(folder)
    files = {"png": _png(figure), "pdf": _pdf(figure)}
    for kind, data in files.items():
        atomic_write(folder / f"{name}.{kind}", data)
    return files["png"]


# The canvases are asked directly: savefig draws a figure twice to leave room for what sticks out,
# which the layout engine has seen to.
def _png(figure: Figure) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    figure.set_dpi(DPI)
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    # the layout was found at this drawing; looking for it again would give the same
    figure.set_layout_engine("none")
    return buffer.getvalue()


def _pdf(figure: Figure) -> bytes:
    from matplotlib.backends.backend_pdf import FigureCanvasPdf

    buffer = io.BytesIO()
    FigureCanvasPdf(figure).print_pdf(buffer, metadata={"CreationDate": None})
    return buffer.getvalue()


def _forward(x: FloatArray) -> FloatArray:
    x = np.asarray(x, dtype=np.float64)
    low = np.log10(np.maximum(x, 1e-30) / 0.1)
    return np.where(x < 0.1, low, (x - 0.1) / (0.1 * np.log(10)))


def _backward(u: FloatArray) -> FloatArray:
    u = np.asarray(u, dtype=np.float64)
    return np.where(u < 0, 0.1 * 10.0 ** np.minimum(u, 0), 0.1 + u * 0.1 * np.log(10))


def mixed_x_axis(axes: Axes, x: FloatArray, label: bool = True) -> None:
    """A momentum-fraction axis, logarithmic below 0.1 and linear above, smooth in between.

    Both ends of a parton density are of interest, and neither axis shows both.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    x : float64 (x,)
        Nodes; they set the limits.
    label : bool
        Whether to write numbers and the name.
    """
    low, high = float(x.min()), float(x.max())
    axes.set_xscale("function", functions=(_forward, _backward))
    decades = [10.0**k for k in range(-9, -1)]
    major = [t for t in (*decades, 0.1, 0.3, 0.5, 0.7, 0.9) if low <= t * 1.0001 and t <= high * 1.0001]
    minor = [k * d for d in decades for k in range(2, 10)] + [0.2, 0.4, 0.6, 0.8, 1.0]
    axes.set_xticks(major, [_tick(t) if label else "" for t in major])
    axes.set_xlim(low, high)
    _mark_minor(axes, [t for t in minor if low < t < high])
    if label:
        axes.set_xlabel("$x$")


def _mark_minor(axes: Axes, at: Sequence[float]) -> None:
    """Minor ticks of an axis and of those that share it, as marks of one line at each end.

    matplotlib would make objects of a dozen parts of each, for half the time of a figure.
    """
    import matplotlib as mpl
    from matplotlib.lines import Line2D
    from matplotlib.markers import TICKDOWN, TICKUP, MarkerStyle

    look: Any = {
        "markersize": mpl.rcParams["xtick.minor.size"],
        "markeredgewidth": mpl.rcParams["xtick.minor.width"],
        "color": mpl.rcParams["xtick.color"],
    }
    for panel in axes.get_shared_x_axes().get_siblings(axes):
        for height, mark in ((0.0, TICKUP), (1.0, TICKDOWN)):
            marks = Line2D(
                at, [height] * len(at), linestyle="none", marker=MarkerStyle(mark), clip_on=False, **look
            )
            marks.set_transform(panel.get_xaxis_transform())
            marks.set_in_layout(False)
            panel.add_artist(marks)


def _tick(value: float) -> str:
    return f"$10^{{{round(np.log10(value))}}}$" if value < 0.09 else f"{value:g}"


def robust_limits(values: Iterable[FloatArray], margin: float = 0.08) -> tuple[float, float]:
    """Limits that show every finite value, with some room."""
    everything = np.concatenate([np.ravel(v) for v in values])
    everything = everything[np.isfinite(everything)]
    if not everything.size:
        return 0.0, 1.0
    low, high = float(everything.min()), float(everything.max())
    room = margin * (high - low) or margin * max(abs(high), 1.0)
    return low - room, high + room


def shared_legend(figure: Figure, handles: Sequence[Any], labels: Sequence[str], title: str = "") -> None:
    """One legend above all panels, in two columns where the figure is narrow."""
    columns = len(labels) if figure.get_figwidth() > 0.8 * SLIDE_WIDTH else 2
    figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=max(columns, 1),
        title=title or None,
        title_fontsize=16,
    )
