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
    for model in spec.models:
        for variant, options in spec.variants.items():
            short = Path(model).name
            name = f"{short}, {variant}" if len(spec.variants) > 1 else short
            for seed in spec.seeds:
                asked = {**spec.options, **options, "model": model, "data": data, "seed": seed}
                runs.append(PlannedRun(name, seed, run_folder(folder, f"{name}-seed{seed}"), asked))
    return [*runs, *(_brought(Path(run)) for run in spec.runs)]


def _brought(folder: Path) -> PlannedRun:
    run = PlannedRun(folder.name, None, folder, None)
    if run.state != "finished":
        raise UserError(
            f"{folder} is no finished run. Name the folder of a run that `sentilora train` ended, "
            f"or go on with it by `sentilora train --resume {folder}`."
        )
    return run
