"""Runs looked at before the first of them is trained.

What is wrong with the last of them would else be said after hours, when all the others are done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from sentilora.artifact import Artifact
from sentilora.bases import Base, load_tokenizer, prepare_base
from sentilora.cli.choices import Choices
from sentilora.cli.console import say
from sentilora.cli.running import task_for
from sentilora.cli.training_runs import parameters_of
from sentilora.comparison.labels import check_same_labels
from sentilora.comparison.same_settings import Settings, difference, kept_settings, settings_of
from sentilora.data import DataSet, load_data
from sentilora.encoding import PromptEncoder
from sentilora.errors import UserError
from sentilora.training import choose_settings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from sentilora.planned_runs import PlannedRun


def look_ahead(runs: Sequence[PlannedRun]) -> None:
    """Go through what training them and comparing them needs, but for the weights.

    First what needs neither rows nor bases, then the rows and the prompts; bases that aren't on
    this disk are fetched.

    Raises UserError for the first run that couldn't be trained, or has other labels than the rest.
    """
    settled = []
    labels = {}
    for run in runs:
        if run.state == "finished":
            labels[run.title] = Artifact.read(run.folder).task.labels
            continue
        with _named(run):
            params, given = parameters_of(run)
            settled.append((run, params, Choices.of(params, given)))
    needed = _Needed()
    settings: dict[str, Settings] = {}
    for run, params, choices in settled:
        with _named(run):
            dataset = needed.rows(params["data"], choices)
            tokenizer = needed.tokenizer(choices.base, params["trust_remote_code"])
            task = task_for(params, dataset, tokenizer)
            PromptEncoder(task, tokenizer)
            sizes = len(dataset.train), len(dataset.validation), len(dataset.labels)
            training = choose_settings(choices.wanted, *sizes).settings
        labels[run.title] = dataset.labels
        if run.state == "missing":
            settings[run.contender] = settings_of(training, choices.adapter, task)
    check_same_labels(labels)
    _check_same_settings(runs, settings)


def _check_same_settings(runs: Sequence[PlannedRun], new: Mapping[str, Settings]) -> None:
    """Raise UserError where a contender's runs to come wouldn't be like those that are there."""
    for run in runs:
        if run.options is None or run.state == "missing" or run.contender not in new:
            continue
        if found := difference([kept_settings(run), new[run.contender]]):
            raise UserError(
                f"{run.folder} was trained in another way than the other runs of {run.contender} "
                f"would be now: {found}. Defaults may have changed since. Choose another folder "
                "with -o, or remove that run."
            )


class _Needed:
    """Rows and tokenizers, each read once: runs share them."""

    def __init__(self) -> None:
        self._rows: dict[str, DataSet] = {}
        self._tokenizers: dict[Base, PreTrainedTokenizerFast] = {}

    def rows(self, data: str | None, choices: Choices) -> DataSet:
        """The data as it is understood; which rows go where is the seed's and is left open."""
        options = replace(choices.data_options, seed=0, purpose="evaluate")
        key = f"{data} {options}"
        if key not in self._rows:
            self._rows[key] = load_data(data, options)
        return self._rows[key]

    def tokenizer(self, base: Base, trust_remote_code: bool) -> PreTrainedTokenizerFast:
        if base not in self._tokenizers:
            prepared = prepare_base(base, trust_remote_code=trust_remote_code, say=say)
            found = load_tokenizer(prepared, trust_remote_code=trust_remote_code)
            self._tokenizers[base] = found
        return self._tokenizers[base]


@contextmanager
def _named(run: PlannedRun) -> Iterator[None]:
    """An error in here says which run it is about."""
    try:
        yield
    except UserError as error:
        raise UserError(f"The run {run.title} can't be trained. {error}") from error
