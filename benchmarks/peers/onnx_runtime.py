"""onnxruntime on an export of the padded forward, with logits at each row's last position alone.

In fp32 whatever the job's dtype: its CPU kernels have no bf16. Causal attention never looks at the
padding on the right, so no mask is needed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from common import Job

from peers.picking import run_scoring
from peers.stock import load_model, padded


class _LastLogits(torch.nn.Module):
    """From [B, T] ids and [B] last positions to [B, V] logits."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.body = model.base_model
        self.head = model.get_output_embeddings()

    def forward(self, input_ids: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        hidden = self.body(input_ids=input_ids, use_cache=False).last_hidden_state
        index = last.view(-1, 1, 1).expand(-1, 1, hidden.shape[-1])
        return self.head(hidden.gather(1, index).squeeze(1))


def run(job: Job) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        session = _session(job, Path(folder) / "model.onnx")

        def score(rows: Sequence[int], size: int) -> list[int | None]:
            found: list[int | None] = []
            for start in range(0, len(rows), size):
                batch = [job.prompts[row] for row in rows[start : start + size]]
                ids, mask = padded(batch, pad=0)
                given = {"input_ids": ids.numpy(), "last": (mask.sum(dim=1) - 1).numpy()}
                (logits,) = session.run(None, given)
                found += logits[:, job.labels].argmax(axis=1).tolist()
            return found

        return run_scoring(job, score)


def _session(job: Job, file: Path) -> onnxruntime.InferenceSession:
    model = load_model(replace(job, dtype="float32", device="cpu")).eval()
    ids, mask = padded(job.prompts[:2], pad=0)
    rows, width = torch.export.Dim("rows"), torch.export.Dim("width")
    torch.onnx.export(
        _LastLogits(model),
        (ids, mask.sum(dim=1) - 1),
        file,
        input_names=["input_ids", "last"],
        dynamic_shapes=({0: rows, 1: width}, {0: rows}),
        dynamo=True,
        verbose=False,
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job.threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    wanted = "CUDAExecutionProvider" if job.device != "cpu" else "CPUExecutionProvider"
    return onnxruntime.InferenceSession(file, options, providers=[wanted])
