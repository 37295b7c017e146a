"""What is said before a run starts: base, data, adapter, and where each setting came from."""

from __future__ import annotations

import shlex
from pathlib import Path

from sentilora.bases import LoadedBase
from sentilora.bases.dtype import BYTES
from sentilora.cli.console import say
from sentilora.data import DataSet
from sentilora.label_words import label_advice
from sentilora.runs import RunConfig
from sentilora.tuning import Tuning


def say_plan(config: RunConfig, dataset: DataSet, tuning: Tuning, run_dir: Path) -> None:
    """Print all that was settled, and how to go on after an interruption."""
    base, parameters = tuning.base, tuning.parameters
    say(f"Base     {base.identity.name} on {config.device}, {base.dtype_reason}")
    if base.identity.quantization:
        kinds = base.identity.quantization["tensors"].items()
        stored = ", ".join(f"{count:,} {kind}" for kind, count in kinds)
        say(f"         tensors as stored: {stored}; dequantised")
    for line in quantised_lines(base):
        say(f"         {line}")
    counts = ", ".join(f"{len(dataset.split(split)):,} {split}" for split in dataset.splits)
    say(f"Data     {dataset.name}: {counts} rows; labels {', '.join(dataset.labels)}")
    if advice := label_advice(tuning.scorer.encoder):
        say(f"         {advice}")
    say(
        f"Adapter  rank {config.adapter.rank} on {', '.join(config.adapter.targets)}: "
        f"{parameters.trained:,} of {parameters.total:,} parameters "
        f"({100 * parameters.share:.2f} %)"
    )
    if parameters.share > 0.01:
        say("         That is more than 1 %: a lower --rank or fewer --targets may do.")
    for number, line in enumerate(settings_lines(config)):
        say(f"{'Settings' if number == 0 else '':8} {line}")
    say(f"Run      {run_dir}; after an interruption, go on with:")
    say(f"         {resume_command(run_dir)}")


def quantised_lines(base: LoadedBase) -> list[str]:
    """What of a base is in 4 or 8 bits, and what isn't; nothing where it is as it is stored."""
    found = base.quantised
    if found is None:
        return []
    dtype = base.identity.dtype
    whole = found.elements * BYTES[dtype]
    kept = ", ".join(name if count == 1 else f"{count} {name}" for name, count in found.whole)
    return [
        f"{found.weights:,} weights in {found.kind}: {found.stored_bytes / 1e6:,.1f} MB, in "
        f"{dtype} {whole / 1e6:,.1f} MB",
        f"in {dtype} still: {kept}{', and the biases' * found.biases}",
    ]


def settings_lines(config: RunConfig) -> list[str]:
    """A line for each origin that settings have, with all of its settings; what is off is not."""
    values = {
        "template": config.task.template.replace("\n", "\\n"),
        "max_length": config.task.max_length,
        "long_texts": config.task.long_texts,
        **config.adapter.to_dict(),
        **config.training.to_dict(),
    }
    by_origin: dict[str, list[str]] = {}
    for name, origin in config.origins.items():
        if shown := _shown(values[name]):
            by_origin.setdefault(origin, []).append(f"{name.replace('_', ' ')} {shown}")
    return [f"{origin}: {', '.join(settings)}" for origin, settings in by_origin.items()]


def _shown(value: object) -> str:
    """A setting's value; nothing for one that is off."""
    if value is None or value is False:
        return ""
    if isinstance(value, list):
        return " and ".join(map(_shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def resume_command(run_dir: Path) -> str:
    """What goes on with a run."""
    return f"sentilora train --resume {shlex.quote(str(run_dir))}"
