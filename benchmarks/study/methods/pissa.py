"""PiSSA, by PEFT's own initialisation: the adapter starts as each weight's principal part."""

from __future__ import annotations

import torch
from peft import get_peft_model

from sentilora.adapters import AdapterSettings, count_parameters, lora_config
from sentilora.bases import LoadedBase
from sentilora.encoding import PromptEncoder
from sentilora.scoring import LabelScorer
from sentilora.task import Task
from sentilora.tuning import Tuning


def prepare(base: LoadedBase, task: Task, adapter: AdapterSettings, seed: int) -> Tuning:
    """As `sentilora.tuning.prepare` does it, but that what the adapter starts with is taken out of
    the base (Meng et al. 2024, "PiSSA: Principal Singular Values and Singular Vectors Adaptation").
    """
    config = lora_config(base.model, adapter)
    config.init_lora_weights = "pissa_niter_16"
    torch.manual_seed(seed)
    model = get_peft_model(base.model, config)
    scorer = LabelScorer(model, PromptEncoder(task, base.tokenizer))
    return Tuning(base, model, scorer, adapter, count_parameters(model, adapter))
