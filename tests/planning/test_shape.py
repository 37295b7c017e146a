"""Shapes read off a configuration are those of the models that transformers builds."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from steps import CONFIGS

from sentilora.errors import UserError
from sentilora.planning.reading import shape_of
from sentilora.planning.shape import known_shape
from sentilora.planning.table import CONFIGURATIONS
from sentilora.projections import linear_weights

# As their publishers state them.
PARAMETERS = {
    "smollm2": 134_515_008,
    "distilgpt2": 81_912_576,
    "Qwen/Qwen2.5-0.5B": 494_032_768,
    "Qwen/Qwen2.5-1.5B": 1_543_714_304,
    "Qwen/Qwen2.5-3B": 3_085_938_688,
    "Qwen/Qwen2.5-7B": 7_615_616_512,
}
ODD = {
    "llama": {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": False},
    "mistral": {"head_dim": 16, "sliding_window": None},
    "qwen2": {"tie_word_embeddings": False},
    "gpt2": {"n_inner": 100},
}


def built(config: dict[str, Any]) -> Any:
    values = {key: value for key, value in config.items() if key != "model_type"}
    with torch.device("meta"):
        return transformers.AutoModelForCausalLM.from_config(
            transformers.AutoConfig.for_model(config["model_type"], **values)
        )


def test_the_table_has_the_published_sizes() -> None:
    assert CONFIGURATIONS.keys() == PARAMETERS.keys()
    for name, config in CONFIGURATIONS.items():
        shape = known_shape(name, config)
        assert shape is not None
        assert shape.parameters == PARAMETERS[name]
        assert shape.handwritten


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("odd", [False, True])
def test_weights_are_those_of_the_model(kind: str, odd: bool) -> None:
    config = {
        **CONFIGS.get(kind, CONFIGS["llama"]),
        "model_type": kind,
        **(ODD[kind] if odd else {}),
    }
    shape, model = known_shape(kind, config), built(config)
    assert shape is not None
    assert shape.linear == linear_weights(model)
    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())


def test_another_architecture_is_counted() -> None:
    config = {
        "model_type": "gemma", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 100,
    }  # fmt: skip
    shape, model = shape_of("it", config), built(config)
    assert (shape.layers, shape.width, shape.inner, shape.groups) == (3, 64, 96, 2)
    assert shape.gated
    assert not shape.handwritten
    assert shape.linear == 3 * (64 * 64 + 2 * 64 * 32 + 64 * 64 + 3 * 64 * 96)
    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())


def test_a_model_without_attention_is_refused() -> None:
    config = {"model_type": "mamba", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 100}
    with pytest.raises(UserError, match="no attention heads"):
        shape_of("it", config)


def test_a_configuration_without_its_numbers() -> None:
    with pytest.raises(UserError, match="lacks hidden_size"):
        known_shape("it", {"model_type": "llama"})
    with pytest.raises(UserError, match="no causal language model"):
        shape_of("it", {"model_type": "nothing-known"})
