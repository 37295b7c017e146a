"""SetFit on all-MiniLM-L6-v2 (Tunstall et al. 2022), in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from study.methods import Answer, Job
from study.methods.minilm import folder

PYTHON = "SETFIT_PYTHON"  # the environment variable that names its interpreter
WORKER = Path(__file__).with_name("setfit_worker.py")


def setfit(job: Job) -> Answer:
    """Contrastive pairs from the training rows, then a logistic regression."""
    asked = {
        "model": str(folder()),
        "train": job.train.texts,
        "gold": job.train.gold,
        "texts": job.texts,
        "seed": job.seed,
        "threads": torch.get_num_threads(),
    }
    with tempfile.TemporaryDirectory() as where:
        question, answer = Path(where) / "job.json", Path(where) / "answer.json"
        question.write_text(json.dumps(asked), encoding="utf-8")
        python = os.environ.get(PYTHON, sys.executable)
        subprocess.run([python, str(WORKER), str(question), str(answer)], check=True)
        found = json.loads(answer.read_text(encoding="utf-8"))
    return Answer(np.array(found["probabilities"]), found["seconds"], found["saved"])
