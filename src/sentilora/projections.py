"""Which projections of a model are its query, key, value, output and MLP ones.

`q_proj` and `v_proj` don't exist in GPT-2: its `c_attn` is one fused projection holding query, key
and value. Roles are therefore resolved from the modules that the model has. On a fused projection
a role means its slice of the output rows; the rows that weren't asked for are given as
`frozen_rows`, so that an adapter's B can stay zero there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from sentilora.errors import UserError

# A projection's role by the end of its module path.
_SEPARATE = {
    "query": r"\.(q_proj|q_lin|query|wq)$",
    "key": r"\.(k_proj|k_lin|key|wk)$",
    "value": r"\.(v_proj|v_lin|value|wv)$",
    "output": r"(\.(o_proj|out_lin|wo)|attn\.(c_proj|out_proj|dense)|attention\.(dense|out_proj))$",
    "mlp": r"(\.(gate_proj|up_proj|down_proj|gate_up_proj|fc1|fc2|fc_in|fc_out|c_fc"
    r"|dense_h_to_4h|dense_4h_to_h|w1|w2|w3)|mlp\.c_proj)$",
}


@dataclass(frozen=True)
class Targets:
    """What an adapter is attached to.

    modules
        Ends of module paths, as PEFT's `target_modules` takes them.
    frozen_rows
        For each fused projection, by its full path: [out] bool, true where B must stay zero.
    fan_in_fan_out
        Whether the projections keep their weights as [in, out] (GPT-2's Conv1D).
    """

    modules: tuple[str, ...]
    frozen_rows: dict[str, Tensor]
    fan_in_fan_out: bool


def resolve(model: Any, roles: Sequence[str]) -> Targets:
    """The projections of `model`, with or without adapters attached, that play `roles`.

    Raises `UserError`, listing the projections that the model has, where one role has none.
    """
    projections = _projections(model)
    found: dict[str, set[str]] = {role: set() for role in roles}
    frozen: dict[str, Tensor] = {}
    for path, module in projections.items():
        if (fused := _fused_rows(path, module, model.config)) is not None:
            if any(role in fused for role in roles):
                wanted = torch.zeros(_out_features(module), dtype=torch.bool)
                for role in roles:
                    if role in fused:
                        wanted[fused[role]] = True
                        found[role].add(path)
                if not wanted.all():
                    frozen[path] = ~wanted
            continue
        for role in roles:
            if re.search(_SEPARATE[role], "." + path):
                found[role].add(path)
    if missing := [role for role in roles if not found[role]]:
        raise UserError(
            f"This model has no {' or '.join(missing)} projection that sentilora knows. It has: "
            f"{', '.join(sorted({_end(path) for path in projections}))}."
        )
    chosen = set().union(*found.values())
    return Targets(
        _shortest_ends(chosen, set(projections)),
        frozen,
        any(isinstance(projections[path], Conv1D) for path in chosen),
    )


def _projections(model: Any) -> dict[str, Any]:
    """All linear maps of the model but its head; those within an attached adapter's layers too."""
    head = model.get_output_embeddings()
    return {
        path.removesuffix(".base_layer"): module
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and module is not head and ".lora_" not in path
    }


def linear_weights(model: Any) -> int:
    """How many weights its linear maps have, but for its head: what quantisation shrinks."""
    return sum(module.weight.numel() for module in _projections(model).values())


def _out_features(module: Any) -> int:
    return int(module.nf if isinstance(module, Conv1D) else module.out_features)


# Fused projections ------------------------------------------------------------------------------

Rows = dict[str, Tensor]


def _fused_rows(path: str, module: Any, config: Any) -> Rows | None:
    """For a fused projection the output rows of each role, else None."""
    layout = _FUSED.get((config.model_type, _end(path)))
    return layout(_out_features(module), config) if layout else None


def _blocks(out: int, config: Any) -> Rows:
    """All queries, then all keys, then all values (GPT-2, MPT)."""
    third = out // 3
    return _consecutive(third, third, third)


def _grouped_blocks(out: int, config: Any) -> Rows:
    """All queries, then the fewer keys and values of grouped-query attention (Phi-3)."""
    heads = config.num_attention_heads
    groups = getattr(config, "num_key_value_heads", None) or heads
    size = out // (heads + 2 * groups)
    return _consecutive(heads * size, groups * size, groups * size)


def _multi_query(out: int, config: Any) -> Rows:
    """GPT-BigCode: all queries, then one key and one value for all heads; or three a head."""
    if not config.multi_query:
        return _per_head(out, config)
    size = config.hidden_size // config.num_attention_heads
    return _consecutive(out - 2 * size, size, size)


def _per_head(out: int, config: Any) -> Rows:
    """For each head its query, its key and its value (GPT-NeoX, BLOOM)."""
    rows = torch.arange(out).view(config.num_attention_heads, 3, -1)
    return {role: rows[:, i].flatten() for i, role in enumerate(("query", "key", "value"))}


def _consecutive(*sizes: int) -> Rows:
    parts = torch.arange(sum(sizes)).split(list(sizes))
    return dict(zip(("query", "key", "value"), parts, strict=True))


_FUSED: dict[tuple[str, str], Callable[[int, Any], Rows]] = {
    ("gpt2", "c_attn"): _blocks,
    ("gpt_bigcode", "c_attn"): _multi_query,
    ("mpt", "Wqkv"): _blocks,
    ("gpt_neox", "query_key_value"): _per_head,
    ("bloom", "query_key_value"): _per_head,
    ("phi3", "qkv_proj"): _grouped_blocks,
}


# Names ------------------------------------------------------------------------------------------


def _end(path: str, parts: int = 1) -> str:
    return ".".join(path.split(".")[-parts:])


def _shortest_ends(chosen: set[str], all_paths: set[str]) -> tuple[str, ...]:
    """The shortest ends of paths that pick out exactly `chosen`."""
    ends: set[str] = set()
    for path in chosen:
        for parts in range(1, path.count(".") + 2):
            end = _end(path, parts)
            if {p for p in all_paths if p == end or p.endswith("." + end)} <= chosen:
                ends.add(end)
                break
    return tuple(sorted(ends))
