"""The transfer matrix in a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from rich.console import Console, RenderableType

from sentilora.correction import Correction
from sentilora.domains.matrix import Answers, Cell, DomainRows, transfer_cells
from sentilora.domains.tables import (
    LEAST,
    calibration_table,
    details_table,
    glance_tables,
    left_out,
    matrix_tables,
)
from sentilora.scoring import Scores

REAL = (
    "rotten_tomatoes",
    "financial_phrasebank",
    "twitter_financial_news",
    "tweet_eval_sentiment",
    "customer_reviews",
)
TWO, THREE = ("negative", "positive"), ("negative", "neutral", "positive")


def cells(names: Sequence[str], labels: Sequence[tuple[str, ...]] = ()) -> list[Cell]:
    """Of a model of each domain and a mixture of all, whose answers are drawn."""
    its = dict(zip(names, labels or [TWO] * len(names), strict=True))
    rows = [
        DomainRows(name, its[name], tuple(n % len(its[name]) for n in range(30)), ("",) * 30)
        for name in names
    ]

    def answers(labels: tuple[str, ...]) -> Answers:
        drawn = np.random.default_rng(len(labels)).normal(size=(30, len(labels)))
        scores = Scores((drawn - 9).astype(np.float32), np.zeros(30, bool), Correction())
        return Answers(labels, scores, frozenset())

    whole = max(its.values(), key=len)
    models = {
        model: {name: answers(its.get(model, whole)) for name in names}
        for model in (*names, "mixture")
    }
    found, notes = transfer_cells(rows, models, {name: answers(its[name]) for name in names})
    assert notes == []
    return found


def lines(shown: RenderableType, width: int = 80) -> list[str]:
    console = Console(width=width, no_color=True)
    with console.capture() as captured:
        console.print(shown)
    said = captured.get().splitlines()
    assert max(map(len, said)) <= width
    return [line.rstrip() for line in said]


def test_five_domains_of_the_catalogue_keep_their_names_and_figures() -> None:
    found = cells(REAL)
    heading, _, *rest = lines(glance_tables(found)[0])
    assert heading.split() == ["tuned", "on", "\\", "measured", "on", "1", "2", "3", "4", "5"]
    names = [
        *(f"{number} {name}" for number, name in enumerate(REAL, 1)),
        "mixture",
        "untuned base",
    ]
    for name, line in zip(names, rest, strict=True):
        assert line.startswith(f"{name} ")
        figures = line.removeprefix(name).split()
        assert len(figures) == 5
        if name == "mixture":
            assert figures == [
                f"{100 * cell.metrics.accuracy:.1f}" for cell in found if cell.model == "mixture"
            ]


def test_domains_that_fit_are_named() -> None:
    heading, *_ = lines(glance_tables(cells(("films", "shops", "finance")))[0])
    assert heading.endswith("films  shops  finance")


def test_many_domains_are_all_shown() -> None:
    names = [f"{name}_{number}" for number in range(2) for name in REAL]
    first, second = glance_tables(cells(names))
    assert lines(first)[0].split()[-8:] == [str(number) for number in range(1, 9)]
    assert lines(second)[0].split()[-2:] == ["9", "10"]
    for shown in (first, second):
        assert f"10 {names[-1]} " in "\n".join(lines(shown))


def test_a_table_of_wide_figures_leaves_room_for_names() -> None:
    heading, _, *rest = lines(details_table(cells(REAL)))
    assert len(heading) - len(heading.lstrip()) >= LEAST
    assert sum(line[:LEAST].strip() == "mixture" for line in rest) == 5


def test_names_of_a_usual_length_are_on_one_line() -> None:
    names = ("rotten_tomatoes", "financial_phrasebank", "senti4sd")
    found = [line.split("  ")[0] for line in lines(details_table(cells(names)))]
    assert "on financial_phrasebank" in found


def test_calibration_before_and_after() -> None:
    (one, *_) = found = cells(("films", "shops"))
    _, _, head, first, *rest = lines(calibration_table(found))
    assert head.strip() == "on films"
    after = one.metrics.calibration_error or 0.0
    assert first.split() == ["films", f"{one.raw_calibration_error:.3f}", f"{after:.3f}"]
    assert len(rest) == len(found) - 1 + 1  # the other cells, and the other domain


def test_all_of_it_fits() -> None:
    for names in (REAL, ("films", "shops")):
        lines(matrix_tables(cells(names), ["A note."]))


def test_labels_that_a_model_could_not_choose_are_named() -> None:
    found = cells(("film", "finance"), (TWO, THREE))
    assert left_out(found) == [
        "film on finance: without 10 rows with another label than negative, positive.",
        "finance on film: without its label neutral, which film hasn't.",
        "mixture on film: without its label neutral, which film hasn't.",
    ]


def test_nothing_is_said_where_nothing_was_left_out() -> None:
    assert left_out(cells(("film", "shops"))) == []
    (note,) = left_out([replace(cells(("film", "shops"))[0], seen=1)])
    assert note == "film on film: without 1 row that it was trained or validated on."
