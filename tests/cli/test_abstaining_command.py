"""Withheld labels and label sets through the command and the Python interface."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from command import CACHE, on_terminal, run
from samples import reviews

from sentilora.classifier import Classifier

FP32 = ("--dtype", "float32")
TEXTS = [text for text, _ in reviews(9, seed=5)]
COVERAGE = 0.6  # of the adapter's 6 validation rows the fifth score


@pytest.fixture(scope="module")
def clf(adapter: Path) -> Classifier:
    import sentilora

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENTILORA_CACHE", str(CACHE))
        return sentilora.load(adapter, dtype="float32")


@pytest.fixture
def plain(clf: Classifier) -> list[dict[str, Any]]:
    """Of each text its label and set, by the scores that the adapter's folder holds."""
    assert clf.artifact is not None
    kept = json.loads((clf.artifact.path / "sentilora.json").read_text())["conformal"]
    assert kept["rows"] == len(kept["scores"]) == 6
    threshold = sorted(kept["scores"])[4]  # ceil(7 x 0.6) = 5
    found = []
    for shares in clf.predict_proba(TEXTS):
        held = [
            str(label) for label, p in zip(clf.classes_, shares, strict=True) if 1 - p <= threshold
        ]
        likely = str(clf.classes_[shares.argmax()])
        found.append({"label_set": held, "predicted_label": likely if held == [likely] else None})
    return found


@pytest.fixture
def middle(clf: Classifier) -> float:
    """A probability that some of the labels have and some haven't."""
    return round(float(np.median(clf.predict_proba(TEXTS).max(axis=1))), 6) - 1e-6


def lines(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def pick(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("label_set", "predicted_label")}


def test_sets_of_texts(adapter: Path, plain: list[dict[str, Any]]) -> None:
    outcome = run("predict", adapter, *TEXTS, "--coverage", COVERAGE, *FP32)
    assert outcome.code == 0, outcome.err
    rows = lines(outcome.out)
    assert [pick(row) for row in rows] == plain
    assert list(rows[0]) == [
        "text",
        "predicted_label",
        "label_set",
        "p_negative",
        "p_positive",
        "error",
    ]
    withheld = sum(row["predicted_label"] is None for row in plain)
    assert outcome.err == f"{withheld} of 9 rows left without a label (abstained).\n"
    one = run("predict", adapter, TEXTS[0], "--coverage", COVERAGE, *FP32)
    assert pick(lines(one.out)[0]) == plain[0]


def test_sets_of_lines_and_the_bad_ones(adapter: Path, plain: list[dict[str, Any]]) -> None:
    stdin = "\n".join([TEXTS[0], "", TEXTS[1]]).encode()
    outcome = run("predict", adapter, "-", "--coverage", COVERAGE, *FP32, stdin=stdin)
    assert outcome.code == 1
    first, bad, second = lines(outcome.out)
    assert [pick(first), pick(second)] == plain[:2]
    assert pick(bad) == {"label_set": None, "predicted_label": None}
    withheld = sum(row["predicted_label"] is None for row in plain[:2])
    assert (
        f"{withheld} of 3 rows left without a label" in outcome.err
    )  # a bad row isn't one of these
    assert "1 of 3 rows could not be labelled" in outcome.err


@pytest.mark.parametrize("target", ["out.csv", "out.jsonl", "out.parquet"])
def test_sets_in_files(target: str, adapter: Path, here: Path, plain: list[dict[str, Any]]) -> None:
    (here / "in.csv").write_text("\n".join(["text", *TEXTS]) + "\n")
    outcome = run("predict", adapter, "in.csv", "-o", target, "--coverage", COVERAGE, *FP32)
    assert outcome.code == 0, outcome.err
    if target.endswith("parquet"):
        rows = pyarrow.parquet.read_table(target).to_pylist()
    elif target.endswith("jsonl"):
        rows = lines(Path(target).read_text())
    else:
        with Path(target).open(newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            row["label_set"] = json.loads(row["label_set"])
            row["predicted_label"] = row["predicted_label"] or None
    assert [pick(row) for row in rows] == plain


def test_labels_of_low_probability_are_left_empty(
    adapter: Path, clf: Classifier, middle: float
) -> None:
    outcome = run("predict", adapter, *TEXTS, "--abstain-below", middle, *FP32)
    assert outcome.code == 0, outcome.err
    rows = lines(outcome.out)
    assert "label_set" not in rows[0]
    for row in rows:
        highest = max(row["p_negative"], row["p_positive"])
        assert (row["predicted_label"] is None) == (highest < middle)
        assert row["error"] is None
    withheld = sum(row["predicted_label"] is None for row in rows)
    assert 0 < withheld < 9
    assert f"{withheld} of 9 rows left without a label" in outcome.err
    said = clf.predict(TEXTS, abstain_below=middle)
    assert said.tolist() == [row["predicted_label"] for row in rows]


def test_in_python(clf: Classifier, plain: list[dict[str, Any]], middle: float) -> None:
    assert clf.predict_sets(TEXTS, COVERAGE) == [row["label_set"] for row in plain]
    assert clf.predict(TEXTS, coverage=COVERAGE).tolist() == [
        row["predicted_label"] for row in plain
    ]
    assert None not in clf.predict(TEXTS).tolist()
    assert clf.predict([], coverage=COVERAGE).shape == (0,)
    assert clf.predict_sets([]) == []
    with clf.untuned() as base, pytest.raises(ValueError, match="no conformal scores"):
        base.predict_sets(TEXTS)


def test_too_few_rows_promise_all_labels_and_it_is_said(adapter: Path) -> None:
    outcome = run("predict", adapter, TEXTS[0], "--coverage", "0.9", *FP32)
    (row,) = lines(outcome.out)
    assert row["label_set"] == ["negative", "positive"]
    assert row["predicted_label"] is None
    assert "6 validation rows are too few" in outcome.err
    assert "takes 9" in outcome.err


@pytest.mark.parametrize("option", ["--coverage", "--abstain-below"])
@pytest.mark.parametrize("value", ["0", "1", "1.5", "-0.1", "nan"])
def test_values_outside_are_refused_before_the_base_is_loaded(
    option: str, value: str, adapter: Path
) -> None:
    message = run("predict", adapter, "a film", option, value, "--model", "./gone").error
    assert "above 0 and below 1" in message


def test_an_older_adapter_says_what_to_do(adapter: Path, broken: Path) -> None:
    values = json.loads((broken / "sentilora.json").read_text())
    del values["conformal"]
    (broken / "sentilora.json").write_text(json.dumps(values))
    message = run("predict", broken, "a film", "--coverage", "0.9").error
    assert "Train again with validation rows" in message
    assert "--abstain-below" in message
    outcome = run("predict", broken, "a film", "--abstain-below", "0.5", *FP32)
    assert outcome.code == 0, outcome.err
    measured = run("evaluate", broken, *FP32, "--json")
    assert json.loads(measured.out)["label_sets"] is None
    assert "holds no conformal scores" in measured.out


def test_a_damaged_list_of_scores_is_said(broken: Path) -> None:
    values = json.loads((broken / "sentilora.json").read_text())
    values["conformal"] = {"rows": 6}
    (broken / "sentilora.json").write_text(json.dumps(values))
    assert "damaged" in run("predict", broken, "a film").error


def test_a_clash_of_columns_is_told(adapter: Path, here: Path) -> None:
    (here / "in.csv").write_text("text,label_set\nfine,x\n")
    assert run("predict", adapter, "in.csv", *FP32).code == 0  # no sets, no clash
    message = run("predict", adapter, "in.csv", "--coverage", COVERAGE).error
    assert "'label_set'" in message


def test_a_resumed_run_keeps_the_scores(uninterrupted: Path, unfinished: Path, data: Path) -> None:
    outcome = run("train", "--resume", unfinished)
    assert outcome.code == 0, outcome.err
    whole, resumed = (
        json.loads((folder / "sentilora.json").read_text())["conformal"]
        for folder in (uninterrupted, unfinished)
    )
    assert whole == resumed
    assert len(resumed["scores"]) == 6


def test_evaluate_measures_all_of_it(adapter: Path) -> None:
    result = json.loads(run("evaluate", adapter, *FP32, "--json").out)
    for name in ("untuned_contextual_calibration", "untuned_pmi"):
        assert 0 <= result["results"][name]["accuracy"] <= 1
        assert result["results"][name]["label_mass"] is None
    assert sum(each["rows"] for each in result["calibration"]["after"]["bins"]) == 6
    assert result["label_sets"]["calibrated_on"] == 6
    assert result["label_sets"]["coverage"] == 1.0  # sets of all labels
    first = result["selective_accuracy"][0]
    assert (first["rows"], first["accuracy"]) == (6, result["results"]["tuned"]["accuracy"])
    shown = run("evaluate", adapter, *FP32).out
    for said in ("untuned, PMI", "Tuned, calibration in 15 bins", "abstain below", "Label sets"):
        assert said in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_on_a_terminal_sets_are_a_column(adapter: Path) -> None:
    code, sent = on_terminal("predict", adapter, TEXTS[0], "--coverage", "0.9", *FP32)
    assert code == 0
    assert ["text", "label", "may", "be", "negative", "positive"] in [
        line.split() for line in sent.replace("\r", "").splitlines()
    ]
    assert "negative, positive" in sent
