"""The dtype follows the hardware's flags, or what was asked for."""

from __future__ import annotations

import pytest
import torch

from sentilora.bases import dtype as chosen
from sentilora.bases.dtype import choose_dtype
from sentilora.errors import UserError


@pytest.mark.parametrize("native", [True, False])
def test_cpu(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chosen, "cpu_multiplies_bfloat16", lambda: native)
    found, reason = choose_dtype("cpu")
    assert found == (torch.bfloat16 if native else torch.float32)
    assert reason.startswith(str(found).removeprefix("torch."))


def test_plain_avx512_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chosen.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(torch.cpu, "_is_avx512_supported", lambda: True)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert choose_dtype("cpu")[0] == torch.float32


@pytest.mark.parametrize("flags", [{"asimd", "bf16"}, {"asimd"}])
def test_arm(flags: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chosen.platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(chosen, "cpuinfo_flags", lambda: flags)
    assert choose_dtype("cpu")[0] == (torch.bfloat16 if "bf16" in flags else torch.float32)


@pytest.mark.parametrize(
    ("capability", "expected"),
    [((7, 5), torch.float32), ((8, 0), torch.bfloat16), ((9, 0), torch.bfloat16)],
)
def test_cuda(
    capability: tuple[int, int], expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert choose_dtype("cuda:1")[0] == expected


def test_mps() -> None:
    assert choose_dtype("mps")[0] == torch.float32


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_as_asked_for(name: str) -> None:
    assert choose_dtype("cpu", name) == (getattr(torch, name), f"{name}, as asked for")


def test_an_unknown_dtype() -> None:
    with pytest.raises(UserError, match="float32, bfloat16, float16"):
        choose_dtype("cpu", "int8")
