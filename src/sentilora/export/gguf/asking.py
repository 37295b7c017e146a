"""Label log-probabilities of a GGUF file, asked of llama.cpp itself.

The server answers with the log-probability of the token it generates, and of some likeliest ones,
over the whole vocabulary and before any bias. So a token is asked for by a bias that makes sure of
it; those of all labels' tokens make the labels' log-probabilities.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from sentilora.bases import BaseIdentity
from sentilora.bases.gguf_file import open_gguf
from sentilora.bases.gguf_tokenizer import read_tokenizer
from sentilora.classifier import Classifier
from sentilora.devices import usable_cores
from sentilora.encoding import EncodedPrompt, PromptEncoder, texts_cut
from sentilora.errors import UserError
from sentilora.export.description import Description
from sentilora.export.gguf.server import Server
from sentilora.export.gguf.writing import FILE, FORM
from sentilora.scoring.scores import Scores

Ids = tuple[int, ...]

_ROWS = 32  # asked at once
_SHOWN = 20  # likeliest tokens answered: mostly, all labels are among them
_SURE = 1000.0  # a bias that no logit outweighs


def check() -> None:
    """Raise UserError where llama.cpp isn't there to be asked: no file is kept that wasn't."""
    if find_spec("xllamacpp") is None:
        raise UserError(
            "A GGUF file is held against its adapter by llama.cpp, which isn't installed. Install "
            "it with `pip install 'sentilora[llama-cpp]'`."
        )


def load_gguf(folder: Path, threads: int | None) -> Classifier:
    """The classifier in an exported folder, run by llama.cpp.

    Raises UserError where the folder is damaged or no such export, where llama.cpp isn't installed,
    or can't load the file.
    """
    description = Description.read(folder)
    if description.form.split()[0] != FORM:
        raise UserError(f"{folder} holds an export in the form {description.form}, not GGUF.")
    description.check_files(folder)
    path = folder / FILE
    encoder = PromptEncoder(description.task, read_tokenizer(open_gguf(path)))
    if tuple(map(tuple, encoder.label_ids)) != description.label_ids:
        raise UserError(
            f"The tokenizer in {path} isn't read as it was when it was exported: the library that "
            "reads it has changed. Export the adapter again."
        )
    scorer: Any = LlamaCppScorer(path, encoder, threads or usable_cores())
    return Classifier(
        scorer,
        BaseIdentity.from_dict(description.base),
        correction=description.correction,
        conformal=description.conformal,
    )


@dataclass(frozen=True)
class _Next:
    """What was asked of the tokens that may follow `ids`: log-probabilities, and the likeliest."""

    log_probs: dict[int, float]
    likeliest: int


class LlamaCppScorer:
    """Scores texts as `LabelScorer` does, with llama.cpp on a GGUF file.

    Parameters
    ----------
    path
        The GGUF file.
    encoder
        Makes prompts and label ids; llama.cpp is given ids.
    threads
        How many it runs on.
    """

    def __init__(self, path: Path, encoder: PromptEncoder, threads: int) -> None:
        check()
        self.encoder = encoder
        self._server = Server(path, threads, encoder.task.max_length)
        self._vocabulary = len(encoder.tokenizer)

    def score(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Scores:
        """Scores of `texts`, in their order. `progress` is told how many more are done."""
        return self.score_prompts(self.encoder.encode(texts), progress)

    def score_prompts(
        self, prompts: Sequence[EncodedPrompt], progress: Callable[[int], None] | None = None
    ) -> Scores:
        """As `score`, for prompts that are encoded already."""
        log_probs, greedy = [], []
        for start in range(0, len(prompts), _ROWS):
            rows = prompts[start : start + _ROWS]
            known = self._known(rows)
            for prompt in rows:
                terms = [self._terms(known, prompt.ids, label) for label in self._labels(prompt)]
                log_probs.append([sum(term for term, _ in each) for each in terms])
                greedy.append(any(all(first for _, first in each) for each in terms))
            if progress is not None:
                progress(len(rows))
        shape = (len(prompts), len(self.encoder.label_ids))
        return Scores(
            np.array(log_probs, dtype=np.float32).reshape(shape),
            np.array(greedy, bool),
            texts_cut=texts_cut(prompts),
        )

    def probabilities(
        self,
        prompts: Sequence[EncodedPrompt],
        progress: Callable[[int], None] | None = None,
    ) -> NDArray[np.float32]:
        """[N, K] each label's probability given that it is one of the labels."""
        found: NDArray[np.float32] = softmax(
            self.score_prompts(prompts, progress).log_probs, axis=1
        )
        return found

    def _labels(self, prompt: EncodedPrompt) -> Sequence[Sequence[int]]:
        return prompt.continuations or self.encoder.label_ids

    def _known(self, rows: Sequence[EncodedPrompt]) -> dict[Ids, _Next]:
        """All that the labels of some rows need to be known of."""
        wanted: dict[Ids, dict[int, None]] = defaultdict(dict)
        for prompt in rows:
            for label in self._labels(prompt):
                for place, token in enumerate(label):
                    wanted[(*prompt.ids, *label[:place])][token] = None
        known = self._ask_all((ids, next(iter(tokens))) for ids, tokens in wanted.items())
        lacking = [
            (ids, token)
            for ids, tokens in wanted.items()
            for token in tokens
            if token not in known[ids].log_probs
        ]
        for ids, found in self._ask_all(lacking).items():
            known[ids].log_probs.update(found.log_probs)
        return known

    def _ask_all(self, wanted: Iterable[tuple[Ids, int]]) -> dict[Ids, _Next]:
        """Each pair's token after its ids, and whatever else is answered with it."""
        by_token: dict[int, list[Ids]] = defaultdict(list)
        for ids, token in wanted:
            by_token[token].append(ids)
        known: dict[Ids, _Next] = {}
        for token, prompts in by_token.items():
            for ids, answer in zip(prompts, self._ask(prompts, token), strict=True):
                if ids in known:
                    known[ids].log_probs.update(answer.log_probs)
                else:
                    known[ids] = answer
        return known

    def _ask(self, prompts: list[Ids], token: int) -> list[_Next]:
        answers = self._server.complete(prompts, [[token, _SURE]], _SHOWN)
        # a part of a character is generated without probabilities; then all are asked for
        return [
            _next(answer[0] if answer else self._all_after(ids))
            for ids, answer in zip(prompts, answers, strict=True)
        ]

    def _all_after(self, ids: Ids) -> dict[str, Any]:
        ((answer,),) = self._server.complete([ids], [["a", _SURE]], self._vocabulary)
        found: dict[str, Any] = answer
        return found

    @staticmethod
    def _terms(known: dict[Ids, _Next], ids: Ids, label: Sequence[int]) -> list[tuple[float, bool]]:
        """For each of a label's tokens its log-probability, and whether it is the likeliest."""
        after = [known[(*ids, *label[:place])] for place in range(len(label))]
        return [
            (found.log_probs[token], token == found.likeliest)
            for found, token in zip(after, label, strict=True)
        ]


def _next(answer: dict[str, Any]) -> _Next:
    shown = {each["id"]: each["logprob"] for each in answer["top_logprobs"]}
    return _Next({**shown, answer["id"]: answer["logprob"]}, answer["top_logprobs"][0]["id"])
