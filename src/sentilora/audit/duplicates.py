"""Near-duplicates: texts whose character trigrams, weighted by TF-IDF, have nearly equal
directions.

All pairs are compared, exactly, but almost none is computed: two texts with a cosine of s or more
share one of the rarest trigrams of each, those that come before the rest falls below the length s
(the prefix filter of Bayardo, Ma and Srikant, "Scaling Up All Pairs Similarity Search", 2007).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sentilora.data import text_key
from sentilora.errors import UserError

BLOCK = 512  # texts compared with all others at once
PAIRS = 20_000  # pairs whose cosine is computed at once
TRIGRAMS = (3, 3)
ROUNDING = 1e-6  # equal texts have a cosine of 1 but for it


@dataclass(frozen=True)
class DuplicateGroup:
    """Texts that are linked, each to another one of them, by a similarity of the wanted size.

    rows
        Positions among all the texts, ascending.
    similarity
        The least that any of them has to the one that it is nearest to.
    """

    rows: tuple[int, ...]
    similarity: float


@dataclass(frozen=True)
class NearDuplicates:
    """The groups among N texts, and for each text the one nearest to it, where that is near.

    nearest
        [N] the position of the nearest text, or -1 where none is near enough.
    similarity
        [N] the cosine with it; 0 where there is none.
    """

    groups: tuple[DuplicateGroup, ...]
    nearest: npt.NDArray[np.int64]
    similarity: npt.NDArray[np.float64]


def check_similarity(similarity: float) -> None:
    """Raise `UserError` for a similarity that can't be wanted."""
    if not 0 < similarity <= 1:
        raise UserError(f"--similarity {similarity:g} can't be: it must be above 0 and at most 1.")


def near_duplicates(
    texts: Sequence[str], similarity: float, progress: Callable[[int], None] = lambda done: None
) -> NearDuplicates:
    """Find the texts with a cosine of `similarity` or more to another one.

    Texts that differ in case and spacing alone are equal. `progress` is told of texts done.
    """
    keys = [text_key(text) for text in texts]
    number: dict[str, int] = {}
    which = np.array([number.setdefault(key, len(number)) for key in keys], np.int64)
    links = _Links(len(number))
    progress(len(keys) - len(number))  # the same as an earlier one
    if len(number) > 1:
        vectors = _vectors(list(number))
        rare = _rarest(vectors, similarity)
        for start in range(0, len(number), BLOCK):
            links.add(*_near(vectors, rare, start, similarity))
            progress(min(BLOCK, len(number) - start))
    return _of_all(which, links)


def _vectors(texts: list[str]) -> Any:
    """[N, V] unit rows in float64, the columns from rare to frequent."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    # A blank on either side: a text of one character has a trigram, too.
    vectorizer = TfidfVectorizer(
        analyzer="char", ngram_range=TRIGRAMS, preprocessor=lambda text: f" {text} "
    )
    vectors = vectorizer.fit_transform(texts)
    vectors = vectors[:, np.argsort(-vectorizer.idf_, kind="stable")]
    vectors.sort_indices()
    return vectors


def _rarest(vectors: Any, similarity: float) -> Any:
    """The rows without their tails of frequent trigrams that are shorter than `similarity`."""
    squares = np.concatenate([[0.0], np.cumsum(vectors.data**2)])
    ends = np.repeat(squares[vectors.indptr[1:]], np.diff(vectors.indptr))
    tails = ends - squares[:-1]  # of each entry and those that come after it in its row
    rare = vectors.copy()
    rare.data = np.where(tails >= (similarity - ROUNDING) ** 2 - ROUNDING, 1.0, 0.0)
    rare.eliminate_zeros()
    return rare


def _near(
    vectors: Any, rare: Any, start: int, similarity: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The pairs near enough whose first is in the block, and their cosines."""
    shared = (rare[start : start + BLOCK] @ rare[start:].T).tocoo()
    later = shared.col > shared.row
    first, second = (side[later].astype(np.int64) + start for side in (shared.row, shared.col))
    parts = [
        np.asarray(
            vectors[first[at : at + PAIRS]].multiply(vectors[second[at : at + PAIRS]]).sum(axis=1)
        ).ravel()
        for at in range(0, len(first), PAIRS)
    ]
    cosines = np.concatenate([np.zeros(0), *parts])
    near = cosines >= similarity - ROUNDING
    return first[near], second[near], np.minimum(cosines[near], 1.0)


class _Links:
    """Which of N different texts are linked, and to which each is nearest."""

    def __init__(self, count: int) -> None:
        self.group = np.arange(count)
        self.nearest = np.full(count, -1, np.int64)
        self.similarity = np.zeros(count)

    def add(
        self,
        first: npt.NDArray[np.int64],
        second: npt.NDArray[np.int64],
        cosines: npt.NDArray[np.float64],
    ) -> None:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        one, other = np.concatenate([first, second]), np.concatenate([second, first])
        found = np.concatenate([cosines, cosines])
        order = np.lexsort((-other, found))  # the last one written stays: the nearest
        order = order[found[order] > self.similarity[one[order]]]
        self.nearest[one[order]], self.similarity[one[order]] = other[order], found[order]
        # With the groups so far in place of their links, which may be many.
        count = len(self.group)
        ends = (
            np.concatenate([first, np.arange(count)]),
            np.concatenate([second, self._heads()]),
        )
        graph = coo_array((np.ones(len(ends[0])), ends), shape=(count, count))
        self.group = connected_components(graph, directed=False)[1]

    def _heads(self) -> npt.NDArray[np.int64]:
        """[N] the first text of each text's group."""
        heads = np.unique(self.group, return_index=True)[1]
        return heads[self.group]


def _of_all(which: npt.NDArray[np.int64], links: _Links) -> NearDuplicates:
    """From different texts to all of them; of equal ones, the first is the nearest to the rest."""
    copies: dict[int, list[int]] = {}
    for row, text in enumerate(which.tolist()):
        copies.setdefault(text, []).append(row)
    nearest = np.full(len(which), -1, np.int64)
    similarity = np.zeros(len(which))
    members: dict[int, list[int]] = {}
    for text, rows in copies.items():
        members.setdefault(int(links.group[text]), []).extend(rows)
        for row in rows:
            if len(rows) > 1:
                nearest[row], similarity[row] = next(other for other in rows if other != row), 1.0
            elif links.nearest[text] >= 0:
                nearest[row] = copies[int(links.nearest[text])][0]
                similarity[row] = links.similarity[text]
    groups = [
        DuplicateGroup(tuple(sorted(rows)), float(similarity[rows].min()))
        for rows in members.values()
        if len(rows) > 1
    ]
    return NearDuplicates(tuple(sorted(groups, key=lambda g: g.rows)), nearest, similarity)
