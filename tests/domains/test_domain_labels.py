"""Labels that domains spell in several ways are one label, and are trained under one word."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_sets import load, turns, write_rows, write_set

from sentilora.cli.rows import data_options
from sentilora.data import load_data
from sentilora.data.dataset import SPLITS
from sentilora.domains.labels import unified
from sentilora.domains.mixture import mixture_labels, write_mixture
from sentilora.domains.sources import load_domains, tell_apart
from sentilora.domains.study import planned
from sentilora.errors import UserError

SPELLINGS = {
    "imdb": ("Negative", "Positive"),
    "sst2": ("neg", "pos"),
    "fiqa": ("negative", "neutral", "positive"),
}


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (
            [("Negative", "Positive"), ("neg", "POS"), ("negative", "Neutral", "positive")],
            [
                ("negative", "positive"),
                ("negative", "positive"),
                ("negative", "neutral", "positive"),
            ],
        ),
        ([("Bad", "Good"), ("good", "bad", "NATO")], [("Bad", "Good"), ("Good", "Bad", "NATO")]),
        # nothing to unify: the user's own spelling
        ([("Negative", "Positive"), ("Negative", "Positive")], [("Negative", "Positive")] * 2),
        # two labels of one set stay two
        ([("pos", "positive"), ("Positive", "x")], [("pos", "positive"), ("positive", "x")]),
        # `--labels` couldn't have it
        ([("a,b", "c"), ("A,b", "C")], [("a,b", "c"), ("A,b", "C")]),
    ],
)
def test_one_word_for_each_label(sets: list[tuple[str, ...]], words: list[tuple[str, ...]]) -> None:
    assert unified(sets) == words


def test_runs_are_trained_with_the_words_that_the_domains_have(tmp_path: Path) -> None:
    for name, labels in SPELLINGS.items():
        write_set(tmp_path, name, 12, labels)
    domains = load(tmp_path, *SPELLINGS)
    assert [domain.dataset.labels for domain in domains] == [
        ("negative", "positive"),
        ("negative", "positive"),
        ("negative", "neutral", "positive"),
    ]
    assert mixture_labels(domains) == ("negative", "neutral", "positive")
    mixture = load_data(str(write_mixture(domains, tmp_path / "out")))
    assert mixture.labels == ("negative", "neutral", "positive")
    for domain, run in zip(
        domains, planned(domains, "base", 0, {}, tmp_path / "out", mixture=False), strict=True
    ):
        assert run.options is not None
        trained = load_data(str(run.options["data"]), data_options(run.options))
        assert trained.labels == domain.dataset.labels
        assert trained.splits == domain.dataset.splits
    assert domains[2].labels is None  # it has those words already


def test_the_rows_mean_what_they_meant(tmp_path: Path) -> None:
    write_set(tmp_path, "imdb", 12, ("Negative", "Positive"))
    write_set(tmp_path, "sst2", 12, ("pos", "neg"))
    alone = load_data(str(tmp_path / "sst2"))
    together = load(tmp_path, "imdb", "sst2")[1].dataset
    said = {"neg": "negative", "pos": "positive"}
    for split in SPLITS:
        assert [together.labels[row.label] for row in together.split(split)] == [
            said[alone.labels[row.label]] for row in alone.split(split)
        ]


def test_labels_that_the_user_names_are_left_alone(tmp_path: Path) -> None:
    for name in ("imdb", "sst2"):
        write_set(tmp_path, name, 12, SPELLINGS[name])
    options = data_options({"labels": "neg=Negative,pos=Positive"})
    domains = load_domains(("imdb", "sst2"), tmp_path, options)
    assert {domain.dataset.labels for domain in domains} == {("Negative", "Positive")}
    assert [domain.labels for domain in domains] == [None, None]


def test_what_is_said_of_labels(tmp_path: Path) -> None:
    write_set(tmp_path, "imdb", 12, ("negative", "positive"))
    write_set(tmp_path, "sst2", 12, ("neg", "pos"))
    write_rows(
        tmp_path, "bugs", **{split: turns(split, 6, ("bug", "positive")) for split in SPLITS}
    )
    renamed, *apart = tell_apart(load(tmp_path, "imdb", "sst2", "bugs"), mixture=False)
    assert "sst2" in renamed
    assert "neg=negative,pos=positive" in renamed
    assert [line.partition(" have")[0] for line in apart] == [
        f"{name} (negative, positive) and bugs (bug, positive)" for name in ("imdb", "sst2")
    ]


def test_a_study_in_which_nothing_could_be_measured(tmp_path: Path) -> None:
    write_set(tmp_path, "imdb", 12, ("negative", "positive"))
    write_set(tmp_path, "bugs", 12, ("bug", "praise"))
    domains = load(tmp_path, "imdb", "bugs")
    with pytest.raises(UserError, match="No two of the domains have two labels in common"):
        tell_apart(domains, mixture=False)
    assert len(tell_apart(domains, mixture=True)) == 1  # which is a model of both
