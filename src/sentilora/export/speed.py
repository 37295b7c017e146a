"""How large and how fast a model is, measured the same way for an adapter and its export."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

SINGLE = 40  # texts that are asked one by one

Found = TypeVar("Found")


@dataclass(frozen=True)
class Speed:
    """What a model costs.

    size
        Bytes on disk.
    load
        Seconds until it can be asked.
    latency
        The median of the milliseconds that a text by itself takes.
    throughput
        Texts a second, in batches.
    """

    size: int
    load: float
    latency: float
    throughput: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def timed(action: Callable[[], Found]) -> tuple[Found, float]:
    """What `action` gives, and the seconds it took."""
    start = time.perf_counter()
    found = action()
    return found, time.perf_counter() - start


def latency(predict: Callable[[Sequence[str]], Any], texts: Sequence[str]) -> float:
    """The median of the milliseconds for one text, over some texts at even distances."""
    chosen = [texts[place] for place in range(0, len(texts), max(1, len(texts) // SINGLE))]
    predict(chosen[:1])  # the first call also allocates
    seconds = [timed(partial(predict, [text]))[1] for text in chosen[:SINGLE]]
    return float(1000 * np.median(seconds))


def size_of(*folders: Path) -> int:
    """Bytes of the files in `folders`."""
    return sum(
        path.stat().st_size for each in folders for path in each.rglob("*") if path.is_file()
    )
