"""The arrays that the exported graph takes: whole sequences and what is asked of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentilora.encoding import EncodedPrompt
from sentilora.wanted import Run, all_labels, runs_for

TOKEN_BUDGET = 2048  # padded tokens run at once: more saves nothing on a CPU
_PAD_ID = 0  # any will do: the mask hides it


@dataclass(frozen=True)
class Batch:
    """Sequences run together.

    inputs
        The graph's, by name; see `graph`.
    slots
        [M] for each term the index in the flat [N * K] log-probabilities that it counts for.
    """

    inputs: dict[str, NDArray[np.int64]]
    slots: NDArray[np.int64]


def batches(
    prompts: Sequence[EncodedPrompt], label_ids: Sequence[Sequence[int]], budget: int = TOKEN_BUDGET
) -> Iterator[Batch]:
    """All labels of N prompts, sequences of like length together, longest first."""
    runs = [run for wanted in all_labels(prompts, label_ids) for run in runs_for(wanted)]
    runs.sort(key=lambda run: -run.length)
    while runs:
        size = max(1, budget // runs[0].length)
        yield _collate(runs[:size])
        runs = runs[size:]


def _collate(runs: Sequence[Run]) -> Batch:
    width = max(run.length for run in runs)
    ids = np.full((len(runs), width), _PAD_ID, dtype=np.int64)
    mask = np.zeros_like(ids)
    positions: dict[tuple[int, int], int] = {}
    terms: list[tuple[int, int, int]] = []
    for row, run in enumerate(runs):
        ids[row, : run.length] = [*run.prompt.ids, *(path[-1] for path in run.nodes if path)]
        mask[row, : run.length] = 1
        for node, token, slot in run.terms:
            place = (row, len(run.prompt.ids) - 1 + node)
            terms.append((positions.setdefault(place, len(positions)), token, slot))
    rows, columns = np.array(list(positions), dtype=np.int64).T
    at, tokens, slots = np.array(terms, dtype=np.int64).T
    inputs = {
        "input_ids": ids,
        "attention_mask": mask,
        "position_rows": rows,
        "position_columns": columns,
        "term_positions": at,
        "term_tokens": tokens,
    }
    return Batch({name: np.ascontiguousarray(value) for name, value in inputs.items()}, slots)
