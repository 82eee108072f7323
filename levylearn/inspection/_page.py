"""A page of HTML that needs nothing but itself: sections of text, tables and pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from string import Template
from typing import TYPE_CHECKING, Any, NamedTuple

from levylearn.utils._optional import import_optional

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Section", "page", "preformatted", "table"]

_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>$style</style>
<script>$script</script>
</head>
<body>
<header>
<h1>$title</h1>
<nav>$contents</nav>
</header>
<main>
$sections
</main>
<footer>$footer</footer>
</body>
</html>
""")
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 72rem; margin: 0 auto;
  padding: 1rem 1.5rem; }
h1 { font-size: 1.6rem; margin-bottom: 0.3rem; }
h2 { font-size: 1.2rem; border-bottom: 1px solid #ccc; margin-top: 2.2rem; }
h3 { font-size: 1rem; margin-bottom: 0; }
p { max-width: 48rem; }
nav a { margin-right: 1rem; white-space: nowrap; }
a { color: #0058a0; }
table.numbers { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
table.numbers th, table.numbers td { padding: 0.2rem 0.9rem 0.2rem 0; text-align: right; }
table.numbers th:first-child { text-align: left; font-weight: 600; }
table.numbers thead th { border-bottom: 1px solid #888; }
table.words td { text-align: left; overflow-wrap: anywhere; }
table.words th { vertical-align: top; white-space: nowrap; }
pre { background: #f5f5f5; padding: 0.8rem; white-space: pre-wrap; font-size: 0.85rem; }
figure { margin: 1rem 0; }
footer { color: #555; font-size: 0.9rem; margin-top: 3rem; border-top: 1px solid #ccc; }
"""
# Nothing leaves the page: a button that uploads what is drawn would be there otherwise.
_CONFIG = {
    "responsive": True,
    "displaylogo": False,
    "showSendToCloud": False,
    "plotlyServerURL": "",
}


class Section(NamedTuple):
    """A heading, what is to be said, and HTML or plotly figures below it."""

    title: str
    text: str
    parts: Sequence[Any]


def page(title: str, sections: Iterable[Section]) -> str:
    """Return the page; titles and texts are plain, parts that are strings are HTML.

    Parameters
    ----------
    title : str
        Of the page.
    sections : iterable of Section
        In their order.

    Returns
    -------
    html : str
        With the source of plotly.js once, and no reference to any other file.
    """
    offline = import_optional("plotly.offline", "calibration_report")
    script = offline.get_plotlyjs()
    sections = list(sections)
    names = [f"part-{number}" for number in range(1, len(sections) + 1)]
    contents = (
        f'<a href="#{name}">{escape(section.title)}</a>'
        for name, section in zip(names, sections, strict=True)
    )
    return _PAGE.substitute(
        title=escape(title),
        style=_STYLE,
        script=script,
        contents="\n".join(contents),
        sections="\n".join(map(_section, names, sections)),
        footer=f"The pictures are drawn by plotly.js, which is in this file and is "
        f"{len(script.encode()) / 1e6:.1f} MB of it. Drag to zoom, double-click to go back.",
    )


def table(frame: pd.DataFrame, *, header: bool = True) -> str:
    """Return a table of numbers, or of words if it has no header."""
    return str(
        frame.to_html(
            border=0,
            classes="numbers" if header else "numbers words",
            float_format=lambda number: f"{number:.4g}",
            header=header,
            index_names=False,
            na_rep="-",
        )
    )


def preformatted(text: str) -> str:
    """Return a text as it is."""
    return f"<pre>{escape(text)}</pre>"


def _section(name: str, section: Section) -> str:
    parts = (
        part if isinstance(part, str) else _figure(f"{name}-{number}", part)
        for number, part in enumerate(section.parts, start=1)
    )
    text = f"<p>{escape(section.text)}</p>\n" if section.text else ""
    heading = f"<h2>{escape(section.title)}</h2>"
    body = "\n".join(parts)
    return f'<section id="{name}">\n{heading}\n{text}{body}\n</section>'


def _figure(name: str, figure: Any) -> str:
    drawn = figure.to_html(
        full_html=False, include_plotlyjs=False, config=_CONFIG, div_id=name, default_width="100%"
    )
    return f"<figure>{drawn}</figure>"
