"""The resident peak of a process that trains, against a plan of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers

from sentilora.planning.memory import IMPORTED_BYTES, peak
from sentilora.planning.reading import folder_shape
from sentilora.planning.recipe import Recipe, Run

ROOT = Path(__file__).resolve().parents[2]
TOKENIZER = ROOT.parent / "shared" / "tokenizers" / "distilgpt2"


@pytest.mark.slow
@pytest.mark.skipif(not TOKENIZER.is_dir(), reason="needs distilgpt2's tokenizer in ../shared")
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's peak")
@pytest.mark.parametrize("words", [32, 200])
def test_a_step_takes_what_was_predicted(words: int, tmp_path: Path) -> None:
    config = transformers.AutoConfig.from_pretrained(TOKENIZER)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    transformers.AutoTokenizer.from_pretrained(TOKENIZER).save_pretrained(tmp_path / "base")
    model.save_pretrained(tmp_path / "base")
    del model
    cell = {
        "model": str(tmp_path / "base"), "device": "cpu", "dtype": "float32", "batch": 8,
        "words": words, "budget": 2048, "steps": 2, "threads": 1,
        "targets": ["query", "value"],
    }  # fmt: skip
    job, result = tmp_path / "job.json", tmp_path / "result.json"
    job.write_text(json.dumps(cell), encoding="utf-8")
    worker = ROOT / "benchmarks" / "memory_worker.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    subprocess.run([sys.executable, worker, job, result], env=environment, check=True)
    found = json.loads(result.read_text(encoding="utf-8"))
    run = Run(found["rows"], found["longest"] - found["prefix"], found["prefix"])
    shape = folder_shape("distilgpt2", tmp_path / "base")
    parts = peak(shape, Recipe("float32"), run)
    assert parts.total - IMPORTED_BYTES == pytest.approx(found["steps"], rel=0.15)
