"""The memory that training takes, in a process of its own: `python memory_worker.py JOB RESULT`.

Steps are the product's own, on rows of one length. Each step is one micro-batch, the largest that
the token budget cuts from the batch: more of them would only take longer.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common import peak_memory

WORDS = [
    "the",
    "film",
    "plot",
    "cast",
    "was",
    "is",
    "a",
    "very",
    "quite",
    "with",
    "and",
    "music",
    "slow",
    "fine",
    "end",
    "of",
    "its",
    "own",
    "time",
]


@dataclass(frozen=True)
class Cell:
    """One measurement.

    model
        A folder in the Hub's layout.
    batch, words, budget
        Rows a step, words of each row's text, and the most tokens of a micro-batch.
    checkpointing, cap
        With gradient checkpointing; bytes that a GPU's allocator may take.
    quantize, dora
        How the base's weights are held, if not whole; whether magnitudes are trained, too.
    """

    model: str
    device: str
    dtype: str
    batch: int
    words: int
    budget: int
    steps: int
    threads: int
    rank: int = 8
    targets: tuple[str, ...] = ("query", "value")
    checkpointing: bool = False
    cap: int | None = None
    quantize: str | None = None
    dora: bool = False

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


def main() -> None:
    """Run a cell and write what it took."""
    values = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    cell = Cell(**{**values, "targets": tuple(values["targets"])})
    Path(sys.argv[2]).write_text(json.dumps(measured(cell)), encoding="utf-8")


def measured(cell: Cell) -> dict[str, Any]:
    """Bytes at the peak of loading and of the steps, beyond imports, and what the rows were."""
    import torch
    from transformers import AutoModelForCausalLM  # noqa: F401  which is lazy otherwise

    from sentilora.adapters import AdapterSettings
    from sentilora.bases import load_base, resolve
    from sentilora.task import Task
    from sentilora.training import TrainSettings, fit
    from sentilora.training.gradients import rows_at_once
    from sentilora.training.rows import Rows
    from sentilora.tuning import prepare

    with suppress(ImportError):  # which PEFT takes where it is there
        import bitsandbytes  # noqa: F401
    torch.set_num_threads(cell.threads)
    if cell.cap is not None:
        whole = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(cell.cap / whole)
    imported = peak_memory()
    base = load_base(
        resolve(cell.model), device=cell.device, dtype=cell.dtype, quantize=cell.quantize
    )
    task = Task.default(("negative", "positive"), "text", 1024)
    adapter = AdapterSettings(rank=cell.rank, targets=cell.targets, dora=cell.dora)
    tuning = prepare(base, task, adapter, seed=0, gradient_checkpointing=cell.checkpointing)
    loaded = _peak(cell.device) - (0 if cell.device == "cuda" else imported)
    _forget_peak(cell.device)
    encoder = tuning.scorer.encoder
    prompts = encoder.encode(_texts(cell.words, cell.batch))
    shared = 0 if cell.checkpointing else len(encoder.prefix_ids)
    lengths = [len(prompt.ids) - shared for prompt in prompts]
    rows = rows_at_once(lengths, cell.batch, cell.budget)
    prompts = prompts[:rows]
    settings = TrainSettings(
        epochs=cell.steps,
        batch_size=rows,
        select="last",
        micro_batch_tokens=cell.budget,
        gradient_checkpointing=cell.checkpointing,
    )
    with tempfile.TemporaryDirectory() as folder:
        train, none = Rows(prompts, [0] * rows), Rows([], [])
        fit(tuning.scorer, train, none, settings, Path(folder), checkpoint_seconds=1e9)
    return {
        "load": loaded,
        "steps": _peak(cell.device) - (0 if cell.device == "cuda" else imported),
        "rows": rows,
        "longest": max(len(prompt.ids) for prompt in prompts),
        "prefix": len(encoder.prefix_ids),
        "path": tuning.scorer.path,
    }


def _texts(words: int, count: int) -> list[str]:
    draw = random.Random(0)
    return [" ".join(draw.choices(WORDS, k=words)) for _ in range(count)]


def _peak(device: str) -> int:
    import torch

    return torch.cuda.max_memory_allocated() if device == "cuda" else peak_memory()


def _forget_peak(device: str) -> None:
    """Let the peak begin anew, from what is held now."""
    import torch

    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        clear = Path("/proc/self/clear_refs")
        if clear.exists():  # elsewhere than on Linux, loading's peak counts for the steps' too
            clear.write_text("5", encoding="ascii")


if __name__ == "__main__":
    main()
