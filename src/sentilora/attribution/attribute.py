"""`attribute`: one text, one label, a figure for each word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sentilora.attribution.asking import Found, log_odds
from sentilora.attribution.occlusion import occlusion
from sentilora.attribution.reading import Reading, Span, read_by
from sentilora.attribution.result import Attribution
from sentilora.errors import UserError

if TYPE_CHECKING:
    from sentilora.classifier import Classifier

METHODS = ("occlusion", "gradients")


def attribute(
    classifier: Classifier,
    text: str,
    label: str | None = None,
    method: str = "occlusion",
    within: Sequence[Span] | None = None,
) -> Attribution:
    """How much each word of `text` speaks for `label`.

    Parameters
    ----------
    classifier
        A loaded or tuned classifier.
    label
        One of its labels; by default the one that it chooses.
    method
        "occlusion", each word left out in turn, or "gradients", integrated gradients over the
        embeddings of the text's tokens.
    within
        The parts of the text, from and to in characters, whose words alone get a figure, which
        saves occlusion asking about the others; by default all of it.

    Raises
    ------
    UserError
        Where the text is empty, the label or method isn't known, or the base can't be asked for
        gradients.
    """
    from sentilora.texts import checked_texts

    labels = classifier.task.labels
    asked = None if label is None else label_index(labels, label)
    if method not in METHODS:
        raise UserError(f"There is no method {method!r}; there are {' and '.join(METHODS)}.")
    reading = read_by(classifier.scorer.encoder, checked_texts([text])[0])
    if within is not None:
        reading = reading.limited_to(within)
    found = _find(classifier, reading, asked, method)
    whole = found.whole
    return Attribution(
        text=reading.text,
        words=reading.words,
        scores=tuple(found.by_word.get(k) for k in range(len(reading.words))),
        label=labels[found.label],
        chosen=labels[int(whole.predicted[0])],
        probability=float(whole.probabilities[0, found.label]),
        log_odds=float(log_odds(whole.log_probs, found.label)[0]),
        method=method,
        residual=found.residual,
    )


def label_index(labels: Sequence[str], label: str) -> int:
    """Where `label` stands among the labels. Raises `UserError` where it doesn't."""
    if label not in labels:
        raise UserError(f"There is no label {label!r}. The labels are {', '.join(labels)}.")
    return list(labels).index(label)


def _find(classifier: Classifier, reading: Reading, label: int | None, method: str) -> Found:
    if method == "occlusion":
        return occlusion(classifier, reading, label)
    from sentilora.attribution.gradients import gradients

    return gradients(classifier, reading, label)
