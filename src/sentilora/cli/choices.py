"""What `train`'s parameters settle before any row or weight is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sentilora.adapters import AdapterSettings
from sentilora.bases import Base, resolve
from sentilora.bases.dtype import choose_dtype
from sentilora.bases.quantization import check_available, parse_kind
from sentilora.cli.rows import data_options
from sentilora.data import DataOptions
from sentilora.devices import resolve_device
from sentilora.errors import UserError
from sentilora.planning import parse_bytes
from sentilora.roles import parse_roles
from sentilora.tracking import check_tracker
from sentilora.training import TrainSettings

ADAPTER = ("rank", "alpha", "dropout", "rslora", "dora")
_TRAINING = tuple(TrainSettings.__dataclass_fields__.keys() - {"betas"})


@dataclass(frozen=True)
class Choices:
    """A run's adapter, the settings of the training that were given, and how its rows are read; its
    base, the device, and how the base's weights are held there."""

    adapter: AdapterSettings
    wanted: dict[str, Any]
    data_options: DataOptions
    base: Base
    device: str
    quantize: str | None

    @classmethod
    def of(cls, params: Mapping[str, Any], given: Collection[str]) -> Choices:
        """From the parameters; `given` are the names of those that the user gave.

        Raises UserError for whatever can be seen to be wrong without rows or weights.
        """
        if params["template"] is not None and params["subject"] is not None:
            raise UserError(
                "--subject words the default instruction; leave it out beside --template."
            )
        adapter, wanted = tuning_settings(params, given)
        options = data_options(params)
        base = resolve(params["model"], params["revision"])
        device = resolve_device(params["device"])
        check_tracker(params["track"])
        if params["memory"] is not None:
            parse_bytes(params["memory"])
        choose_dtype(device, params["dtype"])  # to refuse an unknown one
        quantize = parse_kind(params["quantize"])
        if quantize is not None:
            check_available(quantize, device)
        return cls(adapter, wanted, options, base, device, quantize)


def tuning_settings(
    params: Mapping[str, Any], given: Collection[str]
) -> tuple[AdapterSettings, dict[str, Any]]:
    """The adapter's settings, and those of the training that were given.

    Raises UserError for one that is out of its range.
    """
    adapter = AdapterSettings(
        **{name: params[name] for name in ADAPTER}, targets=parse_roles(params["targets"])
    )
    wanted = {name: params[name] for name in _TRAINING if name in given}
    TrainSettings(**wanted)
    return adapter, wanted
