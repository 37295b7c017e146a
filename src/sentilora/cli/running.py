"""A training run as the command line does it: settle the choices, train, measure, save, say how
to go on."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sentilora.adapters import AdapterSettings
from sentilora.artifact import DESCRIPTION
from sentilora.bases import (
    LoadedBase,
    PreparedBase,
    load_base,
    load_tokenizer,
    prepare_base,
    resolve,
)
from sentilora.bases.dtype import choose_dtype
from sentilora.cli.announcement import resume_command, say_plan
from sentilora.cli.choices import ADAPTER, Choices
from sentilora.cli.console import say
from sentilora.cli.dry_run import show_dry_run
from sentilora.cli.evaluate import show, with_progress
from sentilora.cli.kept_choices import check_agrees
from sentilora.cli.memory_plan import apply_memory
from sentilora.cli.reporting import TrainingReporter
from sentilora.cli.rows import load_rows
from sentilora.data import DataSet
from sentilora.encoding import PromptEncoder
from sentilora.runs import RunConfig, absolute, check_output, new_run
from sentilora.scoring.scorer import TOKEN_BUDGET
from sentilora.task import Task
from sentilora.tracking import Tracking, check_tracker
from sentilora.training import (
    Checkpoint,
    Chosen,
    Interrupted,
    Several,
    TrainSettings,
    choose_settings,
    newest_valid,
)
from sentilora.tuning import Tuning, finish, labelled, prepare, tune

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def start(params: Mapping[str, Any], given: Collection[str]) -> None:
    """A new run from the command's parameters, or its dry run; `given` are the options' names.

    What needs neither rows nor weights to be seen to be wrong is checked first, then the rows, and
    only then is the base fetched.
    """
    choices = Choices.of(params, given)
    adapter, wanted, device = choices.adapter, choices.wanted, choices.device
    options, base, quantize = choices.data_options, choices.base, choices.quantize
    if not params["dry_run"]:
        check_output(params["output"])
    dataset = load_rows(params["data"], options)
    trust = params["trust_remote_code"]
    prepared = prepare_base(base, trust_remote_code=trust, say=say)
    tokenizer = load_tokenizer(prepared, trust_remote_code=trust)
    task = task_for(params, dataset, tokenizer)
    sizes = len(dataset.train), len(dataset.validation), len(task.labels)
    chosen = choose_settings(wanted, *sizes)
    if params["memory"] is not None:
        chosen = _planned(params, chosen, adapter, prepared, task, tokenizer, dataset, device)
    loaded = load_base(
        prepared,
        device=device,
        dtype=params["dtype"],
        quantize=quantize,
        trust_remote_code=trust,
        say=say,
    )
    tuning = _prepared(loaded, task, adapter, chosen.settings)
    config = RunConfig(
        model=base.name,
        model_path=str(base.path) if base.path else None,
        revision=params["revision"],
        data=absolute(params["data"]),
        data_options=options,
        task=task,
        adapter=adapter,
        training=chosen.settings,
        origins={**_origins(given), **chosen.origins},
        device=device,
        dtype=loaded.identity.dtype,
        trust_remote_code=trust,
        track=params["track"],
        quantize=quantize,
    )
    if params["dry_run"]:
        show_dry_run(config, tuning, dataset)
        return
    with new_run(config, params["output"], dataset.name) as run_dir:
        _go(config, dataset, tuning, run_dir, None)


def _planned(
    params: Mapping[str, Any],
    chosen: Chosen,
    adapter: AdapterSettings,
    prepared: PreparedBase,
    task: Task,
    tokenizer: PreTrainedTokenizerFast,
    dataset: DataSet,
    device: str,
) -> Chosen:
    """The settings with what suits `--memory`."""
    dtype = str(choose_dtype(device, params["dtype"])[0]).removeprefix("torch.")
    encoder = PromptEncoder(task, tokenizer)
    texts = [row.text for row in dataset.train]
    settings = apply_memory(
        params, chosen.settings, adapter, prepared, encoder, texts, device, dtype
    )
    names = ("micro_batch_tokens", "gradient_checkpointing")
    return Chosen(settings, {**chosen.origins, **dict.fromkeys(names, "by --memory")})


def _prepared(
    loaded: LoadedBase, task: Task, adapter: AdapterSettings, training: TrainSettings
) -> Tuning:
    """The base ready to be trained; where memory limits its passes, it limits those that score."""
    return prepare(
        loaded,
        task,
        adapter,
        training.seed,
        gradient_checkpointing=training.gradient_checkpointing,
        token_budget=min(TOKEN_BUDGET, training.micro_batch_tokens or TOKEN_BUDGET),
    )


def _origins(given: Collection[str]) -> dict[str, str]:
    """Where the prompt's and the adapter's settings came from."""
    names = ("template", "max_length", "long_texts", *ADAPTER, "targets")
    origins = {name: "given" if name in given else "default" for name in names}
    if "template" not in given:
        origins["template"] = "worded for these labels"
    return origins


def resume(run_dir: Path, given: Mapping[str, Any]) -> None:
    """Go on with the run in `run_dir`; options in `given` must agree with its own."""
    config = RunConfig.read(run_dir)
    check_agrees(config, given)
    check_tracker(config.track)
    if (run_dir / DESCRIPTION).exists():
        say(f"The run in {run_dir} is finished already.")
        _say_next(run_dir)
        return
    checkpoint = newest_valid(run_dir, warn=lambda message: say(message, style="yellow"))
    if checkpoint is None:
        say(f"{run_dir} holds no checkpoint yet; the run starts from its first step.")
    elif threads := checkpoint.environment.get("threads"):
        torch.set_num_threads(threads)  # the last bits of a sum depend on how it was divided
    dataset = load_rows(config.data, config.data_options)
    # By the path it had, under the name that it was given: the artefact keeps the name.
    base = replace(resolve(config.model_path or config.model, config.revision), name=config.model)
    loaded = load_base(
        base,
        device=config.device,
        dtype=config.dtype,
        quantize=config.quantize,
        trust_remote_code=config.trust_remote_code,
        say=say,
    )
    tuning = _prepared(loaded, config.task, config.adapter, config.training)
    _go(config, dataset, tuning, run_dir, checkpoint)


def _go(
    config: RunConfig,
    dataset: DataSet,
    tuning: Tuning,
    run_dir: Path,
    checkpoint: Checkpoint | None,
) -> None:
    say_plan(config, dataset, tuning, run_dir)
    try:
        with _tracking(config, run_dir) as tracked:
            with ExitStack() as stack:
                result = tune(
                    tuning,
                    labelled(dataset, "train"),
                    labelled(dataset, "validation"),
                    config.training,
                    run_dir,
                    reporter=Several(tracked, TrainingReporter(stack, config.task)),
                    resume_from=checkpoint,
                )
            evaluation = finish(tuning, result, config.training, dataset, run_dir, with_progress)
            tracked.on_result(result, evaluation)
    except Interrupted as interrupt:
        stopped = f"Stopped after step {interrupt.step:,} of {interrupt.steps:,}."
        raise KeyboardInterrupt(f"{stopped} Go on with:\n  {resume_command(run_dir)}") from None
    except KeyboardInterrupt:  # measured or saved half: all of the training is in a checkpoint
        raise KeyboardInterrupt(f"Stopped. Go on with:\n  {resume_command(run_dir)}") from None
    show(evaluation)
    _say_next(run_dir)


def _tracking(config: RunConfig, run_dir: Path) -> Tracking:
    settings = {name: value for name, value in config.to_dict().items() if name != "origins"}
    warn = partial(say, style="yellow")
    return Tracking(config.track, run_dir, settings, say, warn)


def task_for(
    params: Mapping[str, Any], dataset: DataSet, tokenizer: PreTrainedTokenizerFast
) -> Task:
    """The question that is asked of each text."""
    template, length = params["template"], params["max_length"]
    if template is None:
        task = Task.default(dataset.labels, dataset.subject, length)
    else:
        task = Task(template.replace("\\n", "\n"), dataset.labels, length)
    task = replace(task, long_texts=params["long_texts"])
    return task.through_chat_template(tokenizer) if params["chat_template"] else task


def _say_next(run_dir: Path) -> None:
    folder = shlex.quote(str(run_dir))
    say(f"\nThe adapter is in {run_dir}. Next:")
    say(f'  sentilora predict {folder} "a moving, beautifully shot film"')
    say(f"  sentilora evaluate {folder}")
