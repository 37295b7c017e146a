"""What the last bits of a result depend on besides settings and rows: versions, machine, code path.

A resumed run ends with the very weights of an uninterrupted one only where all of this is the same,
so it is saved with every checkpoint and compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch

from sentilora.bases.quantization import kind_of
from sentilora.devices import processor
from sentilora.errors import UserError
from sentilora.scoring import LabelScorer

# How a setting that a user can bring back is brought back.
_REMEDIES = {
    "threads": "set OMP_NUM_THREADS={}",
    "device": "use --device {}",
    "dtype": "use --dtype {}",
    "torch": "install torch=={}",
    "transformers": "install transformers=={}",
    "peft": "install peft=={}",
    "bitsandbytes": "install bitsandbytes=={}",
}


def environment(scorer: LabelScorer, micro_batch: int) -> dict[str, Any]:
    """The environment of this process, as JSON has it.

    `threads` is None on an accelerator, where it changes nothing, and `bitsandbytes` where no
    weights are held by it.
    """
    device = scorer.device
    on_cpu = device.type == "cpu"
    return {
        "torch": version("torch"),
        "transformers": version("transformers"),
        "peft": version("peft"),
        "bitsandbytes": version("bitsandbytes") if kind_of(scorer.model) else None,
        "device": device.type,
        "processor": processor(device.type),
        "threads": torch.get_num_threads() if on_cpu else None,
        "dtype": str(scorer.model.get_input_embeddings().weight.dtype).removeprefix("torch."),
        "path": scorer.path,
        "micro_batch": micro_batch,
    }


def check_environment(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `UserError` naming what differs, and how it is brought back."""
    differing = [name for name in now if before.get(name) != now[name]]
    if not differing:
        return
    what = "; ".join(f"{name} was {before.get(name)} and is {now[name]}" for name in differing)
    remedies = [_REMEDIES[name].format(before.get(name)) for name in differing if name in _REMEDIES]
    how = f" ({', '.join(remedies)})" if remedies else ""
    raise UserError(
        f"This run can't be resumed here with the result that it would have had: {what}. "
        f"Resume it where it was started{how}, or start a new run."
    )
