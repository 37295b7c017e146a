"""Which device to compute on."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sentilora.errors import UserError

if TYPE_CHECKING:
    import torch

_M_MMAP_THRESHOLD = -3  # of mallopt(3)
# Tokens of a forward and backward pass, the instruction's aside: enough for matrix products to be
# at their fastest, so that what a pass keeps for its backward grows neither with the batch nor with
# the texts' length.
_TOKENS_AT_ONCE = {"cpu": 1024}
_TOKENS_AT_ONCE_ELSEWHERE = 4096
_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")  # torch's allocators

DEVICES = ("auto", "cpu", "cuda", "mps")


def resolve_device(device: str) -> str:
    """The torch device for `device`; "auto" takes CUDA, then Apple's MPS, then the CPU.

    Raises `UserError` for an unknown device, or one that isn't there.
    """
    import torch

    there = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }
    if device == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if there[name])
    kind, index = _parsed(device)
    if kind not in there:
        raise UserError(
            f"Unknown device {device!r}; choose from {', '.join(DEVICES)}, or one of several, as "
            "in cuda:1."
        )
    if not there[kind]:
        raise UserError(
            f"This machine has no {kind} device that torch can use. Give --device cpu, or install "
            "the torch build for it."
        )
    if index >= there[kind]:
        raise UserError(
            f"There is no device {device}: torch can use {there[kind]} of that kind here, counted "
            f"from {kind}:0."
        )
    return device


def _parsed(device: str) -> tuple[str | None, int]:
    """The kind and number in a device's name; no kind where it is no name."""
    import torch

    try:
        parsed = torch.device(device)
    except RuntimeError:
        return None, 0
    return parsed.type, parsed.index or 0


@cache
def processor(kind: str) -> str:
    """What computes on a kind of device: the last bits of a result depend on it.

    For the CPU its model and the instruction set that torch's kernels use on it.
    """
    import torch

    if kind == "cuda":
        return torch.cuda.get_device_name()
    if kind == "cpu":
        return f"{cpu_model()} ({torch.backends.cpu.get_cpu_capability()})"
    return platform.processor() or kind


def usable_cores() -> int:
    """Cores that this process may run on: in a container fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def tokens_at_once(kind: str) -> int:
    """The tokens of a training pass that suit a kind of device."""
    return _TOKENS_AT_ONCE.get(kind, _TOKENS_AT_ONCE_ELSEWHERE)


def release_memory(device: torch.device) -> None:
    """Gives back what torch keeps of a device's memory for later use."""
    import torch

    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def memory_ran_out(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, says that memory didn't suffice."""
    import torch

    while error is not None:
        if isinstance(error, MemoryError | torch.OutOfMemoryError):
            return True
        if isinstance(error, RuntimeError) and any(each in str(error) for each in _NO_MEMORY):
            return True
        error = error.__cause__
    return False


def return_freed_memory() -> None:
    """From now on large tensors on a CPU go back to the system as soon as they are freed.

    By default GNU's C library keeps freed ones of up to 32 MiB for itself, between which tensors of
    changing sizes don't fit: SmolLM2's steps with gradient checkpointing took 500 MB more than was
    alive. Other libraries are left as they are.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(_M_MMAP_THRESHOLD, 2**17)


def trim_heap() -> None:
    """Gives back what the C library keeps of memory that was freed, where it is GNU's.

    Quantising Qwen2.5-0.5B left up to 2 GB there, between which little else fits.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def peak_memory(device: torch.device) -> int | None:
    """The most bytes that this process has held so far: of a GPU's memory, or of the machine's.

    None where the system doesn't tell.
    """
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would start from what the parent held when it forked
        found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text(encoding="ascii"))
        return int(found[1]) * 1024 if found else None
    try:
        import resource
    except ImportError:  # Windows has none
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def cpu_model() -> str:
    """What the processor calls itself, as far as the system tells."""
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
