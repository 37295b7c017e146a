"""Judging: against the definitions written out plainly, on drawn probabilities."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence

import numpy as np
import pytest

from sentilora.behaviour import Behaviour, BehaviourReport, Case, check
from sentilora.errors import UserError
from sentilora.scoring import Scores

LABELS = ("bad", "so-so", "good")


class Drawn:
    """A classifier whose probabilities are drawn, text by text; it counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def probabilities(self, text: str) -> list[float]:
        draw = random.Random(text)
        weights = [draw.random() ** 2 for _ in LABELS]
        return [weight / sum(weights) for weight in weights]

    def __call__(self, texts: Sequence[str]) -> Scores:
        self.asked += texts
        log_probs = np.log([self.probabilities(text) for text in texts])
        return Scores(log_probs.astype(np.float32), np.ones(len(texts), dtype=bool))


def cases() -> list[Case]:
    draw = random.Random(3)
    made = []
    for number in range(300):
        kind = draw.choice(("minimum", "invariance", "direction"))
        changed = tuple(f"{number} changed {k}" for k in range(draw.randint(1, 3)))
        made.append(
            Case(
                capability=draw.choice("abc"),
                kind=kind,
                text=f"text {number % 200}",  # some stand twice
                changed=() if kind == "minimum" else changed,
                label=None if kind == "invariance" else draw.choice(LABELS),
                must=draw.choice(("rise", "not fall")) if kind == "direction" else None,
                tolerance=draw.choice((0.0, 0.1, 0.4)),
            )
        )
    return made


def fails(case: Case, model: Drawn) -> bool:
    """The definition, plainly."""
    before = model.probabilities(case.text)
    said = LABELS[before.index(max(before))]
    if case.kind == "minimum":
        return said != case.label
    afters = [model.probabilities(text) for text in case.changed]
    if case.kind == "invariance":
        return any(LABELS[after.index(max(after))] != said for after in afters)
    k = LABELS.index(str(case.label))
    if case.must == "rise":
        return not all(after[k] > before[k] + case.tolerance for after in afters)
    return not all(after[k] >= before[k] - case.tolerance for after in afters)


def change(case: Case, model: Drawn) -> float | None:
    before = model.probabilities(case.text)
    if case.kind == "minimum":
        return None
    followed = case.label if case.label else LABELS[before.index(max(before))]
    k = LABELS.index(followed)
    moves = [model.probabilities(text)[k] - before[k] for text in case.changed]
    return max(abs(move) for move in moves) if case.kind == "invariance" else min(moves)


def test_outcomes_and_counts_are_those_of_the_definition() -> None:
    model, every = Drawn(), cases()
    found = check(every, LABELS, model)
    assert sum(len(group.outcomes) for group in found.groups) == len(every)
    for group in found.groups:
        here = [
            case for case in every if (case.capability, case.kind) == (group.capability, group.kind)
        ]
        assert [outcome.case for outcome in group.outcomes] == here
        assert [outcome.failed for outcome in group.outcomes] == [fails(c, model) for c in here]
        for outcome in group.outcomes:
            assert outcome.change == pytest.approx(change(outcome.case, model), abs=1e-6)
        assert 0 < len(group.failures) < len(here)
        assert group.rate == sum(fails(case, model) for case in here) / len(here)


def test_each_text_is_asked_once() -> None:
    model, every = Drawn(), cases()
    check(every, LABELS, model)
    assert len(model.asked) == len(set(model.asked))
    assert set(model.asked) == {text for case in every for text in case.texts}


def test_rates_have_their_wilson_interval() -> None:
    for group in check(cases(), LABELS, Drawn()).groups:
        n, p, z = len(group.outcomes), group.rate, 1.959963984540054
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        assert group.interval == pytest.approx((middle - half, middle + half))


def test_groups_follow_the_suites_order_and_totals_hold_all() -> None:
    found = check(cases(), LABELS, Drawn())
    order = [group.capability for group in found.groups]
    assert list(dict.fromkeys(order)) == list(dict.fromkeys(case.capability for case in cases()))
    for total in found.totals:
        same = [group for group in found.groups if group.kind == total.kind]
        assert len(total.outcomes) == sum(len(group.outcomes) for group in same)
        assert len(total.failures) == sum(len(group.failures) for group in same)


def test_the_worst_failures_come_first() -> None:
    for group in check(cases(), LABELS, Drawn()).groups:
        if group.kind == "minimum":
            shares = [outcome.probabilities[0] for outcome in group.failures]
        else:
            shares = [-abs(outcome.change or 0) for outcome in group.failures]
            if group.kind == "direction":
                shares = [outcome.change or 0 for outcome in group.failures]
        assert shares == sorted(shares)


def test_the_text_shown_of_a_broken_invariance_is_one_that_changed_the_label() -> None:
    broken = 0
    for group in check(cases(), LABELS, Drawn()).groups:
        for outcome in group.outcomes:
            if group.kind == "invariance" and outcome.failed:
                assert outcome.chosen[outcome.worst] != outcome.chosen[0]
                broken += 1
    assert broken > 10


@pytest.mark.parametrize(
    ("must", "tolerance", "after", "failed"),
    [
        ("rise", 0.0, 0.5, True),  # no move is no rise
        ("rise", 0.0, 0.625, False),
        ("rise", 0.125, 0.625, True),  # as much as the tolerance is no rise yet
        ("not fall", 0.0, 0.5, False),
        ("not fall", 0.0, 0.375, True),
        ("not fall", 0.125, 0.375, False),
    ],
)
def test_the_edges_of_a_tolerance(must: str, tolerance: float, after: float, failed: bool) -> None:
    case = Case("edge", "direction", "before", ("after",), "good", must, tolerance)

    def score(texts: Sequence[str]) -> Scores:
        shares = [{"before": 0.5, "after": after}[text] for text in texts]
        return _Exact(np.array([[1 - share, share] for share in shares]))  # type: ignore[return-value]

    assert check([case], ("bad", "good"), score).groups[0].outcomes[0].failed is failed


class _Exact:
    """Probabilities without rounding."""

    def __init__(self, probabilities: np.ndarray) -> None:
        self.probabilities = probabilities
        self.predicted = probabilities.argmax(axis=1)


def minimum(label: str, text: str = "x") -> Case:
    return Case("some", "minimum", text, label=label)


def test_cases_with_other_labels_are_left_out_and_counted() -> None:
    suite = [minimum("GOOD"), minimum("fine"), minimum("awful"), minimum("fine", "y")]
    suite.append(Case("some", "invariance", "x", ("y",)))
    found = check(suite, LABELS, Drawn())
    assert found.lacking == {"fine": 2, "awful": 1}
    assert [len(group.outcomes) for group in found.groups] == [1, 1]
    assert found.groups[0].outcomes[0].case.label == "good"  # the task's own spelling


def test_case_counts_where_labels_differ_by_it() -> None:
    found = check([minimum("Us"), minimum("US")], ("us", "US"), lambda texts: _two(texts))
    assert found.lacking == {"Us": 1}


def _two(texts: Sequence[str]) -> Scores:
    return Scores(np.zeros((len(texts), 2), dtype=np.float32), np.ones(len(texts), dtype=bool))


def test_a_suite_of_which_none_can_be_judged_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"expect fine, and the model's labels are bad, so-so, good"
    ):
        check([minimum("fine")], LABELS, Drawn())


def test_the_report_is_json() -> None:
    found: Behaviour = check([*cases(), minimum("fine")], LABELS, Drawn(), shortened=2)
    told = json.loads(json.dumps(BehaviourReport(found).to_dict()))
    assert told["wordings"] is None
    suite = told["suite"]
    assert (suite["labels"], suite["lacking"], suite["shortened"]) == (list(LABELS), {"fine": 1}, 2)
    for group, values in zip(found.groups, suite["groups"], strict=True):
        assert values["capability"] == group.capability
        assert values["failures"] == len(values["failed"]) == len(group.failures)
        for outcome, failed in zip(group.failures, values["failed"], strict=True):
            assert Case.from_dict(failed["case"]).text == outcome.case.text
            assert failed["chosen"] == list(outcome.chosen)
