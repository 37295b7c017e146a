"""The bytes of tensors that are alive, and their peak, as an allocator would count them."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Live(TorchDispatchMode):
    """Counts what operations allocate while it is on; `peak` is the most that was alive."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: dict[int, Any] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if _tensor(t)}
        for tensor in filter(_tensor, tree_leaves(result)):
            storage = tensor.untyped_storage()
            key = storage._cdata
            if key not in self._known and key not in given:
                size = storage.nbytes()
                self.now += size
                self.peak = max(self.peak, self.now)
                self._known[key] = weakref.ref(storage, lambda _, k=key, s=size: self._freed(k, s))
        return result

    def _freed(self, key: int, size: int) -> None:
        self._known.pop(key, None)
        self.now -= size


def _tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)
