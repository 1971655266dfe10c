"""One HTML file with everything in it: style, pictures and the numbers as JSON.

Nothing is fetched from anywhere when the page is opened; a content security policy
inside it makes sure of that.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from compress_mpi.io.report.axes import human_bytes
from compress_mpi.io.report.style import DPI, SLIDE_WIDTH, estimator_label, flavour_text

__all__ = ["Article", "Group", "Plot", "Table", "render_page", "render_template"]


@dataclass(frozen=True)
class Plot:
    """A figure on the page.

    Attributes
    ----------
    name : str
        Stem of its files in the folder ``plots``.
    caption : str
        A sentence or two below it.
    alt : str
        What it shows, for those who cannot see it.
    png : bytes
    """

    name: str
    caption: str
    alt: str
    png: bytes = field(repr=False)

    @property
    def width(self) -> float:
        """Width in per cent of a slide: letters are then of one size in all figures of a page."""
        pixels = int.from_bytes(self.png[16:20], "big")  # where the header of a PNG has it
        return min(100.0, round(100.0 * pixels / (SLIDE_WIDTH * DPI), 1))

    @property
    def source(self) -> str:
        """The picture as a data URI."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


@dataclass(frozen=True)
class Table:
    """Numbers or words in rows.

    Attributes
    ----------
    head : sequence of str
    rows : sequence of sequences of str
    caption : str
        Below it.
    words : bool
        Whether the last column is text, which may be long.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    words: bool = True


@dataclass(frozen=True)
class Group:
    """Figures under one heading, after a text and before tables."""

    title: str
    plots: Sequence[Plot]
    text: str = ""
    tables: Sequence[Table] = ()


@dataclass(frozen=True)
class Article:
    """One result.

    Attributes
    ----------
    anchor : str
        Unique on the page.
    facts : mapping
        Of the result, as in the embedded JSON.
    groups : sequence of Group
    missing : sequence of str
        What cannot be shown, and why.
    """

    anchor: str
    facts: Mapping[str, Any]
    groups: Sequence[Group]
    missing: Sequence[str]


def render_page(
    title: str, articles: Sequence[Article], overview: Sequence[Group], generator: Mapping[str, str]
) -> str:
    """The page as text.

    Parameters
    ----------
    title : str
    articles : sequence of Article
    overview : sequence of Group
        Figures about all results together.
    generator : mapping
        Program, version and time of writing.

    Returns
    -------
    str
        HTML. The facts of all articles are in ``<script type="application/json" id="report-data">``.
    """
    return render_template(
        "report.html.j2",
        [article.facts for article in articles],
        title=title,
        articles=articles,
        overview=overview,
        generator=generator,
    )


def render_template(
    name: str, results: Sequence[Mapping[str, Any]], *, generator: Mapping[str, str], **values: Any
) -> str:
    """A page from one of the templates, which share style, contents and footer.

    Parameters
    ----------
    name : str
        File in the folder ``templates``.
    results : sequence of mapping
        What the page says as numbers; embedded as JSON.
    generator : mapping
        Program, version and time of writing.
    **values
        What else the template names.

    Returns
    -------
    str
        HTML.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("compress_mpi.io.report", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        number=_number,
        percent=lambda value: f"{100 * value:.2g} %",
        flavour=flavour_text,
        flavours=lambda pids: " = ".join(flavour_text(pid) for pid in pids),
        estimator=lambda name: "total" if name == "total" else estimator_label(name),
        duration=_duration,
        bytes=human_bytes,
    )
    data = {"generator": dict(generator), "results": [dict(facts) for facts in results]}
    return environment.get_template(name).render(generator=generator, data=_json(data), **values)


def _json(data: Any) -> Any:
    import markupsafe

    text = json.dumps(_finite(data), indent=1, allow_nan=False)
    # inside <script> nothing is unescaped, so the only danger is a tag that ends it
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return markupsafe.Markup(text)


def _finite(data: Any) -> Any:
    """The same with null for NaN and infinities, which JSON does not know."""
    if isinstance(data, Mapping):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "–"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
