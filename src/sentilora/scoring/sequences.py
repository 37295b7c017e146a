"""Which token sequences are run for a set of prompts, and where labels are predicted in them.

A prompt's last position predicts a label's first token; to predict its further tokens, the tokens
before them are appended to the prompt. A *sequence* is a prompt with such a stub, a *term* one
label token to be predicted at one position, and log p(label | text) is the sum of its terms. Labels
of one token need one sequence a prompt, with an empty stub.

Sequences are grouped by length, so that there is next to no padding, under a budget of padded
tokens. Padding stands on the right, where no real position can see it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sentilora.encoding import EncodedPrompt


@dataclass(frozen=True)
class Wanted:
    """One label whose log-probability is asked for after one prompt.

    `slot` is where the sum of its terms goes in the flat result.
    """

    prompt: EncodedPrompt
    label_ids: tuple[int, ...]
    slot: int


@dataclass(frozen=True)
class Batch:
    """Sequences run together, and what is read from them.

    input_ids
        [B, T] int64, right-padded; without the instruction's ids where `shared`.
    position_rows, position_columns
        [P] int64, the distinct positions whose next token is asked for.
    term_positions, term_tokens, term_slots
        [M] int64: the index into the positions, the label token, and the slot it counts for.
    """

    shared: bool
    input_ids: Tensor
    position_rows: Tensor
    position_columns: Tensor
    term_positions: Tensor
    term_tokens: Tensor
    term_slots: Tensor

    def to(self, device: torch.device) -> Batch:
        moved = {
            name: value.to(device, non_blocking=True)
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return Batch(shared=self.shared, **moved)


@dataclass
class _Run:
    """A sequence, with the terms read from it as (offset of the position, token, slot)."""

    prompt: EncodedPrompt
    stub: tuple[int, ...]
    terms: list[tuple[int, int, int]]

    @property
    def length(self) -> int:
        return len(self.prompt.ids) + len(self.stub)


def all_labels(
    prompts: Sequence[EncodedPrompt], label_ids: Sequence[Sequence[int]]
) -> list[list[Wanted]]:
    """For each prompt, every label; slot = prompt index * K + label index."""
    count = len(label_ids)
    return [
        [
            Wanted(prompt, tuple(ids), row * count + k)
            for k, ids in enumerate(prompt.continuations or label_ids)
        ]
        for row, prompt in enumerate(prompts)
    ]


def gold_labels(
    prompts: Sequence[EncodedPrompt], label_ids: Sequence[Sequence[int]], gold: Sequence[int]
) -> list[list[Wanted]]:
    """For each prompt, its own label alone; slot = prompt index."""
    return [
        [Wanted(prompt, tuple((prompt.continuations or label_ids)[label]), row)]
        for row, (prompt, label) in enumerate(zip(prompts, gold, strict=True))
    ]


def batches(
    wanted: Sequence[Sequence[Wanted]], prefix_length: int, token_budget: int, pad_id: int
) -> Iterator[Batch]:
    """The sequences for `wanted` (one inner list a prompt), longest first.

    Longest first, so that a lack of memory shows at once and not near the end.
    """
    runs = [run for of_prompt in wanted for run in _runs(of_prompt)]
    for shared in (True, False):
        group = [run for run in runs if run.prompt.shared == shared]
        group.sort(key=lambda run: -run.length)
        skipped = prefix_length if shared else 0
        while group:
            width = group[0].length - skipped
            size = max(1, token_budget // width)
            yield _collate(group[:size], skipped, shared, pad_id)
            group = group[size:]


def _runs(wanted: Sequence[Wanted]) -> list[_Run]:
    """The fewest sequences that predict every token of the wanted labels of one prompt."""
    runs: list[_Run] = []
    for item in sorted(wanted, key=lambda item: -len(item.label_ids)):
        stub = item.label_ids[:-1]
        run = next((run for run in runs if run.stub[: len(stub)] == stub), None)
        if run is None:
            run = _Run(item.prompt, stub, [])
            runs.append(run)
        run.terms += [(k, token, item.slot) for k, token in enumerate(item.label_ids)]
    return runs


def _collate(runs: Sequence[_Run], skipped: int, shared: bool, pad_id: int) -> Batch:
    width = max(run.length for run in runs) - skipped
    rows = []
    positions: dict[tuple[int, int], int] = {}
    terms: list[tuple[int, int, int]] = []
    for row, run in enumerate(runs):
        ids = [*run.prompt.ids[skipped:], *run.stub]
        rows.append(ids + [pad_id] * (width - len(ids)))
        last = len(run.prompt.ids) - skipped - 1
        for offset, token, slot in run.terms:
            position = positions.setdefault((row, last + offset), len(positions))
            terms.append((position, token, slot))
    row_column = torch.tensor(list(positions)).T
    term = torch.tensor(terms).T
    return Batch(shared, torch.tensor(rows), row_column[0], row_column[1], *term)
