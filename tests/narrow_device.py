"""A stand-in for a device without float64 (Apple's MPS), for machines that have none."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class _Fetched(torch.Tensor):
    """What has come to the CPU by `.cpu()`; so is whatever is computed from it."""


class NarrowDevice(TorchFunctionMode):
    """Within it, tensors in float64 are refused as MPS refuses them, but for those on the CPU.

    Everything is on the CPU in truth. What counts as there is what was brought by `.cpu()`, or
    made without naming a device.
    """

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        if not isinstance(result, torch.Tensor) or isinstance(result, _Fetched):
            return result
        if function is torch.Tensor.cpu:
            return result.as_subclass(_Fetched)
        if result.dtype == torch.float64:
            if any(isinstance(arg, torch.Tensor) for arg in args) or kwargs.get("device"):
                raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
            return result.as_subclass(_Fetched)
        return result
