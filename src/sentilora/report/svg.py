"""Drawing with matplotlib, and its SVG made fit to stand in a page.

The page decides on fonts and colours: every colour that is drawn with is a key of `COLOURS`, and
becomes a CSS variable or the text's own colour, so that one plot serves light and dark mode. The
palette is that of Okabe and Ito (2008), which colour-blind readers can tell apart.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from markupsafe import Markup

from sentilora.printable import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, BLUE, ORANGE, GREEN = "#111111", "#0072b2", "#e69f00", "#009e73"
VERMILION, PURPLE, SKY = "#d55e00", "#cc79a7", "#56b4e9"
SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
COLOURS = {
    INK: "currentColor",
    BLUE: "var(--blue)",
    ORANGE: "var(--orange)",
    GREEN: "var(--green)",
    VERMILION: "var(--vermilion)",
    PURPLE: "var(--purple)",
    SKY: "var(--sky)",
}
WIDTH = 360  # px of the drawing; a page scales it, and on a phone it stays legible
FONT = 12  # px
_DPI = 72  # what SVG's px are to matplotlib
_NAMESPACE = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"
_REFERENCE = re.compile(r"#([\w.-]+)")
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: it is read out, found and copied
    "svg.hashsalt": "sentilora",  # else names in it are drawn anew each time
    "text.parse_math": False,  # a label may hold two dollar signs
    "font.size": FONT,
    "axes.labelsize": FONT,
    "xtick.labelsize": FONT - 1,
    "ytick.labelsize": FONT - 1,
    "legend.fontsize": FONT - 1,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.titlesize": FONT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.15,
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.edgecolor": "none",
    "legend.labelcolor": INK,
}


def draw(name: str, label: str, height: float, paint: Callable[[Figure], None]) -> Markup:
    """What `paint` draws, as an `<svg>` of a page.

    Parameters
    ----------
    name
        The plot's own in its page.
    label
        What it shows, for those who can't see it.
    height
        In px, where the width is `WIDTH`.
    """
    import matplotlib
    from matplotlib.figure import Figure

    written = io.BytesIO()
    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        # The page's fonts show what matplotlib's own font lacks; it is used to measure alone.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(WIDTH / _DPI, height / _DPI), dpi=_DPI, layout="constrained")
        paint(figure)
        figure.savefig(written, format="svg", dpi=_DPI, metadata={"Date": None})
    return Markup(_for_page(written.getvalue().decode(), name, label))


def _for_page(drawn: str, name: str, label: str) -> str:
    root = ElementTree.fromstring(drawn)
    for parent in list(root.iter()):
        for child in list(parent):
            # matplotlib's <style> would be the whole page's
            if child.tag in (f"{{{_NAMESPACE}}}metadata", f"{{{_NAMESPACE}}}style"):
                parent.remove(child)
    used = {
        found
        for element in root.iter()
        for value in element.attrib.values()
        for found in _REFERENCE.findall(value)
    }
    for element in root.iter():
        _adapt(element, name, used)
    for size in ("width", "height"):
        del root.attrib[size]
    root.attrib.update({"role": "img", "aria-label": printable(label)})
    ElementTree.register_namespace("", _NAMESPACE)
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    return ElementTree.tostring(root, encoding="unicode")


def _adapt(element: ElementTree.Element, name: str, used: set[str]) -> None:
    """Give an element the page's colours and font, and names that no other plot has."""
    attributes = element.attrib
    if "id" in attributes and attributes["id"] not in used:
        del attributes["id"]
    elif "id" in attributes:
        attributes["id"] = f"{name}-{attributes['id']}"
    for key in (_LINK, "clip-path"):
        if key in attributes:
            attributes[key] = attributes[key].replace("#", f"#{name}-")
    if "style" in attributes:
        style = re.sub(r"font: (?:[\w-]+ )*([\d.]+px)[^;]*", r"font-size: \1", attributes["style"])
        style = style.replace("url(#", f"url(#{name}-")
        attributes["style"] = re.sub(r"#[0-9a-f]{6}\b", lambda match: COLOURS[match.group()], style)
