"""SetFit, run by `contrastive.py` in an environment that has it: `setfit_worker.py JOB ANSWER`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from setfit import SetFitModel, Trainer, TrainingArguments

# Pairs of each kind for a row: SetFit's own default is 20. With many rows fewer do.
ITERATIONS = 20
MOST_PAIRS = 20_480


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    Path(sys.argv[2]).write_text(json.dumps(answer(job)), encoding="utf-8")


def answer(job: dict[str, Any]) -> dict[str, Any]:
    """Train on the job's rows, and give its texts' probabilities."""
    started = time.monotonic()
    model = SetFitModel.from_pretrained(job["model"])
    per_row = min(ITERATIONS, MOST_PAIRS // (2 * len(job["gold"])))
    arguments = TrainingArguments(
        output_dir=str(Path(sys.argv[2]).parent),
        batch_size=16,
        num_epochs=1,
        num_iterations=max(1, per_row),
        seed=job["seed"],
        report_to="none",
        save_strategy="no",
    )
    rows = Dataset.from_dict({"text": job["train"], "label": job["gold"]})
    Trainer(model=model, args=arguments, train_dataset=rows).train()
    seconds = time.monotonic() - started
    body = model.model_body.parameters()
    return {
        "probabilities": model.predict_proba(job["texts"], as_numpy=True).tolist(),
        "seconds": seconds,
        "saved": sum(parameter.numel() * parameter.element_size() for parameter in body),
    }


if __name__ == "__main__":
    main()
