"""What this machine has, as far as that can be told without importing torch."""

from __future__ import annotations

import os
import shutil

from sentilora.bases.dtype import DTYPES, choose_dtype, cpuinfo_flags
from sentilora.devices import usable_cores
from sentilora.errors import UserError

DEVICES = ("cpu", "cuda")


def device_for(wanted: str | None) -> str:
    """The device that is planned for; by default CUDA's where its driver is installed.

    Raises UserError for one that nothing is known of.
    """
    if wanted is None:
        return "cuda" if shutil.which("nvidia-smi") else "cpu"
    if wanted not in DEVICES:
        raise UserError(f"There is no plan for the device {wanted!r}; choose {', '.join(DEVICES)}.")
    return wanted


def dtype_for(device: str, wanted: str | None) -> str:
    """The base's dtype: the one that is wanted, or that `train` would choose here.

    Of a GPU that isn't asked, bfloat16 is what all since 2020 multiply.

    Raises UserError for an unknown one.
    """
    if wanted is not None:
        if wanted not in DTYPES:
            raise UserError(f"There is no dtype {wanted!r} here; choose {', '.join(DTYPES)}.")
        return wanted
    if device == "cuda":
        return "bfloat16"
    if flags := cpuinfo_flags():
        return "bfloat16" if flags & {"avx512_bf16", "amx_tile", "bf16"} else "float32"
    return str(choose_dtype(device)[0]).removeprefix("torch.")


def threads_for(device: str) -> int:
    """As many as torch takes for a device."""
    if device != "cpu":
        return 1
    if stated := os.environ.get("OMP_NUM_THREADS", ""):
        return int(stated) if stated.isdecimal() and int(stated) else 1
    return usable_cores()
