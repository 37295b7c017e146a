"""Judging an audit's rows by a base that is tuned for each fold, with progress over all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sentilora.adapters import AdapterSettings
from sentilora.audit import FoldTuner, held_out
from sentilora.audit.held_out import Integers, Probabilities
from sentilora.bases import Base, LoadedBase, load_base, load_tokenizer, prepare_base, resolve
from sentilora.bases.dtype import choose_dtype
from sentilora.bases.quantization import parse_kind
from sentilora.cli.choices import tuning_settings
from sentilora.cli.console import Progress, say
from sentilora.cli.running import task_for
from sentilora.cli.training_runs import parameters_in
from sentilora.data import DataSet
from sentilora.devices import resolve_device
from sentilora.errors import UserError


@dataclass(frozen=True)
class Tuning:
    """The parameters of the tuning, as `train` has them, settled as far as that needs no rows."""

    params: Mapping[str, Any]
    adapter: AdapterSettings
    given: Mapping[str, Any]
    base: Base
    device: str

    @classmethod
    def asked_for(cls, options: str, own: Mapping[str, Any]) -> Tuning:
        """The command's `own` parameters, and `train`'s `options`, which win.

        Raises UserError for what can be seen to be wrong without rows or weights.
        """
        defaults, given = parameters_in(options, "--options")
        if "memory" in given:
            raise UserError(
                "--options: --memory is for one run. Give --micro-batch-tokens and "
                "--gradient-checkpointing as `sentilora plan` has them."
            )
        if "track" in given:
            raise UserError("--options: --track is for one run; an audit has one for each fold.")
        params = {**defaults, **own, **given}
        adapter, wanted = tuning_settings(params, given)
        device = resolve_device(params["device"])
        choose_dtype(device, params["dtype"])  # to refuse an unknown one
        parse_kind(params["quantize"])
        return cls(params, adapter, wanted, resolve(params["model"], params["revision"]), device)

    @property
    def name(self) -> str:
        return f"{self.base.name}, tuned"

    def probabilities(self, dataset: DataSet, fold_of: Integers) -> Probabilities:
        """[N, K] each row's by a model that was tuned without its fold."""
        trust, rows = self.params["trust_remote_code"], dataset.all_rows()
        prepared = prepare_base(self.base, trust_remote_code=trust, say=say)
        tokenizer = load_tokenizer(prepared, trust_remote_code=trust)
        sizes = np.bincount(fold_of).tolist()
        bar, fold = Progress("auditing", unit="rows"), 0

        def load() -> LoadedBase:
            nonlocal fold
            fold += 1
            bar.note(f"fold {fold} of {len(sizes)}")
            return load_base(
                prepared,
                device=self.device,
                dtype=self.params["dtype"],
                quantize=self.params["quantize"],
                trust_remote_code=trust,
            )

        task, seed = task_for(self.params, dataset, tokenizer), self.params["seed"]
        tuner = FoldTuner(load, task, self.adapter, self.given, seed, bar.advance)
        bar.total = sum(tuner.work(len(rows) - size, size) for size in sizes)
        say(f"Each row is trained on in {len(sizes) - 1} folds and judged in one.")
        try:
            with bar:
                return held_out(rows, fold_of, len(dataset.labels), tuner)
        except KeyboardInterrupt:
            stopped = f"Stopped in fold {fold} of {len(sizes)}; nothing was written."
            raise KeyboardInterrupt(stopped) from None
