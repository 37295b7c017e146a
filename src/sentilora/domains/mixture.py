"""One training set out of several domains: each with its own heading, each with as many rows.

A text comes under what the domain calls it ("Movie review: ..."), which is the domain's part of the
instruction; the rest is shared. The labels are those of all domains together. A smaller domain's
rows are repeated, so that none is drowned by another (balanced sampling).

Domains may hold the same texts: SST-2's sentences are those of Rotten Tomatoes. A text that any of
them validates or tests with is trained on in none, and it is taken out before rows are repeated,
for what `load_data` would take out afterwards would leave the domains unbalanced.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sentilora.data.dataset import SPLITS, TEST, TRAIN, VALIDATION, Example, row_hash
from sentilora.data.labels import SENTIMENT_ORDER
from sentilora.domains.sources import Domain
from sentilora.errors import UserError
from sentilora.task import FIELD, Task
from sentilora.written_rows import write_rows

MIXTURE = "mixture"


def mixture_labels(domains: Sequence[Domain]) -> tuple[str, ...]:
    """The labels of all domains: sentiments in their order, then any others as they come."""
    found = dict.fromkeys(label for domain in domains for label in domain.dataset.labels)
    others = (label for label in found if label not in SENTIMENT_ORDER)
    return (*(word for word in SENTIMENT_ORDER if word in found), *others)


def mixture_template(domains: Sequence[Domain]) -> str:
    """The instruction that all domains share; the heading comes with the text."""
    whole = Task.default(mixture_labels(domains))
    instruction = whole.instruction.partition("\n\n")[0]
    return f"{instruction}\n\n{FIELD}{whole.prompt_end}"


def headed(domain: Domain, text: str) -> str:
    """A text under its domain's heading."""
    subject = domain.dataset.subject
    return f"{subject[0].upper()}{subject[1:]}: {text}"


def write_mixture(domains: Sequence[Domain], folder: Path, seed: int = 0) -> Path:
    """Write train, validation and test files of the mixture below `folder`; returns their folder.

    Training rows are repeated up to the largest domain's number, the last of them drawn from
    `seed`; validation and test rows are not.

    Raises UserError where a domain has no training row left that the others don't hold out.
    """
    training = training_rows(domains)
    most = max(map(len, training))
    splits: dict[str, list[tuple[str, str]]] = {split: [] for split in SPLITS}
    for split, mixed in splits.items():
        for number, domain in enumerate(domains):
            rows: Sequence[Example] = domain.dataset.split(split)
            if split == TRAIN:
                rows = _repeated(training[number], most, np.random.default_rng([seed, number]))
            mixed += [(headed(domain, row.text), _word(domain, row)) for row in rows]
    return write_rows(splits, folder, MIXTURE)


def training_rows(domains: Sequence[Domain]) -> list[list[Example]]:
    """Of each domain the training rows that the mixture takes, each once.

    Left out are texts that a domain holds out, and those that stand under two labels in domains
    whose texts have the same heading, so that no model could tell them apart.

    Raises UserError where a domain has none left.
    """
    held_out = {
        row_hash(row.text)
        for domain in domains
        for split in (VALIDATION, TEST)
        for row in domain.dataset.split(split)
    }
    meant: dict[str, set[str]] = {}
    for domain in domains:
        for row in domain.dataset.train:
            meant.setdefault(row_hash(headed(domain, row.text)), set()).add(_word(domain, row))
    found = []
    for domain in domains:
        rows = [
            row
            for row in domain.dataset.train
            if row_hash(row.text) not in held_out
            and len(meant[row_hash(headed(domain, row.text))]) == 1
        ]
        if not rows:
            raise UserError(
                f"All training rows of {domain.name} are held out by another domain, or have "
                "another label there, so the mixture can have none. Leave one of them out, or give "
                "--no-mixture."
            )
        found.append(rows)
    return found


def _word(domain: Domain, row: Example) -> str:
    return domain.dataset.labels[row.label]


def _repeated(rows: Sequence[Example], count: int, generator: np.random.Generator) -> list[Example]:
    """All `rows` as often as they go into `count`, and the rest of it drawn without repetition."""
    whole, rest = divmod(count, len(rows))
    drawn = generator.permutation(len(rows))[:rest]
    return [*(list(rows) * whole), *(rows[index] for index in sorted(drawn))]
