"""One contender, one pass, in a process of its own: `python worker.py JOB.json RESULT.json`."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

from common import Job, peak_memory


def main() -> None:
    """Run the job and write what the peer answers, with the memory that it took."""
    job = Job.read(Path(sys.argv[1]))
    if job.module != "peers.llama_cpp":
        import torch

        torch.set_num_threads(job.threads)
    run = import_module(job.module).run
    imported = peak_memory()
    result = run(job)
    result["memory"] = _memory(job.device, imported)
    Path(sys.argv[2]).write_text(json.dumps(result), encoding="utf-8")


def _memory(device: str, imported: int) -> int:
    """Bytes: the peak beyond what the imports took; on a GPU what torch allocated there."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.max_memory_allocated()
    return peak_memory() - imported


if __name__ == "__main__":
    main()
