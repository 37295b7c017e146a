"""The study's data: whole sets from a folder of sets, and draws of few rows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sentilora.data import DataOptions, load_data

# Ten labels from sets of four domains: where a text comes from, and its sentiment.
MIXED = {
    "film": "rotten_tomatoes",
    "product": "customer_reviews",
    "finance": "financial_phrasebank",
    "code": "github_comments",
}
LABEL_COLUMNS = {"sst5": "label5"}
VALIDATION_ROWS = {"imdb": 1_000}  # at most: texts of 300 tokens take ten times as long
MIXED_SPLITS = {"train": 256, "validation": 30, "test": 100}  # rows of each label, at most


@dataclass(frozen=True)
class Texts:
    """N texts and the ids of their labels."""

    texts: list[str]
    gold: list[int]

    def take(self, rows: Sequence[int]) -> Texts:
        return Texts([self.texts[row] for row in rows], [self.gold[row] for row in rows])


@dataclass(frozen=True)
class StudyData:
    """A set's labels, what one of its texts is called, and its splits."""

    labels: tuple[str, ...]
    subject: str
    train: Texts
    validation: Texts
    test: Texts


def load(name: str, folder: Path) -> StudyData:
    """A data set's folder below `folder`, or `mixed`, which is made from several of them."""
    if name == "mixed":
        return _mixed(folder)
    options = DataOptions(purpose="train", label_column=LABEL_COLUMNS.get(name))
    found = load_data(str(folder / name), options)
    train, validation, test = (
        Texts([row.text for row in rows], [row.label for row in rows])
        for rows in (found.train, found.validation, found.test)
    )
    if name in VALIDATION_ROWS:
        validation = draw(validation, VALIDATION_ROWS[name], seed=0)
    return StudyData(found.labels, found.subject, train, validation, test)


def draw(pool: Texts, rows: int, seed: int) -> Texts:
    """`rows` of the pool, each label in its proportion but with one row at least."""
    generator = np.random.default_rng(seed)
    gold = np.array(pool.gold)
    order = generator.permutation(len(gold))
    counts = _apportioned(np.bincount(gold), rows)
    chosen = [order[gold[order] == label][:count] for label, count in enumerate(counts)]
    return pool.take(np.sort(np.concatenate(chosen)).tolist())


def _apportioned(sizes: np.ndarray, rows: int) -> np.ndarray:
    """`rows` divided in proportion to `sizes`, by largest remainders."""
    shares = rows * sizes / sizes.sum()
    counts = np.maximum(np.floor(shares).astype(int), 1)
    for label in np.argsort(np.floor(shares) - shares, kind="stable"):
        if counts.sum() < rows:
            counts[label] += 1
    return counts


def _mixed(folder: Path) -> StudyData:
    sets = {domain: load(name, folder) for domain, name in MIXED.items()}
    labels = tuple(
        f"{domain} {label}" for domain, data in sets.items() for label in sorted(data.labels)
    )
    return StudyData(labels, "text", *(_mixed_split(sets, labels, split) for split in MIXED_SPLITS))


def _mixed_split(sets: dict[str, StudyData], labels: tuple[str, ...], split: str) -> Texts:
    """The same number of rows of each label, or all that there are."""
    texts, gold = [], []
    for domain, data in sets.items():
        rows: Texts = getattr(data, split)
        for label, word in enumerate(data.labels):
            own = np.flatnonzero(np.array(rows.gold) == label)
            kept = np.random.default_rng(0).permutation(own)[: MIXED_SPLITS[split]]
            texts += [rows.texts[row] for row in kept]
            gold += [labels.index(f"{domain} {word}")] * len(kept)
    return Texts(texts, gold)
