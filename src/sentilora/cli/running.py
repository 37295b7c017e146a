"""A training run as the command line does it: settle the choices, train, measure, save, say how
to go on."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sentilora.adapters import AdapterSettings
from sentilora.artifact import DESCRIPTION
from sentilora.bases import load_base, load_tokenizer, prepare_base, resolve
from sentilora.bases.dtype import choose_dtype
from sentilora.cli.console import say
from sentilora.cli.dry_run import show_dry_run
from sentilora.cli.evaluate import show, with_progress
from sentilora.cli.reporting import TrainingReporter
from sentilora.data import DataOptions, DataSet, load_data, parse_labels_option
from sentilora.devices import resolve_device
from sentilora.errors import UserError
from sentilora.projections import parse_roles
from sentilora.runs import RunConfig, check_output, new_run
from sentilora.task import Task
from sentilora.training import Checkpoint, Interrupted, TrainSettings, newest_valid
from sentilora.tuning import Tuning, finish, labelled, prepare, tune

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_ADAPTER = ("rank", "alpha", "dropout", "rslora", "dora")
_TRAINING = tuple(TrainSettings.__dataclass_fields__.keys() - {"betas"})


def start(params: Mapping[str, Any]) -> None:
    """A new run from the command's parameters, or its dry run.

    What needs neither rows nor weights to be seen to be wrong is checked first, then the rows, and
    only then is the base fetched.
    """
    adapter = AdapterSettings(
        **{name: params[name] for name in _ADAPTER}, targets=parse_roles(params["targets"])
    )
    training = TrainSettings(**{name: params[name] for name in _TRAINING})
    options = _data_options(params)
    base = resolve(params["model"], params["revision"])
    device = resolve_device(params["device"])
    choose_dtype(device, params["dtype"])  # to refuse an unknown one
    if not params["dry_run"]:
        check_output(params["output"])
    dataset = _load_data(params["data"], options)
    trust = params["trust_remote_code"]
    prepared = prepare_base(base, trust_remote_code=trust, say=say)
    tokenizer = load_tokenizer(prepared, trust_remote_code=trust)
    task = _task(params, dataset, tokenizer)
    loaded = load_base(
        prepared, device=device, dtype=params["dtype"], trust_remote_code=trust, say=say
    )
    tuning = prepare(loaded, task, adapter, training.seed)
    if params["dry_run"]:
        show_dry_run(tuning, dataset)
        return
    config = RunConfig(
        model=base.name,
        model_path=str(base.path) if base.path else None,
        revision=params["revision"],
        data=_absolute(params["data"]),
        data_options=options,
        task=task,
        adapter=adapter,
        training=training,
        device=device,
        dtype=loaded.identity.dtype,
        trust_remote_code=trust,
    )
    with new_run(config, params["output"], dataset.name) as run_dir:
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
    # By the path it had, under the name that it was given: the artefact keeps the name.
    base = replace(resolve(config.model_path or config.model, config.revision), name=config.model)
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
    try:
        with ExitStack() as stack:
            result = tune(
                tuning,
                labelled(dataset, "train"),
                labelled(dataset, "validation"),
                config.training,
                run_dir,
                reporter=TrainingReporter(stack),
                resume_from=checkpoint,
            )
        evaluation = finish(tuning, result, config.training, dataset, run_dir, with_progress)
    except Interrupted as interrupt:
        stopped = f"Stopped after step {interrupt.step:,} of {interrupt.steps:,}."
        raise KeyboardInterrupt(f"{stopped} Go on with:\n  {_resume_command(run_dir)}") from None
    except KeyboardInterrupt:  # measured or saved half: all of the training is in a checkpoint
        raise KeyboardInterrupt(f"Stopped. Go on with:\n  {_resume_command(run_dir)}") from None
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
        "model": config.model_path or config.model,
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
    say(f"Run      {run_dir}; after an interruption, go on with:")
    say(f"         {_resume_command(run_dir)}")


def _say_next(run_dir: Path) -> None:
    folder = shlex.quote(str(run_dir))
    say(f"\nThe adapter is in {run_dir}. Next:")
    say(f'  sentilora predict {folder} "a moving, beautifully shot film"')
    say(f"  sentilora evaluate {folder}")


def _resume_command(run_dir: Path) -> str:
    return f"sentilora train --resume {shlex.quote(str(run_dir))}"
