"""`sentilora audit`: planted label errors and near-duplicates are found, and told."""

from __future__ import annotations

import codecs
import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from command import Outcome, run
from samples import reviews, write_csv

LEARNING = "--epochs 6 --batch-size 8 --targets all --dropout 0 --learning-rate 0.02"
FP32 = ("--device", "cpu", "--dtype", "float32")
OTHER = {"negative": "positive", "positive": "negative"}


def planted(count: int, every: int) -> tuple[list[tuple[str, str]], set[int]]:
    """Rows of which every so many-th has the wrong label, and these rows' numbers."""
    rows, wrong = reviews(count), set(range(every, count + 1, every))
    for number in wrong:
        text, label = rows[number - 1]
        rows[number - 1] = (text, OTHER[label])
    return rows, wrong


def audit(*arguments: object) -> dict[str, Any]:
    outcome = run("audit", *arguments, "--json")
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def precision_and_recall(found: dict[str, Any], wrong: set[int]) -> tuple[float, float]:
    said = {suspect["row"] for suspect in found["suspects"]}
    return len(said & wrong) / len(said), len(said & wrong) / len(wrong)


def test_planted_errors_are_found_by_the_fast_judge(here: Path) -> None:
    rows, wrong = planted(300, every=11)
    write_csv(here / "rows.csv", rows)
    found = audit("--data", "rows.csv", "--fast")
    precision, recall = precision_and_recall(found, wrong)
    assert precision >= 0.95
    assert recall >= 0.95
    for suspect in found["suspects"]:
        text, label = rows[suspect["row"] - 1]
        assert suspect["text"] == text
        assert (suspect["given"], suspect["suggested"]) == (label, OTHER[label])
    margins = [suspect["margin"] for suspect in found["suspects"]]
    assert margins == sorted(margins)
    assert found["estimated_errors"] == pytest.approx(len(wrong), rel=0.2)
    assert sum(noise["counted"] for noise in found["noise"]) == len(found["suspects"])


def test_planted_errors_are_found_by_tuning(tiny_base: Path, here: Path) -> None:
    """A base of a few thousand random weights learns little, yet more than chance, 1 in 13."""
    rows, wrong = planted(120, every=13)
    write_csv(here / "rows.csv", rows)
    options = ("--model", tiny_base, "--options", f"{LEARNING} --max-length 128", *FP32)
    outcome = run("audit", "--data", "rows.csv", "--folds", "3", *options, "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    precision, recall = precision_and_recall(found, wrong)
    assert precision >= 0.25
    assert recall >= 0.5
    assert found["method"].endswith("base, tuned")
    # Six passes over two thirds of the rows, and each row judged once; in three folds.
    assert "auditing: 1,560/1,560 rows (100%)" in outcome.err


def leaking(folder: Path) -> None:
    """Train, validation and test: one test row and a copy of it are changed rows of train."""
    rows = reviews(150)
    rows[4] = (
        "a long way from what we were told it would be yet not without its moments",
        "negative",
    )
    train, validation, test = rows[:100], rows[100:120], rows[120:]
    text, label = train[4]
    test += [(text.upper(), label), (text + "!", OTHER[label])]
    train += [(train[7][0], OTHER[train[7][1]])]
    folder.mkdir()
    for name, part in (("train", train), ("validation", validation), ("test", test)):
        write_csv(folder / f"{name}.csv", part)


def test_leaks_and_contradictions_are_named(here: Path) -> None:
    leaking(here / "set")
    outcome = run("audit", "--data", "set", "--fast", "--similarity", "0.95")
    assert outcome.code == 0, outcome.err
    assert "Leakage: 2 rows of test (6.2 %) are in a group with a row of train." in outcome.out
    said = " ".join(outcome.out.split())
    assert "5 rows in 2 groups; 2 groups with different labels." in said
    for place in ("train 5", "test 31", "test 32", "train 8", "train 101"):
        assert place in outcome.out
    assert "set aside" not in outcome.err
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_the_json_of_near_duplicates(here: Path) -> None:
    leaking(here / "set")
    near = audit("--data", "set", "--fast", "--similarity", "0.95")["near_duplicates"]
    assert near["leaks"] == [{"split": "test", "of": "train", "rows": 2, "share": 2 / 32}]
    first, second = near["groups"]
    assert [(row["split"], row["row"]) for row in first["rows"]] == [
        ("train", 5),
        ("test", 31),
        ("test", 32),
    ]
    assert (first["labels_differ"], first["crosses_splits"]) == (True, True)
    assert (second["labels_differ"], second["crosses_splits"]) == (True, False)
    assert second["similarity"] == 1.0


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.parquet", "out.tsv.gz"])
def test_all_rows_are_written(name: str, here: Path) -> None:
    leaking(here / "set")
    outcome = run("audit", "--data", "set", "--fast", "--similarity", "0.95", "-o", name)
    assert outcome.code == 0, outcome.err
    assert f"All 153 rows, with what was found of each, are in {name}." in outcome.err
    if name == "out.jsonl":
        written = [json.loads(line) for line in Path(name).read_text().splitlines()]
    elif name == "out.parquet":
        written = pq.read_table(name).to_pylist()
    else:
        return
    assert len(written) == 153
    found = audit("--data", "set", "--fast", "--similarity", "0.95")
    suspects = [(s["split"], s["row"], s["suggested"]) for s in found["suspects"]]
    flagged = [row for row in written if row["suspicious"]]
    flagged.sort(key=lambda row: row["margin"])
    assert [(r["split"], r["row"], r["suggested_label"]) for r in flagged] == suspects
    for row in written:
        assert row["p_negative"] + row["p_positive"] == pytest.approx(1)
        sure = row["p_negative"] - row["p_positive"]
        assert row["margin"] == pytest.approx(sure if row["label"] == "negative" else -sure)
        assert 1 <= row["fold"] <= 5
    copied = next(row for row in written if (row["split"], row["row"]) == ("test", 31))
    assert (copied["nearest_split"], copied["nearest_row"]) == ("train", 5)
    assert (copied["similarity"], copied["duplicate_labels_differ"]) == (1.0, True)


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.parquet"])
def test_further_columns_are_kept(name: str, here: Path) -> None:
    """And those that are called as an audit's own are told apart from them."""
    rows, _ = planted(60, every=9)
    lines = [f"{n};{text};{label};{n % 5};é" for n, (text, label) in enumerate(rows)]
    content = "\n".join(["id;text;label;row;note", *lines]) + "\n"
    Path("rows.csv").write_text(content, encoding="utf-8-sig")
    outcome = run("audit", "--data", "rows.csv", "--fast", "-o", name)
    assert outcome.code == 0, outcome.err
    assert outcome.err.count("Row 1 is the first below the header.") == 1
    if name == "out.csv":
        assert Path(name).read_bytes().startswith(codecs.BOM_UTF8 + b"split;row;text;label;id;")
        with Path(name).open(newline="", encoding="utf-8-sig") as file:
            written: list[dict[str, Any]] = list(csv.DictReader(file, delimiter=";"))
    elif name == "out.jsonl":
        written = [json.loads(line) for line in Path(name).read_text().splitlines()]
    else:
        written = pq.read_table(name).to_pylist()
    assert [row["text"] for row in written] == [text for text, _ in rows]
    assert [row["id"] for row in written] == [str(n) for n in range(60)]
    assert [row["source_row"] for row in written] == [str(n % 5) for n in range(60)]
    assert [int(row["row"]) for row in written] == list(range(1, 61))
    assert {row["note"] for row in written} == {"é"}


def test_types_of_further_columns_are_kept_in_parquet(here: Path) -> None:
    lines = [
        {"id": n, "text": text, "label": label, "more": [n], "x": n / 2 if n else None}
        for n, (text, label) in enumerate(reviews(40))
    ]
    Path("rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    outcome = run("audit", "--data", "rows.jsonl", "--fast", "-o", "out.parquet")
    assert outcome.code == 0, outcome.err
    assert "header" not in outcome.err
    written = pq.read_table("out.parquet").to_pylist()
    assert [row["id"] for row in written] == list(range(40))
    assert [row["x"] for row in written] == [None, *(n / 2 for n in range(1, 40))]
    assert written[3]["more"] == "[3]"


def test_what_is_audited_is_not_written_over(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here))
    write_csv(here / "rows.csv", reviews(40))
    leaking(here / "set")
    for data, target in (("~/rows.csv", "rows.csv"), ("set", "set/test.csv")):
        before = Path(target).read_bytes()
        message = run("audit", f"--data={data}", "--fast", "-o", target).error
        assert "is the file being read" in message
        assert Path(target).read_bytes() == before


def test_a_csv_can_be_read_again(here: Path) -> None:
    rows, _ = planted(60, every=9)
    write_csv(here / "rows.csv", rows)
    assert run("audit", "--data", "rows.csv", "--fast", "-o", "out.csv").code == 0
    with Path("out.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["text"], line["label"]) for line in lines] == rows
    assert audit("--data", "out.csv", "--fast")["rows"] == 60


def test_rows_that_cannot_be_used_are_counted(here: Path) -> None:
    write_csv(here / "rows.csv", [*reviews(40), ("", "negative"), ("fine", "")])
    outcome = run("audit", "--data", "rows.csv", "--fast")
    assert outcome.code == 0
    assert "1 row with an empty or missing text: set aside (row 41)" in outcome.err
    assert "1 row without a label: set aside (row 42)" in outcome.err
    assert "rows: 40 rows, each judged" in outcome.out


def test_labels_are_the_users_and_no_markup(here: Path) -> None:
    rows = [(text, f"[bold]{label}") for text, label in planted(100, every=9)[0]]
    write_csv(here / "rows.csv", rows)
    outcome = run("audit", "--data", "rows.csv", "--fast", "--show", "3")
    assert "[bold]negative" in outcome.out
    assert "The 3 most suspicious of " in outcome.out


# Bad inputs.


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--folds", "1"), "--folds 1 can't be"),
        (("--similarity", "0"), "--similarity 0 can't be"),
        (("--similarity", "1.5"), "--similarity 1.5 can't be"),
        (("--folds", "21"), "too few for 21 folds"),
        (("--options", "--epochs 2"), "which --fast does without"),
        (("-o", "out.txt"), "does not say which format"),
        (("-o", "rows.csv"), "is the file being read"),
        (("-o", "none/out.csv"), "There is no folder"),
        (("--text-column", "words"), "words"),
        (("--labels", "a,b"), "none of a, b"),
    ],
)
def test_what_cannot_be(options: tuple[str, ...], said: str, here: Path) -> None:
    write_csv(here / "rows.csv", reviews(40))
    assert said in run("audit", "--data", "rows.csv", "--fast", *options).error


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--options", "--epochs 0"), "epochs"),
        (("--options", "--epoch 2"), "--epochs"),
        (("--options", "--seed 2"), "--seed"),
        (("--options", "--device tpu", "--device", "cpu"), "tpu"),
        (("--dtype", "float3"), "float3"),
        (("--model", "nowhere/./none"), "none"),
    ],
)
def test_what_cannot_be_tuned(options: tuple[str, ...], said: str, here: Path) -> None:
    """And is said before the rows are read."""
    assert said in run("audit", "--data", "none.csv", *options).error


@pytest.mark.parametrize(
    ("option", "said"), [("--text-column words", "words"), ("--labels a,b", "none of a, b")]
)
def test_rows_are_read_by_the_options_of_train(option: str, said: str, here: Path) -> None:
    write_csv(here / "rows.csv", reviews(40))
    assert said in run("audit", "--data", "rows.csv", "--options", option).error


def test_one_label_only(here: Path) -> None:
    write_csv(here / "rows.csv", [(text, "same") for text, _ in reviews(20)])
    assert "have one label" in run("audit", "--data", "rows.csv", "--fast").error


def test_ctrl_c_says_where_it_stopped(
    tiny_base: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sentilora.training.gradients import Gradients

    def interrupt(*arguments: object) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(Gradients, "accumulate", interrupt)
    options = ("--model", tiny_base, "--options", "--max-length 128", *FP32, "-o", "out.csv")
    outcome: Outcome = run("audit", "--data", data, *options)
    assert outcome.code == 130
    assert outcome.err.splitlines()[-1] == "Stopped in fold 1 of 5; nothing was written."
    assert not Path("out.csv").exists()
