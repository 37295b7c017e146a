"""From a result to the text of a page: the templates, and what all of them share."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from sentilora.printable import printable

LONGEST = 500  # characters of a text that are shown
CUT = " […] "  # between the ends of one that is longer


def render(template: str, **values: Any) -> str:
    """The page of a template: HTML that needs no other file.

    Every string is escaped but `Markup`, which is HTML already.
    """
    return _templates().get_template(template).render(**values) + "\n"


def shortened(text: str) -> Markup:
    """A user's text as HTML, with the middle left out where it is long."""
    if len(text) <= LONGEST:
        return escape(printable(text))
    return escape(printable(CUT.join(both_ends(text))))


def both_ends(text: str) -> tuple[str, str]:
    """What is shown of a long text: its beginning and its end."""
    half = LONGEST // 2
    return text[:half].rstrip(), text[-half:].lstrip()


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("sentilora.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )


def _printable(value: Any) -> Any:
    return printable(value) if type(value) is str else value
