"""What is said before a run starts: base, data, adapter, and where each setting came from."""

from __future__ import annotations

import shlex
from pathlib import Path

from sentilora.cli.console import say
from sentilora.data import DataSet
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
    counts = ", ".join(f"{len(dataset.split(split)):,} {split}" for split in dataset.splits)
    say(f"Data     {dataset.name}: {counts} rows; labels {', '.join(dataset.labels)}")
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
