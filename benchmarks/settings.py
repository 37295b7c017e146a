"""The options that both benchmarks have."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from sentilora.bases.dtype import DTYPES, choose_dtype


@dataclass(frozen=True)
class Settings:
    """What is measured, on what, how often."""

    model: str
    tokenizers: Path | None
    data: str | None
    device: str
    dtype: str
    batch: int
    rows: int
    words: int | None
    rounds: int
    threads: int
    peers: tuple[str, ...] | None
    trl_python: Path | None
    json: Path | None
    scaling: bool
    scaling_rows: tuple[int, ...]
    scaling_words: tuple[int, ...]


def parse(description: str, *, rows: int) -> Settings:
    """The settings on the command line; `rows` is the benchmark's default."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--model",
        default="smollm2",
        help="smollm2, distilgpt2, qwen2.5-0.5b (these two with random weights), or a folder",
    )
    parser.add_argument(
        "--tokenizers", type=Path, help="holds distilgpt2/ and qwen2.5-0.5b/: config and tokenizer"
    )
    parser.add_argument("--data", help="a folder of rows; by default the bundled reviews")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=DTYPES, help="by default what the product would choose")
    parser.add_argument("--batch", type=int, default=32, help="rows a training step")
    parser.add_argument("--rows", type=int, default=rows)
    parser.add_argument("--words", type=int, help="cut the texts to exactly so many words")
    parser.add_argument("--rounds", type=int, default=3, help="passes of each; the median is shown")
    parser.add_argument("--threads", type=int, default=_cores())
    parser.add_argument("--peers", type=_names, help="names, comma-separated; by default all")
    parser.add_argument("--trl-python", type=Path, help="the Python of an environment with TRL")
    parser.add_argument("--json", type=Path, help="also write everything to this file")
    parser.add_argument("--scaling", action="store_true", help="the product alone, growing work")
    parser.add_argument("--scaling-rows", type=_numbers, default=(1_000, 10_000, 100_000))
    parser.add_argument("--scaling-words", type=_numbers, default=(20, 50, 100, 200, 500))
    given = vars(parser.parse_args())
    if given["dtype"] is None:
        given["dtype"] = str(choose_dtype(given["device"])[0]).removeprefix("torch.")
    return Settings(**given)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))
