"""Options beside `--resume`: a run keeps the choices that it was started with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sentilora.bases.quantization import parse_kind
from sentilora.devices import resolve_device
from sentilora.errors import UserError
from sentilora.roles import parse_roles
from sentilora.runs import RunConfig, absolute


def check_agrees(config: RunConfig, given: Mapping[str, Any]) -> None:
    """Raise `UserError` for an option that the run was started without, or with another value."""
    known = {
        **asdict(config.adapter),
        **asdict(config.training),
        "targets": config.adapter.targets,
        "model": config.model_path or config.model,
        "data": config.data,
        "revision": config.revision,
        "device": config.device,
        "dtype": config.dtype,
        "max_length": config.task.max_length,
        "long_texts": config.task.long_texts,
        "track": config.track,
        "quantize": config.quantize,
    }
    settled = {
        "model": absolute,
        "data": absolute,
        "device": resolve_device,
        "targets": parse_roles,
        "quantize": parse_kind,
    }
    for name, value in given.items():
        option = "--" + name.replace("_", "-")
        if name not in known:
            raise UserError(
                f"{option} can't be given beside --resume: the run keeps the choices that it was "
                "started with. Leave it out, or start a new run."
            )
        settle = settled.get(name, lambda value: value)
        if settle(value) != known[name]:
            raise UserError(
                f"{option} {value} conflicts with the run, which was started with {known[name]}. "
                "Leave it out, or start a new run."
            )
