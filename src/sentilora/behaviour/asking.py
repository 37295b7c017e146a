"""Asking a tuned model: about a suite's texts, and in other words than its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sentilora.behaviour.agreement import Answered, Wordings
from sentilora.behaviour.cases import Case
from sentilora.behaviour.checking import applicable, check, texts_of
from sentilora.behaviour.result import Behaviour
from sentilora.behaviour.wordings import Wording, through_the_same_template
from sentilora.classifier import Classifier
from sentilora.encoding import PromptEncoder
from sentilora.errors import UserError
from sentilora.evaluation.measuring import Scoring
from sentilora.scoring import LabelScorer

if TYPE_CHECKING:
    from sentilora.data import DataSet
    from sentilora.evaluation.selection import Selection

ROWS = 200  # enough for an interval of some 7 points either way at an accuracy of one half
SEED = 0


def behaviour_of(classifier: Classifier, cases: Sequence[Case], scoring: Scoring) -> Behaviour:
    """What the classifier makes of the cases.

    `scoring` makes of a classifier a function from texts to `Scores`, under a description.

    Raises UserError where its labels allow none of the cases.
    """
    labels = classifier.task.labels
    texts = texts_of(applicable(cases, labels)[0])
    cut = sum(prompt.characters_cut > 0 for prompt in classifier.scorer.encoder.encode(texts))
    return check(cases, labels, scoring(classifier, "checking"), cut)


def ask(
    classifier: Classifier,
    wordings: Sequence[Wording],
    dataset: DataSet,
    selection: Selection,
    scoring: Scoring,
    rows: int = ROWS,
) -> Wordings:
    """The classifier's labels in each wording, its own first, for at most `rows` of the rows.

    Raises UserError for a wording that leaves no room for a text.
    """
    drawn = np.random.default_rng(SEED).permutation(len(selection.examples))[:rows]
    examples = [selection.examples[row] for row in sorted(drawn)]
    texts = [example.text for example in examples]
    gold = np.array([example.label for example in examples])
    worded = through_the_same_template(wordings, classifier.scorer.encoder.tokenizer)
    own: Any = None
    answered = []
    for number, wording in enumerate(worded, start=1):
        what = f"wording {number} of {len(worded)}"
        chosen = scoring(_in_words(classifier, wording), what)(texts).predicted
        own = chosen if own is None else own
        answered.append(Answered(wording, int((chosen == gold).sum()), int((chosen == own).sum())))
    return Wordings(
        data=dataset.name,
        split=selection.split,
        rows=len(examples),
        of=len(selection.examples),
        answered=tuple(answered),
        notes=(selection.note,) if selection.note else (),
    )


def _in_words(classifier: Classifier, wording: Wording) -> Classifier:
    """The same model, asked in a wording."""
    if wording.task == classifier.task:
        return classifier
    try:
        encoder = PromptEncoder(wording.task, classifier.scorer.encoder.tokenizer)
    except UserError as error:
        raise UserError(f"The wording {wording.task.template!r} can't be asked: {error}") from error
    scorer = LabelScorer(classifier.scorer.model, encoder)
    return Classifier(scorer, classifier.base, classifier.artifact, classifier.correction)
