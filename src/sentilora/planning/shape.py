"""`ModelShape`: what a model's memory depends on, from its configuration alone.

Llama, Mistral, Qwen2 and GPT-2 are read off the configuration's numbers, which takes no library;
`reading` has the others counted by transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sentilora.errors import UserError


@dataclass(frozen=True)
class ModelShape:
    """The sizes of a causal LM.

    name
        As the user has it.
    layers, width, inner, heads, groups, head_size
        Blocks, hidden size D, the MLP's I, query heads H, key and value heads G, a head's size d.
    gated
        Whether the MLP has a gate (SwiGLU: three matrices) or not (two).
    fused
        Whether query, key and value are one projection.
    linear
        Weights of the blocks' projections, which quantisation shrinks.
    rest
        All others: embeddings, positions, norms, biases, and a head that isn't the embeddings.
    vocabulary, window
        Tokens that there are, and that a sequence may have (None: any number).
    stored_bytes
        Of a weight on disk.
    handwritten
        Whether the hand-written forward and backward (`scoring.frozen`) knows the architecture.
    quantized
        In what kind of few bits the projections are stored already, if they aren't whole.
    """

    name: str
    layers: int
    width: int
    inner: int
    heads: int
    groups: int
    head_size: int
    gated: bool
    fused: bool
    linear: int
    rest: int
    vocabulary: int
    window: int | None
    stored_bytes: int
    handwritten: bool
    quantized: str | None = None

    @property
    def parameters(self) -> int:
        """All weights."""
        return self.linear + self.rest

    @property
    def qkv(self) -> int:
        """Columns of queries, keys and values together."""
        return (self.heads + 2 * self.groups) * self.head_size

    @property
    def matrices(self) -> dict[str, tuple[tuple[int, int], ...]]:
        """By role the projections of a block as (inputs, outputs); a fused one is "fused"."""
        queries, keys = self.heads * self.head_size, self.groups * self.head_size
        into = (self.width, self.inner)
        mlp = (into, into, into[::-1]) if self.gated else (into, into[::-1])
        if self.fused:
            qkv = {"fused": ((self.width, self.qkv),)}
        else:
            sizes = {"query": queries, "key": keys, "value": keys}
            qkv = {role: ((self.width, size),) for role, size in sizes.items()}
        return {**qkv, "output": ((queries, self.width),), "mlp": mlp}

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "parameters": self.parameters}


def known_shape(name: str, config: Mapping[str, Any]) -> ModelShape | None:
    """The shape that a `config.json` describes; None for an architecture that isn't known here.

    Raises UserError where it lacks a number.
    """
    reader = _READERS.get(config.get("model_type", ""))
    try:
        return reader(name, config) if reader else None
    except KeyError as error:
        raise UserError(
            f"The configuration of {name} lacks {error.args[0]}, so its size can't be told. Fetch "
            "or copy the model again."
        ) from None


def stored_bytes(config: Mapping[str, Any]) -> int:
    """Of a weight on disk."""
    dtype = str(config.get("dtype") or config.get("torch_dtype") or "float32")
    return 2 if dtype.removeprefix("torch.") in ("bfloat16", "float16") else 4


def _llama(name: str, config: Mapping[str, Any]) -> ModelShape:
    width, inner, layers = (
        config[key] for key in ("hidden_size", "intermediate_size", "num_hidden_layers")
    )
    heads = config["num_attention_heads"]
    groups = config.get("num_key_value_heads") or heads
    size = config.get("head_dim") or width // heads
    vocabulary = config["vocab_size"]
    queries, qkv = heads * size, (heads + 2 * groups) * size
    qwen = config["model_type"] == "qwen2"  # which has biases there, and states no setting
    biases = qkv if qwen or config.get("attention_bias") else 0
    biases += width if config.get("attention_bias") else 0
    biases += 2 * inner + width if config.get("mlp_bias") else 0
    # Qwen2's own default is untied, as Llama's; a configuration states it where it is tied
    matrices = 1 if config.get("tie_word_embeddings") else 2
    return ModelShape(
        name=name,
        layers=layers,
        width=width,
        inner=inner,
        heads=heads,
        groups=groups,
        head_size=size,
        gated=True,
        fused=False,
        linear=layers * (width * qkv + queries * width + 3 * width * inner),
        rest=matrices * vocabulary * width + layers * (2 * width + biases) + width,
        vocabulary=vocabulary,
        window=config.get("max_position_embeddings"),
        stored_bytes=stored_bytes(config),
        handwritten=not _slides(config),
    )


def _slides(config: Mapping[str, Any]) -> bool:
    """Whether attention has a window, which the hand-written path leaves to the general one."""
    if config["model_type"] == "qwen2" and not config.get("use_sliding_window"):
        return False
    return bool(config.get("sliding_window")) and config["model_type"] != "llama"


def _gpt2(name: str, config: Mapping[str, Any]) -> ModelShape:
    width, layers, heads = (config[key] for key in ("n_embd", "n_layer", "n_head"))
    inner = config.get("n_inner") or 4 * width
    vocabulary, window = config["vocab_size"], config["n_positions"]
    return ModelShape(
        name=name,
        layers=layers,
        width=width,
        inner=inner,
        heads=heads,
        groups=heads,
        head_size=width // heads,
        gated=False,
        fused=True,
        linear=layers * (4 * width * width + 2 * width * inner),
        rest=(vocabulary + window) * width
        + layers * (4 * width + 4 * width + inner + width)  # norms, and biases
        + 2 * width,
        vocabulary=vocabulary,
        window=window,
        stored_bytes=stored_bytes(config),
        handwritten=config.get("activation_function", "gelu_new")
        in ("gelu_new", "gelu_pytorch_tanh"),
    )


_READERS = {"llama": _llama, "mistral": _llama, "qwen2": _llama, "gpt2": _gpt2}
