"""Names of devices: what they stand for here, and what is said of those that don't."""

from __future__ import annotations

import pytest
import torch

from sentilora.devices import resolve_device
from sentilora.errors import UserError


@pytest.fixture(params=[0, 1, 2])
def gpus(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """So many GPUs, and no device of Apple's."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: request.param)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    return int(request.param)


def test_a_device_that_is_there(gpus: int) -> None:
    assert resolve_device("auto") == ("cuda" if gpus else "cpu")
    for name in ("cpu", *(["cuda", f"cuda:{gpus - 1}"] if gpus else [])):
        assert resolve_device(name) == name


def test_a_device_that_is_not(gpus: int) -> None:
    words = f"torch can use {gpus} of that kind" if gpus else "no cuda device"
    with pytest.raises(UserError, match=words):
        resolve_device(f"cuda:{gpus}")
    with pytest.raises(UserError, match="no mps device"):
        resolve_device("mps")


@pytest.mark.parametrize("name", ["abacus", "cpu:x", "cuda:-1", "cuda:", "auto:1", "meta", ""])
def test_a_name_of_no_device(name: str) -> None:
    with pytest.raises(UserError, match="auto, cpu, cuda, mps"):
        resolve_device(name)
