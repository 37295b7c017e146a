"""Hub data sets, through the real `datasets` library but without a network."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from datasets.exceptions import DatasetNotFoundError

from hub_client import FAILURES
from sentilora.data import DataOptions, load_data
from sentilora.data.dataset import HubAddress
from sentilora.errors import UserError, first_line

Loader = Callable[[DatasetDict], list[tuple[str, Any]]]


def class_rows(names: list[str], labels: list[int], prefix: str) -> Dataset:
    """A split as the Hub has it: class ids with names, and a column of no interest."""
    features = Features(
        {"idx": Value("int32"), "sentence": Value("string"), "label": ClassLabel(names=names)}
    )
    rows = {
        "idx": list(range(len(labels))),
        "sentence": [f"{prefix} {n}" for n in range(len(labels))],
        "label": labels,
    }
    return Dataset.from_dict(rows, features=features)


def sst2_like() -> DatasetDict:
    names = ["negative", "positive"]
    return DatasetDict(
        train=class_rows(names, [1, 0] * 50, "train"),
        validation=class_rows(names, [0, 1] * 5, "validation"),
        test=class_rows(names, [-1] * 8, "test"),
    )


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Loader:
    """Makes `load_dataset` give a data set; returns the list of what it was asked for."""

    def install(answer: DatasetDict) -> list[tuple[str, Any]]:
        asked = []

        def load_dataset(path: str, name: Any = None, *, revision: Any = None) -> DatasetDict:
            asked.append((path, revision) if name is None else (path, name, revision))
            return answer

        monkeypatch.setattr(datasets, "load_dataset", load_dataset)
        return asked

    return install


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.mark.parametrize(
    ("spec", "hub_name", "name"),
    [
        ("rotten_tomatoes", "cornell-movie-review-data/rotten_tomatoes", "rotten_tomatoes"),
        ("imdb", "stanfordnlp/imdb", "imdb"),
        ("stanfordnlp/sst2", "stanfordnlp/sst2", "sst2"),
    ],
)
def test_names_and_film_sets(serve: Loader, spec: str, hub_name: str, name: str) -> None:
    asked = serve(sst2_like())
    data = load_data(spec, DataOptions(revision="abc"))
    assert asked == [(hub_name, "abc")]
    assert (data.name, data.hub, data.origin) == (name, HubAddress(hub_name, None, "abc"), hub_name)
    assert data.subject == "movie review"


def test_a_known_set_in_its_configuration(serve: Loader) -> None:
    asked = serve(sst2_like())
    data = load_data("financial_phrasebank")
    assert asked == [
        ("takala/financial_phrasebank", "sentences_50agree", "refs/convert/parquet"),
    ]
    assert data.hub == HubAddress(
        "takala/financial_phrasebank", "sentences_50agree", "refs/convert/parquet"
    )
    assert (data.name, data.subject) == ("financial_phrasebank", "financial news sentence")


def test_bare_numbers_of_a_known_set_get_their_words(serve: Loader) -> None:
    rows = {"text": [f"text {n}" for n in range(90)], "label": [0, 1, 2] * 30}
    serve(DatasetDict(train=Dataset.from_dict(rows)))
    data = load_data("zeroshot/twitter-financial-news-sentiment", DataOptions(purpose="evaluate"))
    assert data.labels == ("negative", "neutral", "positive")
    assert [data.labels[row.label] for row in data.split("all")[:3]] == [
        *("negative", "positive", "neutral"),
    ]


def test_a_known_set_that_the_hub_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="senti4sd is not on the Hugging Face Hub"):
        load_data("senti4sd")


def test_unlabelled_test_split_is_set_aside_and_replaced(serve: Loader) -> None:
    serve(sst2_like())
    data = load_data("sst2")
    assert data.labels == ("negative", "positive")
    assert {name: len(rows) for name, rows in data.splits.items()} == {
        "train": 90,
        "validation": 10,
        "test": 10,
    }
    assert all(row.text.startswith("train") for row in data.test)
    assert (data.report.rows_read, data.report.rows_used, data.report.rows_set_aside) == (
        118,
        110,
        8,
    )
    assert any("test split" in note and "8 rows" in note for note in data.notes)


def test_further_columns_are_kept_for_an_audit(serve: Loader) -> None:
    serve(sst2_like())
    audited = load_data("nyu-mll/sst2", DataOptions(purpose="audit"))
    assert [row.others for row in audited.split("train")] == [{"idx": n} for n in range(100)]


def test_class_names_become_labels_in_their_id_order(serve: Loader) -> None:
    labels = [0, 1] * 20
    serve(DatasetDict(train=class_rows(["pos", "neg"], labels, "t")))
    data = load_data("some/set")
    assert data.labels == ("positive", "negative")
    assert {row.text: row.label for row in data.all_rows()} == {
        f"t {n}": label for n, label in enumerate(labels)
    }
    assert data.subject == "text"


def test_given_labels_and_maps_apply_to_class_names(serve: Loader) -> None:
    serve(DatasetDict(train=class_rows(["neg", "pos"], [0, 1] * 20, "t")))
    mapped = load_data("a/b", DataOptions(label_map={"1": "good", "0": "bad"}))
    assert mapped.labels == ("good", "bad")
    ordered = load_data("a/b", DataOptions(labels=("positive", "negative")))
    assert ordered.label_counts("all") == {"positive": 20, "negative": 20}
    assert {row.label for row in ordered.all_rows() if row.text == "t 0"} == {1}


def test_other_splits_are_not_used_and_said(serve: Loader) -> None:
    serve(
        DatasetDict(
            train=class_rows(["neg", "pos"], [0, 1] * 20, "t"),
            unsupervised=class_rows(["neg", "pos"], [-1] * 9, "u"),
        )
    )
    data = load_data("imdb")
    assert data.report.rows_read == 40
    assert any("unsupervised" in note for note in data.notes)


def test_minus_one_is_a_label_where_classes_have_no_names(serve: Loader) -> None:
    rows = {"text": [f"t {n}" for n in range(40)], "label": [-1, 1] * 20}
    serve(DatasetDict(train=Dataset.from_dict(rows)))
    assert load_data("a/b").labels == ("-1", "1")


def test_columns_and_splits_that_are_missing(serve: Loader) -> None:
    serve(DatasetDict(train=Dataset.from_dict({"question": ["a"], "label": [1]})))
    with pytest.raises(UserError, match="question"):
        load_data("a/b")
    serve(DatasetDict(corpus=class_rows(["a", "b"], [0, 1], "t")))
    with pytest.raises(UserError, match="corpus"):
        load_data("a/b")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (DatasetNotFoundError("Dataset 'a/b' doesn't exist"), "no data set of that name"),
        (ConnectionError("Couldn't reach 'a/b' on the Hub"), "cannot be reached"),
        (ValueError("Config name is missing.\nPlease pick one"), "Config name is missing"),
        *((error, re.escape(first_line(error))) for error in FAILURES),
        (RuntimeError("Dataset scripts are no longer supported"), "scripts are no longer"),
    ],
)
def test_what_goes_wrong_at_the_hub_is_an_error_with_ways_out(
    monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def load_dataset(path: str, revision: Any = None) -> DatasetDict:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(UserError, match=words) as caught:
        load_data("a/b")
    assert "leave --data out" in str(caught.value)


def test_offline_in_earnest(own_cache: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="cannot be reached"):
        load_data("nobody-here/no-such-set")


def test_folder_as_the_hub_lays_it_out(own_cache: None, tmp_path: Path) -> None:
    folder = tmp_path / "rotten_tomatoes"
    (folder / "data").mkdir(parents=True)
    for name, split in sst2_like().items():
        split.to_parquet(folder / "data" / f"{name}-00000-of-00001.parquet")
    data = load_data(str(folder))
    assert data.labels == ("negative", "positive")
    assert len(data.validation) == 10
    assert (data.name, data.hub, data.origin) == ("rotten_tomatoes", None, str(folder))
    assert data.subject == "movie review"


def test_folder_saved_by_datasets(own_cache: None, tmp_path: Path) -> None:
    sst2_like().save_to_disk(tmp_path / "mine")
    data = load_data(str(tmp_path / "mine"), DataOptions(purpose="evaluate"))
    assert {name: len(rows) for name, rows in data.splits.items()} == {
        "train": 100,
        "validation": 10,
    }
