"""The rows that a run trains on or validates with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from sentilora.encoding import EncodedPrompt


@dataclass(frozen=True)
class Rows:
    """N encoded prompts and their own labels' indices."""

    prompts: Sequence[EncodedPrompt]
    gold: Sequence[int]

    def __len__(self) -> int:
        return len(self.prompts)

    @cached_property
    def lengths(self) -> list[int]:
        """[N] each prompt's number of tokens."""
        return [len(prompt.ids) for prompt in self.prompts]

    def fingerprint(self) -> str:
        """A SHA-256 over what the model is given, in its order."""
        digest = hashlib.sha256()
        for prompt, label in zip(self.prompts, self.gold, strict=True):
            digest.update(repr((prompt, int(label))).encode())
        return digest.hexdigest()

    def pick(self, indices: Sequence[int]) -> tuple[list[EncodedPrompt], list[int]]:
        """Prompts and labels of the rows at `indices`."""
        return [self.prompts[i] for i in indices], [self.gold[i] for i in indices]
