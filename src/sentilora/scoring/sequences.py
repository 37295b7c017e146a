"""Batches of the sequences in `wanted`, as tensors, and where labels are predicted in them.

Sequences are grouped by length, so that there is next to no padding, under a budget of padded
tokens. Padding stands on the right, where no real position can see it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from sentilora.wanted import Run, Wanted, runs_for

_PAD_ID = 0  # any will do: nobody looks at padding


@dataclass(frozen=True)
class Batch:
    """Sequences run together, longest first, and what is read from them.

    runs, skipped
        What it was made of, and how many of each sequence's first tokens were left out.
    lengths
        [B], each sequence's number of columns; the rest of its row is padding.
    input_ids
        [B, T] int64, right-padded; without the instruction's ids where `shared`.
    position_rows, position_columns
        [P] int64, the distinct positions whose next token is asked for.
    queries, position_queries
        [B, Q] int64, the same as columns for each row, its last one repeated where it has fewer;
        and [P], which of the B * Q each position is.
    term_positions, term_tokens, term_slots
        [M] int64: the index into the positions, the label token, and the slot it counts for.
    places, visible
        [B, T] int64 and [B, T, T] bool: where each column stands in its sequence, and which columns
        it sees. None where no row branches: each stands behind the one before it and sees all up to
        itself.
    """

    runs: tuple[Run, ...]
    skipped: int
    shared: bool
    lengths: tuple[int, ...]
    input_ids: Tensor
    position_rows: Tensor
    position_columns: Tensor
    queries: Tensor
    position_queries: Tensor
    term_positions: Tensor
    term_tokens: Tensor
    term_slots: Tensor
    places: Tensor | None = None
    visible: Tensor | None = None

    def halves(self) -> tuple[Batch, Batch]:
        """The same as two batches, where memory doesn't suffice for one."""
        middle = (len(self.runs) + 1) // 2
        return (
            _collate(self.runs[:middle], self.skipped, self.shared),
            _collate(self.runs[middle:], self.skipped, self.shared),
        )

    def to(self, device: torch.device) -> Batch:
        """The batch on a device; to a GPU the copies wait for nobody."""
        if device.type == "cpu":
            return self
        moved: dict[str, Any] = {
            name: (value.pin_memory() if device.type == "cuda" else value).to(
                device, non_blocking=True
            )
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return replace(self, **moved)


def batches(
    wanted: Sequence[Sequence[Wanted]],
    prefix_length: int,
    token_budget: Callable[[], int],
    *,
    branching: bool = False,
) -> Iterator[Batch]:
    """The sequences for `wanted` (one inner list a prompt), longest first.

    Longest first, so that a lack of memory shows at once and not near the end; the budget is asked
    for before each batch.
    """
    runs = [run for of_prompt in wanted for run in runs_for(of_prompt, branching=branching)]
    for shared in (True, False):
        group = [run for run in runs if run.prompt.shared == shared]
        group.sort(key=lambda run: -run.length)
        skipped = prefix_length if shared else 0
        while group:
            width = group[0].length - skipped
            size = max(1, token_budget() // width)
            yield _collate(group[:size], skipped, shared)
            group = group[size:]


def _collate(runs: Sequence[Run], skipped: int, shared: bool) -> Batch:
    width = max(run.length for run in runs) - skipped
    rows = []
    positions: dict[tuple[int, int], int] = {}
    asked: list[list[int]] = []
    terms: list[tuple[int, int, int]] = []
    for row, run in enumerate(runs):
        ids = [*run.prompt.ids[skipped:], *(path[-1] for path in run.nodes if path)]
        rows.append(ids + [_PAD_ID] * (width - len(ids)))
        last = len(run.prompt.ids) - skipped - 1
        asked.append(sorted({last + node for node, _, _ in run.terms}))
        for column in asked[-1]:
            positions[row, column] = len(positions)
        terms += [(positions[row, last + node], token, slot) for node, token, slot in run.terms]
    most = max(map(len, asked))
    position, term = torch.tensor(list(positions)).T, torch.tensor(terms).T
    places, visible = None, None
    if any(run.branches for run in runs):
        places, visible = _tries(runs, skipped, width)
    return Batch(
        runs=tuple(runs),
        skipped=skipped,
        shared=shared,
        lengths=tuple(run.length - skipped for run in runs),
        input_ids=torch.tensor(rows),
        position_rows=position[0],
        position_columns=position[1],
        queries=torch.tensor([own + own[-1:] * (most - len(own)) for own in asked]),
        position_queries=torch.tensor(
            [row * most + k for row, own in enumerate(asked) for k in range(len(own))]
        ),
        term_positions=term[0],
        term_tokens=term[1],
        term_slots=term[2],
        places=places,
        visible=visible,
    )


def _tries(runs: Sequence[Run], skipped: int, width: int) -> tuple[Tensor, Tensor]:
    """Where columns stand and what they see: a node its prompt, the nodes above it, and itself."""
    places = torch.arange(width).repeat(len(runs), 1)
    visible = torch.ones(width, width, dtype=torch.bool).tril().repeat(len(runs), 1, 1)
    for row, run in enumerate(runs):
        last = len(run.prompt.ids) - skipped - 1
        for path, node in run.nodes.items():
            places[row, last + node] = last + len(path)
            visible[row, last + node, last + 1 :] = False
            for depth in range(1, len(path) + 1):
                visible[row, last + node, last + run.nodes[path[:depth]]] = True
    return places, visible
