"""Query, key and value are found in every architecture.

What a projection's rows are is not read off its layout again here but seen from outside: in the
keys and values that the model itself caches in its first block, which only their own rows change.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache, MambaConfig, MambaForCausalLM

from fused import FUSED, RESOLVED, model_of
from models import tiny_model
from sentilora.errors import UserError
from sentilora.projections import resolve
from sentilora.roles import ROLES, parse_roles
from tuned import attached

IDS = torch.tensor([[7, 300, 41, 5, 99, 211, 8, 17]])


def first_block(model: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Keys and values that the first block caches, and the logits."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    name = "cache" if "cache" in inspect.signature(base.forward).parameters else "past_key_values"
    cache = DynamicCache()
    with torch.no_grad():
        logits = model(input_ids=IDS, use_cache=True, **{name: cache}).logits
    return cache.layers[0].keys, cache.layers[0].values, logits


@pytest.mark.parametrize("architecture", RESOLVED)
@pytest.mark.parametrize("roles", [("query",), ("key",), ("value",), ("query", "value")])
def test_roles_change_their_own_part_of_the_first_block_and_nothing_else(
    architecture: str, roles: tuple[str, ...]
) -> None:
    keys, values, logits = first_block(model_of(architecture))
    tuned_keys, tuned_values, tuned_logits = first_block(
        attached(model_of(architecture), targets=roles)
    )
    for role, before, after in (("key", keys, tuned_keys), ("value", values, tuned_values)):
        if role in roles:
            assert (before != after).all(), f"part of each {role} is left out"
        else:
            assert torch.equal(before, after)
    assert (logits - tuned_logits).abs().max() > 1e-3


@pytest.mark.parametrize("architecture", FUSED)
def test_every_row_of_a_fused_projection_is_a_query_a_key_or_a_value(architecture: str) -> None:
    """With the test above, which finds keys and values right, the rest are the queries."""
    model = model_of(architecture)
    frozen = [resolve(model, [role]).frozen_rows for role in ("query", "key", "value")]
    assert len(frozen[0]) == 2  # blocks
    for path in frozen[0]:
        wanted = torch.stack([~rows[path] for rows in frozen])
        assert (wanted.sum(dim=0) == 1).all()


@pytest.mark.parametrize("architecture", RESOLVED)
def test_only_fused_projections_have_frozen_rows(architecture: str) -> None:
    model = model_of(architecture)
    assert bool(resolve(model, ("query", "value")).frozen_rows) == (architecture in FUSED)
    assert not resolve(model, ("query", "key", "value")).frozen_rows


@pytest.mark.parametrize("architecture", RESOLVED)
def test_all_is_every_linear_map_of_the_blocks_and_never_the_head(architecture: str) -> None:
    tuned = attached(model_of(architecture), targets=ROLES)
    base = tuned.get_base_model()
    maps = {
        path
        for path, module in model_of(architecture).named_modules()
        if type(module).__name__ in ("Linear", "Conv1D")
        and not path.endswith(("lm_head", "embed_out", "project_in", "project_out"))
    }
    adapted = {
        path for path, module in base.named_modules() if hasattr(module, "lora_A") and module.lora_A
    }
    assert adapted == maps


def test_names_are_as_short_as_they_may_be() -> None:
    gpt2, llama = tiny_model("gpt2"), tiny_model("llama")
    assert resolve(gpt2, ("query", "value")).modules == ("c_attn",)
    assert resolve(gpt2, ("output",)).modules == ("attn.c_proj",)  # `c_proj` is the MLP's, too
    assert resolve(gpt2, ("output", "mlp")).modules == ("c_fc", "c_proj")
    assert resolve(llama, ("query", "value")).modules == ("q_proj", "v_proj")


def test_resolving_again_with_the_adapter_attached_gives_the_same() -> None:
    for architecture in ("gpt2", "llama"):
        model = tiny_model(architecture)
        before = resolve(model, ("query", "value"))
        after = resolve(attached(model).get_base_model(), ("query", "value"))
        assert after.modules == before.modules
        assert after.fan_in_fan_out == before.fan_in_fan_out
        assert after.frozen_rows.keys() == before.frozen_rows.keys()


@pytest.mark.parametrize(
    ("given", "roles"),
    [
        ("query,value", ("query", "value")),
        ("value, Query", ("query", "value")),
        ("q_proj,v_proj", ("query", "value")),
        (["q_proj", "value", "v_proj"], ("query", "value")),
        ("o_proj,gate_proj,up_proj,down_proj", ("output", "mlp")),
        ("all", ROLES),
        ("query,all", ROLES),
    ],
)
def test_roles_by_name_and_by_the_reference_recipes_names(
    given: str | list[str], roles: tuple[str, ...]
) -> None:
    assert parse_roles(given) == roles


@pytest.mark.parametrize("given", ["query,vlaue", "", [], "c_attn"])
def test_an_unknown_role_is_an_error_that_lists_the_known(given: str | list[str]) -> None:
    with pytest.raises(UserError, match="choose from query, key, value, output, mlp or all"):
        parse_roles(given)


def test_the_literal_names_mean_query_and_value_where_they_do_not_exist() -> None:
    assert resolve(tiny_model("gpt2"), parse_roles("q_proj,v_proj")).modules == ("c_attn",)


def test_where_nothing_matches_the_projections_there_are_are_listed() -> None:
    mamba = MambaForCausalLM(MambaConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1))
    with pytest.raises(UserError, match=r"no query or value .* It has: dt_proj, in_proj, out_proj"):
        resolve(mamba, ("query", "value"))
    with pytest.raises(UserError, match=r"no query .* It has: .*query_key_value"):
        resolve(tiny_model("falcon"), ("query", "mlp"))
