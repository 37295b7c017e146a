"""`load_data`: from a name to checked rows in splits, and every row accounted for."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from sentilora.data import DataOptions, DataSet, load_data, parse_labels_option
from sentilora.data.dataset import Purpose
from sentilora.errors import UserError

Row = tuple[str, str]
EVALUATE = DataOptions(purpose="evaluate")


def good_rows(size: int = 40, prefix: str = "text") -> list[Row]:
    return [(f"{prefix} {n}", "positive" if n % 2 else "negative") for n in range(size)]


def write_csv(path: Path, rows: list[Row], header: tuple[str, str] = ("text", "label")) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def write_jsonl(path: Path, rows: list[Row]) -> Path:
    lines = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows)
    path.write_bytes(gzip.compress(lines.encode()) if path.suffix == ".gz" else lines.encode())
    return path


def sizes(data: DataSet) -> dict[str, int]:
    return {split: len(rows) for split, rows in data.splits.items()}


def assert_adds_up(data: DataSet, read: int) -> None:
    assert data.report.rows_read == read
    assert data.report.rows_used == len(data.all_rows())
    assert data.report.rows_read == data.report.rows_used + data.report.rows_set_aside


def test_bundled_reviews() -> None:
    data = load_data(None)
    assert data.labels == ("negative", "positive")
    assert (data.name, data.origin, data.subject) == ("reviews", "bundled", "text")
    assert sizes(data) == {"train": 800, "validation": 200, "test": 200}
    for split, rows in data.splits.items():
        assert set(data.label_counts(split).values()) == {len(rows) // 2}
    assert data.report.lines() == []
    assert data.notes == ()


def test_single_file_is_cut_and_said(tmp_path: Path) -> None:
    data = load_data(str(write_csv(tmp_path / "my.reviews.csv", good_rows(100))))
    assert sizes(data) == {"train": 80, "validation": 10, "test": 10}
    assert data.label_counts("validation") == {"negative": 5, "positive": 5}
    assert (data.name, data.subject) == ("my", "text")
    (note,) = data.notes
    assert "10 rows for validation and 10 rows for test" in note
    assert "seed 0" in note
    for row in data.all_rows():
        assert row.text == f"text {row.row - 1}"  # the file's own row numbers
    assert_adds_up(data, 100)


def test_seed_and_only_the_seed_decides(tmp_path: Path) -> None:
    rows = good_rows(100)
    forwards = str(write_csv(tmp_path / "a.csv", rows))
    backwards = str(write_jsonl(tmp_path / "b.jsonl.gz", rows[::-1]))

    def test_texts(spec: str, seed: int) -> set[str]:
        return {row.text for row in load_data(spec, DataOptions(seed=seed)).test}

    assert test_texts(forwards, 0) == test_texts(backwards, 0)
    assert test_texts(forwards, 0) != test_texts(forwards, 1)


def test_single_file_to_evaluate_is_one_split(tmp_path: Path) -> None:
    path = str(write_csv(tmp_path / "one.csv", [("a", "Positive"), ("b", "positive")]))
    data = load_data(path, DataOptions(purpose="evaluate", labels=("negative", "positive")))
    assert sizes(data) == {"all": 2}
    assert [row.label for row in data.split("all")] == [1, 1]
    assert {row.split for row in data.all_rows()} == {"all"}
    assert load_data(path, EVALUATE).labels == ("Positive",)


def test_folder_with_only_train_is_one_without_splits(tmp_path: Path) -> None:
    write_csv(tmp_path / "set" / "train.csv", good_rows(40))
    assert sizes(load_data(str(tmp_path / "set"), EVALUATE)) == {"all": 40}
    assert sizes(load_data(str(tmp_path / "set"))) == {"train": 32, "validation": 4, "test": 4}


@pytest.mark.parametrize("name", ["validation", "valid", "val", "dev", "DEV"])
def test_folder_of_split_files(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "sst2"
    write_csv(folder / "train.csv", good_rows(40))
    write_jsonl(folder / f"{name}.jsonl.gz", good_rows(6, "dev"))
    (folder / "README.md").write_text("about")
    data = load_data(str(folder))
    assert sizes(data) == {"train": 36, "validation": 6, "test": 4}
    assert all(row.text.startswith("dev") for row in data.validation)
    assert (data.name, data.subject) == ("sst2", "movie review")
    evaluated = load_data(str(folder), EVALUATE)
    assert sizes(evaluated) == {"train": 40, "validation": 6}
    with pytest.raises(UserError, match="train, validation"):
        evaluated.split("test")


def test_folder_may_be_named_by_a_dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv(tmp_path / "mine" / "train.csv", good_rows(40))
    monkeypatch.chdir(tmp_path / "mine")
    assert load_data(".").name == "mine"


def test_every_row_is_accounted_for(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    train = good_rows(40)
    train += [("", "positive"), (" ", "negative"), ("no label", "")]
    train += [("contradiction", "positive"), ("Contradiction ", "negative")]
    train += [("TEXT 3", "positive")]  # a repeat
    train += [("test 0", "negative"), ("val 1", "positive"), ("val 1", "positive")]
    write_csv(folder / "train.csv", train)
    with (folder / "train.csv").open("a") as file:
        file.write("too,many,fields\n")
    write_csv(folder / "val.csv", good_rows(10, "val"))
    write_csv(folder / "test.csv", [*good_rows(10, "test"), ("val 2", "negative"), ("", "")])
    data = load_data(str(folder))
    assert_adds_up(data, len(train) + 1 + 10 + 12)
    found = {problem.kind: (problem.count, problem.rows) for problem in data.report.problems}
    assert found == {
        "unreadable row": (1, (("train", 50),)),
        "no text": (3, (("train", 41), ("train", 42), ("test", 12))),
        "no label": (1, (("train", 43),)),
        "conflicting labels": (2, (("train", 44), ("train", 45))),
        "train text in validation or test": (3, (("train", 47), ("train", 48), ("train", 49))),
        "validation text in test": (1, (("validation", 3),)),
        "repeat in train": (1, (("train", 46),)),
    }
    assert sizes(data) == {"train": 41, "validation": 10, "test": 11}
    assert len(data.report.lines()) == 7


def test_words_that_look_like_gaps_are_texts(tmp_path: Path) -> None:
    rows = [(word, "positive") for word in ("NA", "None", "null", "nan", "N/A")]
    data = load_data(str(write_csv(tmp_path / "gaps.csv", rows)), EVALUATE)
    assert [row.text for row in data.all_rows()] == ["NA", "None", "null", "nan", "N/A"]


def test_numbers_as_labels(tmp_path: Path) -> None:
    rows = [(text, "1" if label == "positive" else "0") for text, label in good_rows()]
    path = str(write_csv(tmp_path / "numbers.csv", rows))
    plain = load_data(path)
    assert plain.labels == ("0", "1")
    assert any("--labels 0=negative,1=positive" in note for note in plain.notes)
    options = DataOptions(label_map={"0": "negative", "1": "positive"})
    mapped = load_data(path, options)
    assert mapped.labels == ("negative", "positive")
    assert mapped.splits == plain.splits
    assert not any("--labels" in note for note in mapped.notes)


@pytest.mark.parametrize("purpose", ["train", "evaluate", "audit"])
def test_a_value_may_be_set_aside_and_is_counted(tmp_path: Path, purpose: Purpose) -> None:
    rows = [(f"text {n}", str(n % 5 + 1)) for n in range(50)]
    labels, label_map = parse_labels_option("1=bad,2=bad,3=,4=good,5=good")
    options = DataOptions(labels=labels, label_map=label_map, purpose=purpose)
    data = load_data(str(write_csv(tmp_path / "stars.csv", rows)), options)
    assert data.labels == ("bad", "good")
    assert data.label_counts("all") == {"bad": 20, "good": 20}
    assert_adds_up(data, 50)
    (line,) = data.report.lines()
    assert line == (
        "10 rows with a label that --labels sets aside ('3'): set aside "
        "(rows 3, 8, 13, 18, 23, and 5 more)"
    )


def test_columns_named_and_subject_given(tmp_path: Path) -> None:
    path = str(write_csv(tmp_path / "c.csv", good_rows(), header=("quote", "verdict")))
    with pytest.raises(UserError, match=r"quote.*verdict"):
        load_data(path)
    options = DataOptions(text_column="quote", label_column="verdict", subject="tweet")
    assert load_data(path, options).subject == "tweet"
    with pytest.raises(UserError, match="both"):
        load_data(path, DataOptions(text_column="quote", label_column="quote"))


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        ([], DataOptions(), "no rows"),
        ([("", "positive"), ("x", "")], DataOptions(), "no usable row"),
        ([], EVALUATE, "no rows"),
        ([("a", "positive"), ("b", "positive")], DataOptions(), "one label, 'positive'"),
        ([("a", "positive"), ("b", "positive")], DataOptions(labels=("good", "bad")), "positive"),
        (
            [(f"t {n}", "positive") for n in range(9)],
            DataOptions(labels=("negative", "positive")),
            "train split of .* has no row labelled 'negative'",
        ),
        ([*good_rows(), ("single", "mixed")], DataOptions(), "validation split .* 'mixed'"),
        (good_rows(4), DataOptions(), "test split .* 'negative', 'positive', as there are"),
        (good_rows(), DataOptions(labels=("only",)), "two or more"),
        (good_rows(), DataOptions(revision="main"), "revision"),
    ],
)
def test_refused(tmp_path: Path, rows: list[Row], options: DataOptions, words: str) -> None:
    with pytest.raises(UserError, match=words):
        load_data(str(write_csv(tmp_path / "bad.csv", rows)), options)


def test_label_missing_from_a_validation_file_is_refused(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", good_rows())
    write_csv(tmp_path / "validation.csv", [("v", "positive")])
    with pytest.raises(UserError, match=r"validation split of .* has no row labelled 'negative'"):
        load_data(str(tmp_path))
    assert sizes(load_data(str(tmp_path), EVALUATE)) == {"train": 40, "validation": 1}


def test_label_missing_from_a_test_file_is_said(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", good_rows())
    write_csv(tmp_path / "test.csv", [("v", "positive")])
    assert any(
        "test split" in note and "'negative'" in note for note in load_data(str(tmp_path)).notes
    )


def test_an_unlabelled_test_file_is_named_with_a_way_out(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", good_rows())
    write_csv(tmp_path / "test.csv", good_rows(), header=("id", "text"))
    with pytest.raises(UserError, match=r"test\.csv: No column .* labels.* out of the folder"):
        load_data(str(tmp_path))
    (tmp_path / "test.csv").unlink()
    assert sizes(load_data(str(tmp_path))) == {"train": 32, "validation": 4, "test": 4}
    write_csv(tmp_path / "train.csv", good_rows(), header=("id", "text"))
    with pytest.raises(UserError, match=r"train\.csv: No column") as caught:
        load_data(str(tmp_path))
    assert "out of the folder" not in str(caught.value)


def test_further_columns_are_kept_for_an_audit_alone(tmp_path: Path) -> None:
    lines = [{"id": 7, "text": "a", "label": "x"}, {"text": "b", "label": "y", "at": None}]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    audited = load_data(str(path), DataOptions(purpose="audit"))
    assert [row.others for row in audited.all_rows()] == [{"id": 7}, {"at": None}]
    assert [row.others for row in load_data(str(path), EVALUATE).all_rows()] == [{}, {}]


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(UserError, match=r"notes\.txt"):
        load_data(str(tmp_path))
    write_csv(tmp_path / "dev.csv", good_rows())
    with pytest.raises(UserError, match="no training rows"):
        load_data(str(tmp_path))
    write_csv(tmp_path / "val.csv", good_rows())
    with pytest.raises(UserError, match=r"dev\.csv and val\.csv"):
        load_data(str(tmp_path))


@pytest.mark.parametrize(
    "spec",
    ["no-such.csv", "no/such/folder", "./nothing", "a b", "x" * 300, "~nobody-here/x.csv"],
)
def test_nothing_of_that_name(spec: str) -> None:
    with pytest.raises(UserError):
        load_data(spec)


def test_importing_the_data_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, sentilora.data;"
        "print([m for m in ('torch','numpy','pandas','pyarrow','datasets') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_counts_of_the_real_sets(shared: Path) -> None:
    finance = load_data(str(shared / "data" / "financial_phrasebank"))
    assert finance.labels == ("negative", "neutral", "positive")
    assert finance.label_counts("test") == {"negative": 60, "neutral": 286, "positive": 136}
    assert finance.subject == "financial news sentence"
    code = load_data(str(shared / "data" / "code_review"))
    assert code.label_counts("train") == {"negative": 250, "neutral": 753}
    tweets = load_data(str(shared / "data" / "tweet_eval_sentiment"), EVALUATE)
    assert sizes(tweets) == {"validation": 2000, "test": 12267}
    sst2 = load_data(str(shared / "data" / "sst2"))  # its publisher's splits overlap
    assert sizes(sst2) == {"train": 6917, "validation": 872, "test": 1821}
    assert_adds_up(sst2, 9613)


@pytest.mark.slow
def test_imdb_gets_a_validation_split(shared: Path) -> None:
    data = load_data(str(shared / "data" / "imdb"))
    assert sizes(data) == {"train": 22300, "validation": 2478, "test": 25000}
    assert_adds_up(data, 49778)
