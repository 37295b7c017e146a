"""The texts that a page shows, their words marked by what they say to the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from markupsafe import Markup

from sentilora.attribution import Attribution, Word, attribute, html_fragment
from sentilora.classifier import Classifier
from sentilora.report.page import CUT, LONGEST, both_ends, shortened
from sentilora.task import clean

# Characters to be read for marking: each word shown is asked about by the whole text without it.
# About as many as twenty texts of the longest that are shown whole take.
BUDGET = 1_000_000

UNMARKED = Markup(
    " <small>(Not marked: for long texts there is a limit to what is asked of the model. "
    "`sentilora explain` marks any.)</small>"
)


def marked_by(classifier: Classifier, budget: int = BUDGET) -> Callable[[str], Markup]:
    """From a text to HTML with its words marked, by occlusion.

    Of a long text the words at both ends, which are shown, are marked as long as the budget of all
    texts lasts; one that isn't says so.
    """
    left = budget

    def marked(text: str) -> Markup:
        nonlocal left
        text = clean(text)
        long = len(text) > LONGEST
        if long and left <= 0:
            return shortened(text) + UNMARKED
        found = at_both_ends(classifier, text) if long else attribute(classifier, text)
        left -= len(found.read) * len(text)
        return Markup(html_fragment(found))

    return marked


def at_both_ends(classifier: Classifier, text: str) -> Attribution:
    """The attribution of a long text, cut to its ends as `shortened` does."""
    head, tail = both_ends(text)
    start = len(text) - len(tail)
    found = attribute(classifier, text, within=((0, len(head)), (start, len(text))))
    shift = len(head) + len(CUT) - start
    kept = [
        (Word(word.text, word.start + moved, word.end + moved), score)
        for word, score in zip(found.words, found.scores, strict=True)
        if word.end <= len(head) or word.start >= start
        for moved in [shift if word.start >= start else 0]
    ]
    return replace(
        found,
        text=f"{head}{CUT}{tail}",
        words=tuple(word for word, _ in kept),
        scores=tuple(score for _, score in kept),
    )
