"""The transfer matrix against a plain loop over rows, on answers that are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from sentilora.conformal import Conformal
from sentilora.correction import Correction
from sentilora.domains.matrix import Answers, DomainRows, transfer_cells
from sentilora.scoring import Scores

CONFORMAL = Conformal(19, tuple(n / 20 for n in range(1, 20)))
TWO, THREE = ("negative", "positive"), ("negative", "neutral", "positive")


def domain(name: str, labels: tuple[str, ...], rows: int, seed: int) -> DomainRows:
    gold = np.random.default_rng(seed).integers(len(labels), size=rows)
    return DomainRows(name, labels, tuple(gold.tolist()), tuple(f"{name}{n}" for n in range(rows)))


def answers(
    labels: tuple[str, ...], rows: int, seed: int, seen: frozenset[str] = frozenset()
) -> Answers:
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(rows, len(labels))).astype(np.float32) * 2
    scores = Scores(logits - 9, np.zeros(rows, bool), Correction(1.7))
    return Answers(labels, scores, seen, CONFORMAL)


FILM, FINANCE = domain("film", TWO, 60, 1), domain("finance", THREE, 90, 2)
SEEN = frozenset({"finance3", "finance4", "film7"})
MODELS = {
    "film": {"film": answers(TWO, 60, 3), "finance": answers(TWO, 90, 4, SEEN)},
    "finance": {"film": answers(THREE, 60, 5), "finance": answers(THREE, 90, 6)},
}
UNTUNED = {"film": answers(TWO, 60, 7), "finance": answers(THREE, 90, 8)}
CELLS = {
    (cell.model, cell.domain): cell for cell in transfer_cells([FILM, FINANCE], MODELS, UNTUNED)[0]
}


def by_hand(
    rows: DomainRows, said: Answers, compared: tuple[str, ...], seen: frozenset[str]
) -> list[bool]:
    """Whether each row that counts is right, by the likeliest of the compared labels."""
    right = []
    for row, (gold, key) in enumerate(zip(rows.gold, rows.keys, strict=True)):
        if key in seen or rows.labels[gold] not in compared:
            continue
        scores = {label: said.scores.log_probs[row, said.labels.index(label)] for label in compared}
        right.append(max(scores, key=lambda label: scores[label]) == rows.labels[gold])
    return right


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("rows", [FILM, FINANCE], ids=lambda rows: rows.name)
def test_every_cell_by_hand(model: str, rows: DomainRows) -> None:
    cell, said = CELLS[model, rows.name], MODELS[model][rows.name]
    compared = tuple(label for label in said.labels if label in rows.labels)
    assert cell.compared == compared
    assert cell.labels == said.labels
    right = by_hand(rows, said, compared, said.seen)
    assert cell.metrics.rows == len(right)
    assert cell.metrics.accuracy == pytest.approx(np.mean(right))
    base = by_hand(rows, UNTUNED[rows.name], compared, said.seen)
    assert cell.untuned.accuracy == pytest.approx(np.mean(base))
    if model == rows.name:
        assert cell.against is None
        return
    own = by_hand(rows, MODELS[rows.name][rows.name], compared, said.seen)
    assert cell.against is not None
    assert cell.against.value == pytest.approx(np.mean(right) - np.mean(own))


def test_what_is_left_out_is_counted() -> None:
    cell = CELLS["film", "finance"]
    neutral = [row for row, gold in enumerate(FINANCE.gold) if THREE[gold] == "neutral"]
    assert cell.other_label == len(neutral)
    assert cell.seen == len({3, 4} - set(neutral))
    assert cell.metrics.rows + cell.other_label + cell.seen == 90


def test_label_sets_where_the_domain_has_just_the_models_labels() -> None:
    for (model, domain), cell in CELLS.items():
        assert (cell.label_sets is not None) == (model == domain)
    sets, said = CELLS["finance", "finance"].label_sets, MODELS["finance"]["finance"]
    assert sets is not None
    held = said.scores.probabilities >= 1 - CONFORMAL.threshold(0.9)
    assert sets.coverage == pytest.approx(held[np.arange(90), FINANCE.gold].mean())
    assert sets.mean_size == pytest.approx(held.sum() / 90)


def test_label_sets_leave_out_what_was_trained_on() -> None:
    seen = frozenset(key for key, gold in zip(FILM.keys, FILM.gold, strict=True) if gold == 0)
    models = {"film": {"film": answers(TWO, 60, 3, seen)}}
    ((cell,), _) = transfer_cells([FILM], models, UNTUNED)
    held = models["film"]["film"].scores.probabilities[:, 1] >= 1 - CONFORMAL.threshold(0.9)
    assert cell.label_sets is not None
    assert cell.label_sets.coverage == pytest.approx(held[np.array(FILM.gold) == 1].mean())


def test_the_temperature_changes_calibration_alone() -> None:
    cell = CELLS["finance", "film"]
    assert cell.raw_calibration_error != cell.metrics.calibration_error


def test_labels_that_have_nothing_in_common() -> None:
    topics = domain("topics", ("sport", "news"), 10, 9)
    models = {"film": {"topics": answers(TWO, 10, 1)}}
    cells, notes = transfer_cells([topics], models, {"topics": answers(("sport", "news"), 10, 2)})
    assert cells == []
    assert notes == ["film can't be measured on topics: they have no label in common."]


def test_rows_that_were_all_trained_on() -> None:
    few = domain("few", TWO, 3, 4)
    models = {"film": {"few": answers(TWO, 3, 1, frozenset(few.keys))}}
    cells, notes = transfer_cells([few], models, {"few": answers(TWO, 3, 2)})
    assert cells == []
    assert "trained or validated on all of its rows that have a label" in notes[0]
