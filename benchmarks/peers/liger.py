"""The plain loop on a model with Liger's kernels (GPU)."""

from __future__ import annotations

from typing import Any

import torch
from common import Job
from liger_kernel.transformers import AutoLigerKernelForCausalLM

from peers.plain_training import train
from peers.stock import attach


def run(job: Job) -> dict[str, Any]:
    dtype = getattr(torch, job.dtype)
    model = AutoLigerKernelForCausalLM.from_pretrained(job.model, dtype=dtype).to(job.device)
    return train(job, attach(model, job))
