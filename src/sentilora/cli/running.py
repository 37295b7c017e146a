"""A training run as the command line does it: settle the choices, train, measure, save, say how
to go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sentilora.adapters import AdapterSettings
from sentilora.artifact import DESCRIPTION
from sentilora.bases import load_base, load_tokenizer, prepare_base, resolve
from sentilora.cli.console import say
from sentilora.cli.dry_run import show_dry_run
from sentilora.cli.evaluate import show, with_progress
from sentilora.cli.reporting import TrainingReporter
from sentilora.data import DataOptions, DataSet, load_data, parse_labels_option
from sentilora.devices import resolve_device
from sentilora.errors import UserError
from sentilora.projections import parse_roles
from sentilora.runs import RunConfig, new_run_folder
from sentilora.task import Task
from sentilora.training import Checkpoint, Interrupted, TrainSettings, newest_valid
from sentilora.tuning import Tuning, finish, labelled, prepare, tune

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_ADAPTER = ("rank", "alpha", "dropout", "rslora", "dora")
_TRAINING = tuple(TrainSettings.__dataclass_fields__.keys() - {"betas"})


def start(params: Mapping[str, Any]) -> None:
    """A new run from the command's parameters, or its dry run."""
    adapter = AdapterSettings(
        **{name: params[name] for name in _ADAPTER}, targets=parse_roles(params["targets"])
    )
    training = TrainSettings(**{name: params[name] for name in _TRAINING})
    options = _data_options(params)
    data = _absolute(params["data"])
    dataset = _load_data(data, options)
    base = resolve(params["model"], params["revision"])
    device = resolve_device(params["device"])
    trust = params["trust_remote_code"]
    prepared = prepare_base(base, trust_remote_code=trust, say=say)
    tokenizer = load_tokenizer(prepared, trust_remote_code=trust)
    task = _task(params, dataset, tokenizer)
    run_dir = None
    if not params["dry_run"]:
        run_dir = new_run_folder(params["output"], params["model"], dataset.name)
    loaded = load_base(
        prepared, device=device, dtype=params["dtype"], trust_remote_code=trust, say=say
    )
    tuning = prepare(loaded, task, adapter, training.seed)
    config = RunConfig(
        model=_absolute(params["model"]) or params["model"],
        revision=params["revision"],
        data=data,
        data_options=options,
        task=task,
        adapter=adapter,
        training=training,
        device=device,
        dtype=loaded.identity.dtype,
        trust_remote_code=trust,
    )
    if run_dir is None:
        show_dry_run(tuning, dataset)
        return
    config.save(run_dir)
    _go(config, dataset, tuning, run_dir, None)


def resume(run_dir: Path, given: Mapping[str, Any]) -> None:
    """Go on with the run in `run_dir`; options in `given` must agree with its own."""
    config = RunConfig.read(run_dir)
    _check_agrees(config, given)
    if (run_dir / DESCRIPTION).exists():
        say(f"The run in {run_dir} is finished already.")
        _say_next(run_dir)
        return
    checkpoint = newest_valid(run_dir, warn=lambda message: say(message, style="yellow"))
    if checkpoint is None:
        say(f"{run_dir} holds no checkpoint yet; the run starts from its first step.")
    elif threads := checkpoint.environment.get("threads"):
        torch.set_num_threads(threads)  # the last bits of a sum depend on how it was divided
    dataset = _load_data(config.data, config.data_options)
    base = resolve(config.model, config.revision)
    loaded = load_base(
        base,
        device=config.device,
        dtype=config.dtype,
        trust_remote_code=config.trust_remote_code,
        say=say,
    )
    tuning = prepare(loaded, config.task, config.adapter, config.training.seed)
    _go(config, dataset, tuning, run_dir, checkpoint)


def _go(
    config: RunConfig,
    dataset: DataSet,
    tuning: Tuning,
    run_dir: Path,
    checkpoint: Checkpoint | None,
) -> None:
    _say_plan(config, dataset, tuning, run_dir)
    with TrainingReporter() as reporter:
        try:
            result = tune(
                tuning,
                labelled(dataset, "train"),
                labelled(dataset, "validation"),
                config.training,
                run_dir,
                reporter=reporter,
                resume_from=checkpoint,
            )
        except Interrupted as interrupt:
            raise KeyboardInterrupt(
                f"Stopped after step {interrupt.step} of {interrupt.steps}. "
                f"Go on with: sentilora train --resume {run_dir}"
            ) from None
    evaluation = finish(tuning, result, config.training, dataset, run_dir, with_progress)
    show(evaluation)
    _say_next(run_dir)


def _load_data(data: str | None, options: DataOptions) -> DataSet:
    dataset = load_data(data, options)
    for line in (*dataset.notes, *dataset.report.lines()):
        say(line)
    return dataset


def _data_options(params: Mapping[str, Any]) -> DataOptions:
    words, mapping = (None, None)
    if params["labels"] is not None:
        words, mapping = parse_labels_option(params["labels"])
    return DataOptions(
        text_column=params["text_column"],
        label_column=params["label_column"],
        labels=words or None,
        label_map=mapping or None,
        subject=params["subject"],
        seed=params["seed"],
        revision=params["data_revision"],
        purpose="train",
    )


def _task(params: Mapping[str, Any], dataset: DataSet, tokenizer: PreTrainedTokenizerFast) -> Task:
    template = params["template"]
    if template is None:
        task = Task.default(dataset.labels, dataset.subject, params["max_length"])
    else:
        task = Task(template.replace("\\n", "\n"), dataset.labels, params["max_length"])
    return task.through_chat_template(tokenizer) if params["chat_template"] else task


def _absolute(name: str | None) -> str | None:
    """A path as one that holds from any folder; a name as it is."""
    return str(Path(name).absolute()) if name is not None and Path(name).exists() else name


def _check_agrees(config: RunConfig, given: Mapping[str, Any]) -> None:
    """Raise `UserError` for an option that the run was started without, or with another value."""
    known = {
        **asdict(config.adapter),
        **asdict(config.training),
        "targets": config.adapter.targets,
        "model": config.model,
        "data": config.data,
        "revision": config.revision,
        "device": config.device,
        "dtype": config.dtype,
        "max_length": config.task.max_length,
    }
    settled = {
        "model": _absolute,
        "data": _absolute,
        "device": resolve_device,
        "targets": parse_roles,
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


def _say_plan(config: RunConfig, dataset: DataSet, tuning: Tuning, run_dir: Path) -> None:
    base, parameters = tuning.base, tuning.parameters
    say(
        f"Base     {base.identity.name}, {base.identity.dtype} on {config.device} "
        f"({base.dtype_reason})"
    )
    counts = ", ".join(f"{len(dataset.split(split)):,} {split}" for split in dataset.splits)
    say(f"Data     {dataset.name}: {counts} rows; labels {', '.join(dataset.labels)}")
    say(
        f"Adapter  rank {config.adapter.rank} on {', '.join(config.adapter.targets)}: "
        f"{parameters.trained:,} of {parameters.total:,} parameters ({parameters.share:.2%})"
    )
    if parameters.share > 0.01:
        say("         That is more than 1 %: a lower --rank or fewer --targets may do as well.")
    say(f"Run      {run_dir}")


def _say_next(run_dir: Path) -> None:
    say(f"\nThe adapter is in {run_dir}. Next:")
    say(f'  sentilora predict {run_dir} "a moving, beautifully shot film"')
    say(f"  sentilora evaluate {run_dir}")
    say(f"  sentilora train --resume {run_dir}    (after an interruption)")
