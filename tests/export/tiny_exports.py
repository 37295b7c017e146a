"""Tiny tuned classifiers of each architecture that llama.cpp is told of, and their exports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

from models import POSITIONS, VOCABULARY, tiny_model
from sentilora.classifier import Classifier
from sentilora.encoding import PromptEncoder
from sentilora.export.gguf import write_gguf
from sentilora.scoring import LabelScorer
from sentilora.task import Task
from tiny_tokenizers import byte_level
from tuned import TASK, attached, base_in_memory

ARCHITECTURES = ("gpt2", "qwen2", "llama", "gemma", "gemma2", "gemma3")


def six_layers(seed: int = 0) -> Any:
    """A Gemma 3 whose sixth layer has full attention, as llama.cpp takes for granted."""
    config = transformers.Gemma3TextConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        query_pre_attn_scalar=8,
        sliding_window=7,
        max_position_embeddings=POSITIONS,
        initializer_range=0.2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model: Any = transformers.AutoModelForCausalLM.from_config(config)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim < 2:
                    parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval().requires_grad_(False)


def model_of(architecture: str) -> Any:
    return six_layers() if architecture == "gemma3" else tiny_model(architecture)


def classifier_of(
    model: Any, task: Task = TASK, tokenizer: Any = None, **adapter: Any
) -> Classifier:
    """`model` with a random adapter, the same one each time."""
    encoder = PromptEncoder(task, tokenizer or byte_level())
    return Classifier(
        LabelScorer(attached(model, **adapter), encoder), base_in_memory(model).identity
    )


def export(classifier: Classifier, folder: Path, weights: str = "f32") -> Path:
    """The written file."""
    write_gguf(classifier, folder, weights, "tiny-run")
    return folder / "model.gguf"
