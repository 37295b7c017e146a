"""Which label tokens are asked for, and the fewest token sequences that predict them.

A prompt's last position predicts a label's first token; to predict its further tokens, the tokens
before them stand behind the prompt. A *term* is one label token to be predicted at one position,
and log p(label | text) is the sum of its terms. Labels of one token need nothing behind the prompt.

Where labels share their first tokens, what stands behind the prompt is a trie, one column a node. A
path that can mask columns from each other and place them freely runs the whole trie behind one
prompt (`branching`); for any other each branch is a sequence of its own.

Needs no tensors, so an exported model's device plans its sequences by this, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sentilora.encoding import EncodedPrompt


@dataclass(frozen=True)
class Wanted:
    """One label whose log-probability is asked for after one prompt.

    `slot` is where the sum of its terms goes in the flat result.
    """

    prompt: EncodedPrompt
    label_ids: tuple[int, ...]
    slot: int


@dataclass
class Run:
    """A prompt with what stands behind it, and the terms read there.

    nodes
        From the label tokens up to a node to its column behind the prompt's last, which is 0.
    terms
        (node, token, slot).
    """

    prompt: EncodedPrompt
    nodes: dict[tuple[int, ...], int] = field(default_factory=lambda: {(): 0})
    terms: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def length(self) -> int:
        return len(self.prompt.ids) + len(self.nodes) - 1

    @property
    def branches(self) -> bool:
        return len(self.nodes) > 1 + max(map(len, self.nodes))

    def takes(self, stub: tuple[int, ...]) -> bool:
        """Whether a label with these tokens before its last fits in without a branch."""
        return all(stub[:k] in self.nodes for k in range(len(stub) + 1))

    def add(self, wanted: Wanted) -> None:
        for k, token in enumerate(wanted.label_ids):
            node = self.nodes.setdefault(wanted.label_ids[:k], len(self.nodes))
            self.terms.append((node, token, wanted.slot))


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


def runs_for(wanted: Sequence[Wanted], *, branching: bool = False) -> list[Run]:
    """The fewest sequences that predict every token of the wanted labels of one prompt."""
    runs: list[Run] = []
    for item in sorted(wanted, key=lambda item: -len(item.label_ids)):
        stub = item.label_ids[:-1]
        run = next((run for run in runs if branching or run.takes(stub)), None)
        if run is None:
            run = Run(item.prompt)
            runs.append(run)
        run.add(item)
    return runs
