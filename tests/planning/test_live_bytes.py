"""The formulas against what passes over small models really allocate.

Tensors are counted as they are made and freed, which a resident size can't tell of a small model;
`test_resident.py` holds the whole of a process against a plan.
"""

from __future__ import annotations

from typing import Any

import pytest
from steps import CONFIGS, measured, shape

from sentilora.planning.memory import peak
from sentilora.planning.recipe import Recipe, Run

SHORT, LONG = Run(8, 40, 16), Run(2, 200, 16)


def predicted(name: str, recipe: Recipe, run: Run) -> int:
    parts = peak(shape(name), recipe, run)
    return parts.activations + parts.attention + parts.prefix + parts.head + parts.working


@pytest.mark.parametrize("run", [SHORT, LONG], ids=["short", "long"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", CONFIGS)
def test_the_handwritten_path(
    name: str, dtype: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(dtype)
    assert recipe.handwritten(shape(name))
    found = measured(name, recipe, run, monkeypatch)
    assert predicted(name, recipe, run) == pytest.approx(found, rel=0.06)


OTHERS: list[dict[str, Any]] = [
    {"targets": ("query", "value", "output")},
    {"targets": ("query", "value", "output"), "dropout": False},
    {"checkpointing": True},
    {"dora": True},
    {"dora": True, "dropout": False},
]
IDS = ["general", "no dropout", "checkpointing", "DoRA", "DoRA, no dropout"]


@pytest.mark.parametrize("given", OTHERS, ids=IDS)
@pytest.mark.parametrize("name", CONFIGS)
def test_the_general_path(
    name: str, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for dtype in ("float32", "bfloat16"):
        recipe = Recipe(dtype, **given)
        assert not recipe.handwritten(shape(name))
        found = measured(name, recipe, SHORT, monkeypatch)
        assert predicted(name, recipe, SHORT) == pytest.approx(found, rel=0.15)
