"""Which floating-point type a base is loaded in.

bfloat16 halves memory and is faster, but only where the hardware multiplies it natively: elsewhere
it is emulated, several times slower than float32. The choice is read off the hardware's feature
flags, never timed, so the same machine always chooses the same.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING

from sentilora.errors import UserError

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "bfloat16", "float16")
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}  # of one number


def choose_dtype(device: str, requested: str | None = None) -> tuple[torch.dtype, str]:
    """The dtype to load a base in, and a sentence that says why.

    Args:
        device: "cpu", "cuda", "cuda:1", "mps".
        requested: one of `DTYPES`, or None to choose by the hardware.

    Raises:
        UserError: `requested` is none of `DTYPES`.
    """
    import torch

    if requested is not None:
        if requested not in DTYPES:
            raise UserError(f"There is no dtype {requested!r} here; choose {', '.join(DTYPES)}.")
        return getattr(torch, requested), f"{requested}, as asked for"
    kind = torch.device(device).type
    if kind == "cuda":
        major, minor = torch.cuda.get_device_capability(torch.device(device))
        if major >= 8:
            return torch.bfloat16, "bfloat16: this GPU multiplies it natively"
        return torch.float32, f"float32: a GPU of capability {major}.{minor} has no native bfloat16"
    if kind == "cpu" and cpu_multiplies_bfloat16():
        return torch.bfloat16, "bfloat16: this CPU multiplies it natively"
    return torch.float32, f"float32: no native bfloat16 multiplication on this {kind} device"


def cpu_multiplies_bfloat16() -> bool:
    """Whether the CPU has instructions that multiply bfloat16 (AVX-512 BF16, AMX, Arm BF16).

    AVX-512 alone, which some libraries take for support, emulates it.
    """
    import torch

    if platform.machine().lower() in ("x86_64", "amd64"):
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16" in cpuinfo_flags()


def cpuinfo_flags() -> set[str]:
    """The feature flags that Linux lists; empty on other systems."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return set()
    lines = [line for line in text.splitlines() if line.lower().startswith(("features", "flags"))]
    return {flag for line in lines for flag in line.partition(":")[2].split()}
