"""`sentilora evaluate`: on the run's own data or other data, as a table or as JSON."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from command import run
from huggingface_hub import ModelCard
from samples import Work, reviews, write_csv

from pages import read_page

FP32 = ("--dtype", "float32")


def as_json(*arguments: object) -> dict[str, Any]:
    outcome = run("evaluate", *arguments, *FP32, "--json")
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


@pytest.fixture
def labels_of(adapter: Path, tmp_path: Path) -> Any:
    """From rows to the labels that `sentilora predict` gives them."""

    def predict(rows: list[tuple[str, str]]) -> list[str]:
        source, target = tmp_path / "rows.csv", tmp_path / "labels.csv"
        write_csv(source, rows)
        assert run("predict", adapter, source, "-o", target, *FP32).code == 0
        with target.open(newline="") as file:
            return [row["predicted_label"] for row in csv.DictReader(file)]

    return predict


def test_the_runs_own_data_gives_what_training_said(adapter: Path, finished: Work) -> None:
    outcome = run("evaluate", adapter, *FP32)
    assert outcome.code == 0, outcome.err
    assert "reviews, held-out: 6 rows" in outcome.out
    said = finished.outcomes[Path("runs/base-reviews")].out
    for start in ("tuned", "untuned base", "TF-IDF", "majority class", "negative", "positive"):
        assert _line(outcome.out, start) == _line(said, start)
    assert "Left out: 48 rows trained on, 6 rows validated on." in " ".join(outcome.out.split())
    assert max(map(len, outcome.out.splitlines())) <= 80


def _line(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(start))


def test_json_is_all_there_is_on_standard_output(adapter: Path) -> None:
    result = as_json(adapter)
    saved = json.loads((adapter / "sentilora.json").read_text())["metrics"]["evaluation"]
    assert result["rows"] == 6
    assert result["left_out"] == 54
    assert result["labels"] == ["negative", "positive"]
    assert list(result["results"]) == list(saved["results"])
    for name, metrics in result["results"].items():
        assert metrics["accuracy"] == saved["results"][name]["accuracy"]
        low, high = metrics["accuracy_interval"]
        assert 0 <= low <= metrics["accuracy"] <= high <= 1
        assert sum(map(sum, metrics["confusion"])) == 6
    for name in ("tuned", "untuned"):
        assert 0 < result["results"][name]["label_mass"] <= 1
        assert 0 <= result["results"][name]["greedy_share"] <= 1


def test_rows_that_are_cut_are_counted(adapter: Path, here: Path) -> None:
    rows = [
        (f"{text} {'and so on ' * 100 * (n < 3)}", label)
        for n, (text, label) in enumerate(reviews(12, seed=5))
    ]
    write_csv(here / "long.csv", rows)
    result = as_json(adapter, "--data", "long.csv")
    assert (result["rows"], result["texts_cut"]) == (12, 3)
    assert any("3 of 12 texts are too long" in note for note in result["notes"])


def test_rows_trained_on_are_left_out_of_any_data(
    adapter: Path, here: Path, labels_of: Any
) -> None:
    new = reviews(20, seed=1)
    write_csv(here / "mixed.csv", [*reviews(60), *new])
    result = as_json(adapter, "--data", "mixed.csv", "--split", "all")
    assert result["left_out"] == 54
    assert result["rows"] == 80 - 54

    write_csv(here / "new.csv", new)
    result = as_json(adapter, "--data", "new.csv")
    assert (result["split"], result["rows"], result["left_out"]) == ("all", 20, 0)
    right = [label == predicted for (_, label), predicted in zip(new, labels_of(new), strict=True)]
    assert result["results"]["tuned"]["accuracy"] == pytest.approx(sum(right) / 20)
    assert "tfidf_logistic_regression" not in result["results"]  # no rows to train it on


def test_on_three_rows(adapter: Path, here: Path) -> None:
    """Every figure and every plot has something to say of so few."""
    write_csv(here / "few.csv", reviews(3, seed=9))
    outcome = run("evaluate", adapter, "--data", "few.csv", "--report", "page.html", *FP32)
    assert outcome.code == 0, outcome.err
    assert "few, all: 3 rows" in outcome.out
    assert "Rows measured 3 " in read_page((here / "page.html").read_text()).text
    assert as_json(adapter, "--data", "few.csv")["results"]["tuned"]["rows"] == 3


def test_a_split_is_chosen(adapter: Path, here: Path) -> None:
    (here / "set").mkdir()
    for split, count in (("train", 24), ("validation", 8), ("test", 10)):
        write_csv(here / f"set/{split}.csv", reviews(count, seed=count))
    for split, rows in (("train", 24), ("validation", 8), ("test", 10), ("all", 42)):
        result = as_json(adapter, "--data", "set", "--split", split)
        assert (result["split"], result["rows"]) == (split, rows)
    assert as_json(adapter, "--data", "set")["split"] == "test"
    # Said before the base is looked for, which takes its time.
    message = run(
        *("evaluate", adapter, "--data", "set", "--split", "dev", "--model", "./gone")
    ).error
    assert "no dev split" in message
    assert "test, train, validation" in message
    message = run("evaluate", adapter, "--split", "test", *FP32).error
    assert "--split" in message


def test_other_names_for_columns_and_labels(adapter: Path, here: Path) -> None:
    rows = reviews(20, seed=1)
    plain = write_csv(here / "plain.csv", rows)
    numbers = {"negative": "0", "positive": "1"}
    write_csv(here / "odd.csv", [(text, numbers[label]) for text, label in rows], "said,meant")
    result = as_json(
        *(adapter, "--data", "odd.csv", "--text-column", "said", "--label-column", "meant"),
        *("--labels", "0=negative,1=positive"),
    )
    assert result["results"] == as_json(adapter, "--data", plain)["results"]
    message = run("evaluate", adapter, "--data", "odd.csv", *FP32).error
    assert "'said', 'meant'" in message


def test_labels_that_were_not_trained_are_refused(adapter: Path, here: Path) -> None:
    write_csv(here / "odd.csv", [(text, "so-so") for text, _ in reviews(9)])
    message = run("evaluate", adapter, "--data", "odd.csv", *FP32).error
    assert "'so-so' (9)" in message
    assert "negative, positive" in message


def test_bad_rows_are_counted_on_standard_error(adapter: Path, here: Path) -> None:
    write_csv(here / "gaps.csv", [*reviews(20, seed=1), ("", "positive"), ("fine", "")])
    outcome = run("evaluate", adapter, "--data", "gaps.csv", "--json", *FP32)
    assert json.loads(outcome.out)["rows"] == 20
    assert "empty or missing text" in outcome.err
    assert "without a label" in outcome.err


def test_data_that_is_gone_is_named(adapter: Path, here: Path) -> None:
    message = run("evaluate", adapter, "--data", "gone.csv").error
    assert "There is no file 'gone.csv'" in message


def test_a_report_has_the_same_figures(adapter: Path, here: Path) -> None:
    """Its worst errors are rows that `predict` gets wrong, too."""
    write_csv(here / "new.csv", reviews(20, seed=1))
    told = as_json(adapter, "--data", "new.csv", "--report", "page.html")
    page = read_page((here / "page.html").read_text())
    beside = page.tables["The same rows, by each"]
    for name, called in (("tuned", "tuned"), ("untuned", "untuned base")):
        figures = told["results"][name]
        low, high = (100 * edge for edge in figures["accuracy_interval"])
        shown = f"{100 * figures['accuracy']:.1f} % [{low:.1f}, {high:.1f}]"
        assert beside.line(called)[0] == shown
    assert "base-reviews on new" in page.text
    wrong = round(20 * (1 - told["results"]["tuned"]["accuracy"]))
    assert len([tag for tag, _ in page.tags if tag == "blockquote"]) == wrong
    assert "How it learned" in page.text


def test_a_report_that_cannot_be_is_refused_at_once(
    adapter: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = ("--data", "gone.csv")  # said later
    assert "no folder" in run("evaluate", adapter, "--report", "no/page.html", *gone).error
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    message = run("evaluate", adapter, "--report", "page.html", *gone).error
    assert "needs matplotlib" in message
    assert "pip install 'sentilora[report]'" in message


def test_the_card_takes_results_on_other_data(broken: Path, here: Path) -> None:
    write_csv(here / "new.csv", reviews(20, seed=1))
    told = as_json(broken, "--data", "new.csv", "--update-card")
    found = ModelCard((broken / "README.md").read_text()).data.eval_results
    added = {each.metric_type: each.metric_value for each in found if each.dataset_name == "new"}
    tuned = told["results"]["tuned"]
    assert added == {"accuracy": round(tuned["accuracy"], 4), "f1": round(tuned["macro_f1"], 4)}
    assert len(found) == 4
    assert run("predict", broken, "a text", *FP32).code == 0  # it is still whole
    assert "--data" in run("evaluate", broken, "--update-card").error
