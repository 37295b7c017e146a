"""Which runs a comparison needs."""

from __future__ import annotations

from pathlib import Path

from sentilora.comparison.spec import Spec
from sentilora.errors import UserError
from sentilora.planned_runs import PlannedRun, run_folder


def planned(spec: Spec, data: str | None, folder: Path) -> list[PlannedRun]:
    """The runs of `spec`, trained on `data`, in `folder`; a contender's one after the other.

    Raises UserError where a run that was brought along isn't finished.
    """
    runs = []
    short_names = [Path(model).name for model in spec.models]
    for model, short in zip(spec.models, short_names, strict=True):
        if short_names.count(short) > 1:
            short = model
        for variant, options in spec.variants.items():
            name = f"{short}, {variant}" if len(spec.variants) > 1 else short
            for seed in spec.seeds:
                asked = {**spec.options, **options, "model": model, "data": data, "seed": seed}
                runs.append(PlannedRun(name, seed, run_folder(folder, f"{name}-seed{seed}"), asked))
    taken = {run.contender for run in runs}
    names = [Path(run).absolute().name for run in spec.runs]
    for path, name in zip(spec.runs, names, strict=True):
        ambiguous = name in taken or names.count(name) > 1
        runs.append(_brought(Path(path), path if ambiguous else name))
    return runs


def _brought(folder: Path, name: str) -> PlannedRun:
    run = PlannedRun(name, None, folder, None)
    if run.state != "finished":
        raise UserError(
            f"{folder} is no finished run. Name the folder of a run that `sentilora train` ended, "
            f"or go on with it by `sentilora train --resume {folder}`."
        )
    return run
