"""An attribution as a fragment of HTML: the text, its words marked by what they say.

It brings its own colours, thin enough over any background for the text to stay readable in light
and dark mode. The colour isn't all that tells: words against the label are underlined, and every
word has its figure as a `title`.
"""

from __future__ import annotations

from html import escape

from sentilora.attribution.result import Attribution
from sentilora.attribution.words import Word
from sentilora.printable import printable

FOR, AGAINST = "0,114,178", "213,94,0"  # blue and vermilion, which colour-blind eyes tell apart
_DEEPEST = 0.5  # opacity of the strongest word's
_FAINTEST = 0.05  # of the strongest: what is less has no mark


def html_fragment(attribution: Attribution) -> str:
    """One `span` with a `mark` for each word that tells; everything of the text is escaped."""
    parts, behind = [], 0
    for word, score in zip(attribution.words, attribution.scores, strict=True):
        parts.append(_plain(attribution.text[behind : word.start]))
        parts.append(_word(word, score, attribution))
        behind = word.end
    parts.append(_plain(attribution.text[behind:]))
    return f'<span style="white-space:pre-wrap;overflow-wrap:anywhere">{"".join(parts)}</span>'


def _word(word: Word, score: float | None, attribution: Attribution) -> str:
    text = _plain(word.text)
    if score is None:
        return f'<span style="opacity:.55" title="not read">{text}</span>'
    title = _plain(f"{score:+.2f} for {attribution.label}")
    strength = abs(score) / attribution.most if attribution.most else 0.0
    if strength < _FAINTEST:
        return f'<span title="{title}">{text}</span>'
    style = f"background:rgba({FOR if score > 0 else AGAINST},{_DEEPEST * strength:.2f})"
    underline = "" if score > 0 else ";text-decoration:underline"
    return f'<mark style="{style};color:inherit{underline}" title="{title}">{text}</mark>'


def _plain(text: str) -> str:
    return escape(printable(text))
