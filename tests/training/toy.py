"""A task, a tokenizer and models so small that a step takes milliseconds, and children to kill."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from sentilora.adapters import AdapterSettings, attach, trainable_parameters
from sentilora.encoding import PromptEncoder
from sentilora.scoring import LabelScorer
from sentilora.task import Task
from sentilora.training import FitResult, Reporter, Rows, StepReport, TrainSettings, fit
from sentilora.training.checkpoint import Checkpoint, newest_valid

TASK = Task("Say what this is: {text}\nIt is", ("negative", "positive"), max_length=48)
WORDS = ("the", "film", "plot", "cast", "was", "is", "a", "very", "quite", "with", "and", "music")
GOOD, BAD = ("fine", "lovely", "superb"), ("dull", "awful", "clumsy")

# 22 rows in batches of 8 and micro-batches of 3: both leave a rest. 9 steps in 3 epochs.
SETTINGS = TrainSettings(
    epochs=3, learning_rate=5e-3, batch_size=8, micro_batch=3, eval_every=2, seed=7
)


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<end>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    corpus = [TASK.render(" ".join((*WORDS, *GOOD, *BAD))) + TASK.spoken(x) for x in TASK.labels]
    backend.train_from_iterator(corpus * 20, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>")


def base(architecture: str = "gpt2") -> torch.nn.Module:
    torch.manual_seed(0)
    size = len(tokenizer())
    if architecture == "gpt2":
        config = GPT2Config(
            vocab_size=size,
            n_positions=64,
            n_embd=32,
            n_layer=2,
            n_head=2,
            initializer_range=0.4,  # so that what attention adds is felt, and can be tuned
            bos_token_id=0,
            eos_token_id=0,
        )
        return GPT2LMHeadModel(config).eval()
    llama = LlamaConfig(
        vocab_size=size,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.4,
    )
    return LlamaForCausalLM(llama).eval()


def scorer(
    architecture: str = "gpt2",
    dropout: float = 0.1,
    dora: bool = False,
    dtype: torch.dtype = torch.float32,
    targets: tuple[str, ...] = ("query", "value"),
    rslora: bool = False,
) -> LabelScorer:
    """A scorer of a fresh model with a fresh adapter; the same each time."""
    settings = AdapterSettings(rank=4, dropout=dropout, dora=dora, rslora=rslora, targets=targets)
    model = attach(base(architecture), settings, seed=1).to(dtype)
    return LabelScorer(model, PromptEncoder(TASK, tokenizer()))


def rows(count: int, seed: int) -> Rows:
    """Texts of 2 to 12 words of which one tells the label."""
    draw = random.Random(seed)
    texts, gold = [], []
    for _ in range(count):
        words = [draw.choice(WORDS) for _ in range(draw.randint(1, 11))]
        gold.append(draw.randrange(2))
        words.insert(draw.randint(0, len(words)), draw.choice((BAD, GOOD)[gold[-1]]))
        texts.append(" ".join(words))
    return Rows(PromptEncoder(TASK, tokenizer()).encode(texts), gold)


def train(run_dir: Path, settings: TrainSettings = SETTINGS, **options: Any) -> Trained:
    """Trains a fresh toy; by default it writes a checkpoint after every step."""
    given = {"train": rows(22, 1), "validation": rows(12, 2), "checkpoint_seconds": 0.0, **options}
    trained = given.pop("scorer", None) or scorer()
    result = fit(trained, settings=settings, run_dir=run_dir, **given)
    return Trained(result, weights(trained), trained)


def resume(run_dir: Path, **options: Any) -> Trained:
    """Goes on with a run from its newest valid checkpoint, which there must be."""
    checkpoint: Checkpoint | None = newest_valid(run_dir, warn=ignore)
    assert checkpoint is not None
    return train(run_dir, checkpoint.settings, resume_from=checkpoint, **options)


class Trained:
    """What a run has led to."""

    def __init__(
        self, result: FitResult, weights: Mapping[str, torch.Tensor], scorer: LabelScorer
    ) -> None:
        self.result, self.weights, self.scorer = result, weights, scorer

    def same_as(self, other: Trained) -> bool:
        """Bit for bit."""
        ours, theirs = self.result, other.result
        return (ours.history, ours.correction, ours.conformal) == (
            theirs.history,
            theirs.correction,
            theirs.conformal,
        ) and all(torch.equal(weight, other.weights[name]) for name, weight in self.weights.items())


def weights(of: LabelScorer) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in trainable_parameters(of.model).items()}


def ignore(message: str) -> None:
    """Warnings that a test doesn't ask about."""


class At(Reporter):
    """Does something at a moment of the run: `event` is a method's name, `step` its step."""

    def __init__(self, event: str, step: int, action: Callable[[], None]) -> None:
        self.event, self.step, self.action = event, step, action

    def on_step(self, report: StepReport) -> None:
        self._reached("step", report.step)

    def on_evaluating(self, step: int, rows: int) -> None:
        self._reached("evaluating", step)

    def on_evaluation(self, record: Mapping[str, Any]) -> None:
        self._reached("evaluation", record["step"])

    def _reached(self, event: str, step: int) -> None:
        if (event, step) == (self.event, self.step):
            self.action()


# Children -------------------------------------------------------------------------------------

PRELOADED = [
    "sentilora.training",
    "transformers.models.gpt2.modeling_gpt2",
    "transformers.models.llama.modeling_llama",
    "sklearn.metrics",
    "scipy.stats",
    "pytest",
]


def run_child(target: Callable[..., None], *arguments: Any) -> int:
    """The exit code of `target` in a process of its own (negative: the signal it died of).

    Children are forked from a server that has only imported things, so they start at once.
    """
    child = start_child(target, *arguments)
    child.join(60)
    assert child.exitcode is not None, "the child hangs"
    return child.exitcode


def start_child(target: Callable[..., None], *arguments: Any) -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    child = context.Process(target=target, args=arguments)
    child.start()
    return child


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def train_and_die(run_dir: Path, event: str, step: int) -> None:
    train(run_dir, reporter=At(event, step, die))
