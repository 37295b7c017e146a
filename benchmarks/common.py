"""What the benchmark's processes have in common: the job that a worker is given, and its clock.

Only the standard library is imported, for a worker may run in another environment than the product.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

RANK, ALPHA, DROPOUT, LEARNING_RATE = 8, 32, 0.1, 1e-3
CHECK_STEPS = 3
PEER_BATCHES = (8, 16, 32, 64, 128)  # a scoring peer runs at the best of these

Mode = Literal["time", "check", "tune"]


@dataclass(frozen=True)
class Job:
    """What one worker does, all token ids included: every contender is given the same ones.

    module
        The peer's module, which has `run(job) -> dict`.
    mode
        "time" measures; "check" gives what must be equal (the losses of the first steps, without
        dropout); "tune" finds a scoring peer's best batch.
    model, gguf
        A folder in the Hub's layout; the base's own GGUF file, where a peer needs it.
    task
        `sentilora.Task.to_dict()`, for the product, which encodes `texts` anew.
    rendered, prompts, gold, labels
        Of N rows the prompt as a string, its token ids and its label's index; each label's token.
    own_tokens
        Mean number of a prompt's tokens behind the shared instruction.
    modules, fan_in_fan_out, fused
        Where stock PEFT puts the adapter, and whether query and value are parts of one projection.
    """

    module: str
    model: str
    device: str
    dtype: str
    threads: int
    batch: int
    task: dict[str, Any]
    texts: list[str]
    rendered: list[str]
    prompts: list[list[int]]
    gold: list[int]
    labels: list[int]
    own_tokens: float
    modules: list[str]
    fan_in_fan_out: bool
    fused: bool
    mode: Mode = "time"
    training: bool = False
    gguf: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Job:
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    @property
    def warmup_rows(self) -> int:
        """Rows that are run before the clock starts, so that nobody's first step is measured."""
        return min(2 * self.batch, len(self.prompts))


class Stopwatch:
    """Seconds between `start` and the last `stop`, with the device's queue drained at both."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = 0.0

    def start(self) -> None:
        _drain()
        self._began = time.perf_counter()

    def stop(self) -> None:
        _drain()
        self.seconds = time.perf_counter() - self._began

    def __enter__(self) -> Stopwatch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _drain() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def peak_memory() -> int:
    """Bytes: the most that this process has held in memory so far."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would start from what the parent held when it forked
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
