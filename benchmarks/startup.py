"""From a cold start to the first answer, beside the bare import of torch, transformers and peft.

`python benchmarks/startup.py RUN` times `sentilora predict RUN "text"` as a whole, and in a further
process splits the time into imports, base, adapter, verification and scoring.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

TEXT = "a moving, beautifully shot film"
SPLIT = Path(__file__).with_name("startup_split.py")
IMPORTS = "import torch, transformers, peft; transformers.AutoModelForCausalLM; peft.PeftModel"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="the folder that `sentilora train` wrote")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    commands = {
        "sentilora predict": [sys.executable, "-m", "sentilora", "predict", str(options.run), TEXT],
        "bare imports": [sys.executable, "-c", IMPORTS],
        "split": [sys.executable, str(SPLIT), str(options.run), TEXT],
    }
    whole, splits = _measure(commands, options.rounds)
    _show(whole, splits)
    if options.json is not None:
        content = {"seconds": whole, "split": splits}
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _measure(
    commands: dict[str, list[str]], rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds of each command, and of each part of the split, a round each."""
    whole: dict[str, list[float]] = {name: [] for name in commands}
    splits: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        for name, command in commands.items():
            began = time.perf_counter()
            output = _run(command)
            if number == 0:  # fills the system's file cache; no round
                continue
            whole[name].append(time.perf_counter() - began)
            if name == "split":
                for phase, seconds in json.loads(output).items():
                    splits.setdefault(phase, []).append(seconds)
    del whole["split"]
    return whole, splits


def _run(command: Sequence[str]) -> str:
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"Error: {' '.join(command[:4])} ... failed:\n{done.stderr[-2000:]}")
    return done.stdout


def _show(whole: dict[str, list[float]], splits: dict[str, list[float]]) -> None:
    table = Table("", "seconds", "min-max", title="Start to first answer", title_justify="left")
    for name, times in whole.items():
        table.add_row(name, *_cells(times))
    beyond = median(whole["sentilora predict"]) - median(whole["bare imports"])
    table.add_row("beyond the bare imports", f"{beyond:.2f}", "", end_section=True)
    for name, times in splits.items():
        table.add_row(name, *_cells(times))
    Console().print(table)


def _cells(times: Sequence[float]) -> tuple[str, str]:
    return f"{median(times):.2f}", f"{min(times):.2f}-{max(times):.2f}"


if __name__ == "__main__":
    main()
