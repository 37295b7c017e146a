"""Plain computations that the product's fast ones are held against. Slow, and right by reading."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from types import MethodType
from typing import Any

import torch
from torch import Tensor

from sentilora.task import Task


def plain_ids(tokenizer: Any, string: str) -> list[int]:
    """What the tokenizer gives for a string, less a token that it puts behind every string."""
    ids: list[int] = tokenizer(string, verbose=False).input_ids
    closed = tokenizer("a").input_ids[-1] != tokenizer("a", add_special_tokens=False).input_ids[-1]
    return ids[:-1] if closed else ids


def plain_label_ids(
    tokenizer: Any, task: Task, text: str, label: str, terminator: Sequence[int] = ()
) -> tuple[list[int], list[int]]:
    """Prompt and label ids of a rendered string; the label's begin where the two part ways."""
    rendered = task.render(text)
    prompt = plain_ids(tokenizer, rendered)
    whole = plain_ids(tokenizer, rendered + task.spoken(label))
    same = 0
    while same < min(len(prompt), len(whole)) and prompt[same] == whole[same]:
        same += 1
    return whole[:same], [*whole[same:], *terminator]


def plain_log_prob(model: Any, prompt: Sequence[int], label: Sequence[int]) -> Tensor:
    """log p(label | prompt): one row, unpadded, every logit."""
    ids = torch.tensor([[*prompt, *label]])
    logits = model(input_ids=ids, use_cache=False).logits[0]
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    log_probs = torch.log_softmax(logits, dim=-1)
    positions = torch.arange(len(prompt) - 1, len(prompt) + len(label) - 1)
    return log_probs[positions, torch.tensor(list(label))].sum()


def plain_log_probs(
    model: Any, tokenizer: Any, task: Task, text: str, terminator: Sequence[int] = ()
) -> Tensor:
    """[K] log p(label | text) for the task's labels.

    The prompt is scored up to where the first label parts from it, which for an ordinary text is
    its end; so with labels that are joined with the text, each counts the tokens behind that.
    """
    parts = [plain_label_ids(tokenizer, task, text, label, terminator) for label in task.labels]
    kept = min(len(prompt) for prompt, _ in parts)
    return torch.stack(
        [plain_log_prob(model, prompt[:kept], [*prompt[kept:], *label]) for prompt, label in parts]
    )


def in_float64(model: Any) -> Any:
    """A copy of a model in double precision, its RMS norms included: the library takes the root
    mean square in fp32 whatever the model's precision, which is too coarse to compare against.
    """
    model = copy.deepcopy(model).double()
    for module in model.modules():
        if type(module).__name__ in ("LlamaRMSNorm", "Qwen2RMSNorm", "MistralRMSNorm"):
            module.forward = MethodType(_rms_norm, module)
    return model


def _rms_norm(module: Any, x: Tensor) -> Tensor:
    scale = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + module.variance_epsilon)
    return module.weight * (x * scale)


def greedy_tokens(model: Any, prompt: Sequence[int], count: int) -> list[int]:
    """The `count` tokens that greedy generation gives, by the library's own generation."""
    ids = torch.tensor([list(prompt)])
    generated = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=count,
        min_new_tokens=count,
        eos_token_id=None,
        pad_token_id=0,
    )
    return generated[0, len(prompt) :].tolist()
