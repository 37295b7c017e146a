"""sentilora: small causal language models, tuned with LoRA into text classifiers.

    from sentilora import LabelTuner, load

    clf = LabelTuner(model="smollm2").fit(texts, labels)
    clf = load("runs/smollm2-reviews")

Public names are imported when first used, so that the command line answers at once.
"""

from __future__ import annotations

import logging
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Spinning OpenMP threads stall for whole scheduler slices where neighbours are busy. Read once when
# torch is loaded, so it has to be set before; what the user set stays.
if "torch" not in sys.modules:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Where bitsandbytes is installed peft imports it, and it warns of kernels that aren't; we use none.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)

if TYPE_CHECKING:
    from sentilora.classifier import Classifier, load
    from sentilora.errors import UserError
    from sentilora.estimator import LabelTuner
    from sentilora.export.onnx.scorer import OnnxScorer
    from sentilora.scoring import LabelScorer, Scores
    from sentilora.task import Task

__all__ = [
    "Classifier",
    "LabelScorer",
    "LabelTuner",
    "OnnxScorer",
    "Scores",
    "Task",
    "UserError",
    "__version__",
    "load",
]

_HOMES = {
    "Classifier": "sentilora.classifier",
    "LabelScorer": "sentilora.scoring",
    "LabelTuner": "sentilora.estimator",
    "OnnxScorer": "sentilora.export.onnx.scorer",
    "Scores": "sentilora.scoring",
    "Task": "sentilora.task",
    "UserError": "sentilora.errors",
    "load": "sentilora.classifier",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sentilora' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
