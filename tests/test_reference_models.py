"""The reference models, whole: their configurations and tokenizers, with random weights.

Folders in the Hub's own layout go the product's whole way: trained on for a few steps, saved,
loaded, scored, and the adapter loaded with stock PEFT, which must give the same logits.
"""

from __future__ import annotations

import gc
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoConfig, AutoModelForCausalLM

from sentilora import Task, load
from sentilora.adapters import AdapterSettings
from sentilora.artifact import PEFT_CONFIG, WEIGHTS
from tuned import TEXTS, load_from, save_tuned, train

pytestmark = pytest.mark.usefixtures("own_cache")

TASK = Task.default(("negative", "positive"), "movie review")


def write_model(tokenizers: Path, name: str, folder: Path, layers: int | None) -> Path:
    """A model of the real configuration, or of that with fewer layers, and random weights."""
    config = AutoConfig.from_pretrained(tokenizers / name)
    if layers is not None:
        config.num_hidden_layers, config.layer_types = layers, config.layer_types[:layers]
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=config.dtype or torch.float32)
    model.save_pretrained(folder)
    for file in ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"):
        shutil.copy(tokenizers / name / file, folder)
    return folder


def logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=ids, use_cache=False).logits


@pytest.mark.parametrize(
    ("name", "layers", "trained"),
    [
        ("distilgpt2", None, 110_592),
        ("qwen2.5-0.5b", 2, 45_056),
        pytest.param("qwen2.5-0.5b", None, 540_672, marks=pytest.mark.slow),
    ],
)
def test_from_training_to_stock_peft(
    name: str, layers: int | None, trained: int, shared: Path, tmp_path: Path
) -> None:
    folder = write_model(shared / "tokenizers", name, tmp_path / "base", layers)
    tuning, result = train(load_from(folder), tmp_path / "run", AdapterSettings(), task=TASK)
    assert tuning.parameters.trained == trained
    assert tuning.scorer.path != "PlainEngine"
    save_tuned(tuning, result, tmp_path / "adapter")
    before = tuning.scorer.score(TEXTS).log_probs
    ids = torch.tensor([list(tuning.scorer.encoder.encode(TEXTS[:1])[0].ids)])
    tuned_logits = logits(tuning.model, ids)
    with tuning.model.disable_adapter():
        effect = (tuned_logits - logits(tuning.model, ids)).abs().max()
    del tuning, result
    gc.collect()

    loaded = load(tmp_path / "adapter", dtype="float32", device="cpu")
    np.testing.assert_array_equal(loaded.score(TEXTS).log_probs, before)
    del loaded
    gc.collect()

    stock = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    stock = PeftModel.from_pretrained(stock, str(tmp_path / "adapter"))
    torch.testing.assert_close(logits(stock, ids), tuned_logits, rtol=0, atol=1e-6)
    assert effect > 1e-2
    stored = sum((tmp_path / "adapter" / file).stat().st_size for file in (WEIGHTS, PEFT_CONFIG))
    assert stored < 10_000_000
    shutil.rmtree(folder)  # gigabytes, which pytest would keep
