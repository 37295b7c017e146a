"""The study of quality: draws are fair, finished cells stay, tables hold like against like."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from study import cells, draws, report

    return SimpleNamespace(cells=cells, draws=draws, report=report)


@pytest.mark.parametrize("rows", [3, 10, 32, 100, 600])
def test_a_draw_keeps_the_labels_proportions(study: SimpleNamespace, rows: int) -> None:
    gold = [0] * 360 + [1] * 180 + [2] * 60
    pool = study.draws.Texts([str(row) for row in range(600)], gold)
    drawn = study.draws.draw(pool, rows, seed=1)
    assert len(set(drawn.texts)) == len(drawn.texts) == rows
    for label, share in ((0, 0.6), (1, 0.3), (2, 0.1)):
        assert abs(Counter(drawn.gold)[label] - share * rows) <= 1
        assert label in drawn.gold
    assert [gold[int(text)] for text in drawn.texts] == drawn.gold
    assert drawn == study.draws.draw(pool, rows, seed=1)
    assert rows == 600 or drawn != study.draws.draw(pool, rows, seed=2)


def test_finished_cells_are_found_again(study: SimpleNamespace, tmp_path: Path) -> None:
    cells = [study.cells.Cell("tuned", "rows", 32, seed, {"epochs": 2}) for seed in range(3)]
    results = study.cells.Results(tmp_path / "results.jsonl")
    done = study.cells.Result(cells[1], {"accuracy": 0.5}, "0110", "a machine")
    results.add(done)
    again = study.cells.Results(tmp_path / "results.jsonl")
    assert again.missing(cells) == [cells[0], cells[2]]
    assert again.of(cells) == [done]


def test_the_tables_pair_a_choice_with_the_default(study: SimpleNamespace, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "rotten_tomatoes"
    folder.mkdir(parents=True)
    for split in ("train", "validation", "test"):
        rows = [f'{{"text": "{split} {n}", "label": "{n % 2}"}}\n' for n in range(20)]
        (folder / f"{split}.jsonl").write_text("".join(rows))
    results = study.cells.Results(tmp_path / "results.jsonl")
    right, ten_wrong = "01" * 10, "01" * 5 + "10" * 5
    letters = {"words": {"negative": "A", "positive": "B"}}
    for method, options, predicted, hardware in (
        ("tuned", {}, right, "a machine"),
        ("tuned", letters, ten_wrong, "a machine"),
        ("tfidf", {}, right, "a machine"),
        ("head", {}, ten_wrong, "another"),
    ):
        share = sum(a == b for a, b in zip(predicted, right, strict=True)) / 20
        figures = {"accuracy": share, "macro_f1": share, "ece": 0.0, "nll": 1.0}
        results.add(
            study.cells.Result(
                study.cells.Cell(method, "rotten_tomatoes", 2048, 0, options),
                {**figures, "train_seconds": 2.0, "saved_bytes": 5000},
                predicted,
                hardware,
            )
        )
    study.report.write_report(results, tmp_path / "data", tmp_path)
    tables = (tmp_path / "quality-tables.md").read_text()
    assert "| **sentilora**, SmolLM2-135M |  |  |  | 100.0 |  |" in tables
    assert "| **sentilora**, SmolLM2-135M | 2,048 | 1.000 | 0.000 | 2 | 5 kB |" in tables
    assert "| 2,048 | 0.500 | 0.000 | 2 (another) | 5 kB |" in tables
    assert "| rotten_tomatoes | 2,048 | 1 | 100.0 | 50.0 | +50.0 [" in tables
    assert "| rotten_tomatoes, 2,048, test | 1 | as it is | 100.0 | 100.0 |  |" in tables
    assert "| rotten_tomatoes, 2,048, test | 1 | labels A, B | 50.0 | 50.0 | -50.0 [" in tables
    assert (tmp_path / "learning-curve.svg").exists()
