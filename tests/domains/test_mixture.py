"""The mixture's rows: each domain under its heading, none drowned, none lost."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from small_sets import load, turns, write_rows, write_set

from sentilora.data import load_data
from sentilora.domains.mixture import headed, mixture_labels, mixture_template, write_mixture
from sentilora.domains.sources import Domain
from sentilora.domains.study import planned
from sentilora.errors import UserError
from sentilora.task import Task


def two(folder: Path) -> list[Domain]:
    write_set(folder, "imdb", 30, ("negative", "positive"))
    write_set(folder, "fiqa", 12, ("positive", "neutral", "negative"))
    return load(folder, "imdb", "fiqa")


def read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_domain_has_as_many_training_rows(tmp_path: Path) -> None:
    domains = two(tmp_path)
    rows = read(write_mixture(domains, tmp_path / "out") / "train.jsonl")
    headings = Counter(row["text"].partition(":")[0] for row in rows)
    assert headings == {"Movie review": 30, "Financial headline": 30}
    repeats = Counter(row["text"] for row in rows if row["text"].startswith("Financial"))
    assert set(repeats) == {f"Financial headline: fiqa train {n}" for n in range(12)}
    assert set(repeats.values()) == {2, 3}


def test_other_rows_are_there_once(tmp_path: Path) -> None:
    made = write_mixture(two(tmp_path), tmp_path / "out")
    for split in ("validation", "test"):
        texts = [row["text"] for row in read(made / f"{split}.jsonl")]
        assert len(texts) == len(set(texts)) == 42


def test_it_is_drawn_from_the_seed_alone(tmp_path: Path) -> None:
    domains = two(tmp_path)
    made = [write_mixture(domains, tmp_path / str(n), seed) for n, seed in enumerate((0, 0, 1))]
    first, again, other = [(folder / "train.jsonl").read_bytes() for folder in made]
    assert first == again != other


def test_it_can_be_trained_on(tmp_path: Path) -> None:
    domains = two(tmp_path)
    labels = mixture_labels(domains)
    assert labels == ("negative", "neutral", "positive")
    data = load_data(str(write_mixture(domains, tmp_path / "out")))
    assert data.labels == labels
    assert len(data.train) == 60
    task = Task(mixture_template(domains), labels)
    assert task.render(headed(domains[1], "profits fell")) == (
        "Classify the sentiment of the text as negative, neutral or positive.\n\n"
        "Financial headline: profits fell\nSentiment:"
    )


def test_other_rows_are_another_run(tmp_path: Path) -> None:
    """Else a mixture of two would be taken for one of three."""

    def mixed(domains: list[Domain]) -> object:
        asked = {"labels": "negative,positive", "rank": 4}
        return planned(domains, "base", 0, asked, tmp_path / "out", mixture=True)[-1].options

    first, again = mixed(two(tmp_path)), mixed(load(tmp_path, "imdb", "fiqa"))
    write_set(tmp_path, "sst2", 12, ("negative", "positive"))
    assert first == again != mixed(load(tmp_path, "imdb", "fiqa", "sst2"))
    assert isinstance(first, dict)
    assert first["rank"] == 4
    assert "labels" not in first  # the rows are the study's own, with its own labels


def same_texts(folder: Path) -> list[Domain]:
    """Two sets of film reviews; each trains on texts that the other holds out, and they disagree
    about one."""
    held = {split: turns(split, 4) for split in ("validation", "test")}
    disputed = {"disputed": "positive"}
    first = {"train": {**turns("a", 6), **disputed}, **held}
    write_rows(folder, "imdb", **first)
    write_rows(
        folder,
        "sst2",
        train={**turns("b", 12), **held["test"], **held["validation"], "disputed": "negative"},
        validation=turns("c", 4),
        test={**turns("d", 4), "a 0": "negative", "A  1": "positive"},
    )
    return load(folder, "imdb", "sst2")


def test_what_a_domain_holds_out_is_not_trained_on(tmp_path: Path) -> None:
    made = write_mixture(same_texts(tmp_path), tmp_path / "out")
    counts = Counter(row["text"] for row in read(made / "train.jsonl"))
    mine = {text: n for text, n in counts.items() if text.startswith("Movie review: a")}
    assert set(mine) == {f"Movie review: a {n}" for n in (2, 3, 4, 5)}
    assert sum(mine.values()) == sum(counts.values()) - sum(mine.values()) == 12


def test_loading_the_mixture_takes_nothing_more_out(tmp_path: Path) -> None:
    """Else domains that were made as large as each other would no longer be."""
    made = write_mixture(same_texts(tmp_path), tmp_path / "out")
    assert len(load_data(str(made)).train) == len(read(made / "train.jsonl"))


def test_a_domain_that_others_hold_out_whole(tmp_path: Path) -> None:
    write_rows(tmp_path, "imdb", train=turns("a", 4), validation=turns("b", 4), test=turns("c", 4))
    write_rows(tmp_path, "sst2", train=turns("d", 4), validation=turns("e", 4), test=turns("a", 4))
    with pytest.raises(UserError, match=r"training rows of imdb .* --no-mixture"):
        write_mixture(load(tmp_path, "imdb", "sst2"), tmp_path / "out")
