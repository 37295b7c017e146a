"""The arithmetic limit: how fast the body's matrix products alone could go on this machine.

Forward, and for training the gradients of the inputs, through the linear layers of all blocks, on
tokens behind the shared instruction only: no attention, head, adapter, norm or padding. The rate is
measured at the model's own shapes and dtype, at the batch's number of tokens; products with the
same input in one, which flatters the limit rather than the product.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import torch
from common import Job
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

SECONDS_A_SHAPE = 0.4
SCORING_TOKENS = 2048


def run(job: Job) -> dict[str, Any]:
    shapes = product_shapes(job.model)
    tokens = round(job.batch * job.own_tokens) if job.training else SCORING_TOKENS
    work = seconds = 0.0
    for (inputs, outputs), count in shapes.items():
        work += count * _work(inputs, outputs, tokens, job.training)
        seconds += count * _seconds(inputs, outputs, tokens, job)
    a_row = sum(
        count * _work(inputs, outputs, job.own_tokens, job.training)
        for (inputs, outputs), count in shapes.items()
    )
    return {"rate": work / seconds, "row": a_row, "rows_per_second": work / seconds / a_row}


def product_shapes(folder: str) -> Counter[tuple[int, int]]:
    """How often each (inputs, outputs) occurs in the body; layers with the same input are one."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    widths: Counter[tuple[str, int]] = Counter()
    for path, module in model.base_model.named_modules():
        if isinstance(module, torch.nn.Linear | Conv1D):
            size = module.weight.shape
            inputs, outputs = size if isinstance(module, Conv1D) else reversed(size)
            widths[path.rpartition(".")[0], inputs] += outputs
    return Counter((inputs, outputs) for (_, inputs), outputs in widths.items())


def _work(inputs: int, outputs: int, tokens: float, training: bool) -> float:
    """Floating-point operations of one product, with its input's gradient."""
    return 2.0 * inputs * outputs * tokens * (2 if training else 1)


@torch.inference_mode()
def _seconds(inputs: int, outputs: int, tokens: int, job: Job) -> float:
    kind = {"dtype": getattr(torch, job.dtype), "device": job.device}
    weight = torch.randn(outputs, inputs, **kind)
    x, grad = torch.randn(tokens, inputs, **kind), torch.randn(tokens, outputs, **kind)

    def once() -> None:
        torch.nn.functional.linear(x, weight)
        if job.training:
            grad @ weight

    def drain() -> None:
        if job.device.startswith("cuda"):
            torch.cuda.synchronize()

    once()
    drain()
    times, began = 0, time.perf_counter()
    while times < 3 or time.perf_counter() - began < SECONDS_A_SHAPE:
        once()
        drain()
        times += 1
    return (time.perf_counter() - began) / times
