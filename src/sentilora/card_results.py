"""Evaluations in a model card: the Hub's metadata (`model-index`) and the tables, one as the other.

The Hub's newer `.eval_results/*.yaml` is not written: an entry needs a data set that the Hub lists
as a benchmark, and a task of that data set's own `eval.yaml`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCard

from sentilora.artifact import CARD
from sentilora.data.dataset import HubAddress
from sentilora.errors import UserError
from sentilora.evaluation import Evaluation, Metrics
from sentilora.files import write_bytes

FURTHER = "## Results on other data"
_NAMES = {
    "tuned": "This adapter",
    "untuned": "The base without it, same prompt",
    "untuned_contextual_calibration": "The same, contextual calibration",
    "untuned_pmi": "The same, PMI",
    "tfidf_logistic_regression": "TF-IDF + logistic regression",
    "majority_class": "Majority class",
}


def hub_results(evaluation: Evaluation, hub: HubAddress | None) -> list[EvalResult]:
    """Accuracy and macro-F1 as the Hub has them; `hub` None for data that isn't there."""
    figures = (
        ("accuracy", "Accuracy", evaluation.tuned.accuracy, None),
        ("f1", "Macro-F1", evaluation.tuned.macro_f1, {"average": "macro"}),
    )
    return [
        EvalResult(
            task_type="text-classification",
            dataset_type=hub.name if hub else evaluation.data,
            dataset_name=evaluation.data,
            dataset_config=hub.config if hub else None,
            dataset_split=evaluation.split,
            dataset_revision=hub.revision if hub else None,
            metric_type=metric,
            metric_name=called,
            metric_value=round(value, 4),
            metric_args=options,
        )
        for metric, called, value, options in figures
    ]


def update(folder: Path, evaluation: Evaluation, hub: HubAddress | None) -> None:
    """Put an evaluation on other data into the card of an adapter folder.

    Raises UserError where there is no card, or it can't be read or written.
    """
    path = folder / CARD
    try:
        card = path.read_text(encoding="utf-8")
        write_bytes(path, with_results(card, evaluation, hub).encode())
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The model card {path} can't be brought up to date: {error}.") from error


def with_results(card: str, evaluation: Evaluation, hub: HubAddress | None) -> str:
    """The card with an evaluation on other data, in its metadata and under a heading of its own.

    Results on the same split of the same data are replaced; whatever else was written into the
    card stays.

    Raises UserError where the card's metadata can't be read.
    """
    try:
        parsed = ModelCard(card)
    except (ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"The model card's metadata can't be read: {reason}.") from error
    data: Any = parsed.data
    new = hub_results(evaluation, hub)
    place = new[0].unique_identifier
    old = [each for each in data.eval_results or [] if each.unique_identifier != place]
    data.eval_results = [*old, *new]
    parsed.text = _with_section(parsed.text, evaluation)
    return str(parsed)


def _with_section(text: str, evaluation: Evaluation) -> str:
    """The card's text with the evaluation's section new, after those that there are."""
    name = " ".join(f"### {evaluation.data} ({evaluation.split})".split())
    section = f"{name}\n\n{results_table(evaluation)}"
    known = re.search(rf"^{re.escape(name)}\n.*?(?=^##|\Z)", text, flags=re.M | re.S)
    if known:
        return text[: known.start()] + section + text[known.end() :]
    return f"{text.rstrip()}\n\n" + ("" if FURTHER in text else f"{FURTHER}\n\n") + section


def results_table(evaluation: Evaluation) -> str:
    """The rows measured, a table with each classifier's figures, and the notes, in Markdown."""
    lines = [
        f"{evaluation.rows:,} rows of {evaluation.data} ({evaluation.split}); "
        "accuracy with its 95 % Wilson interval.\n",
        "| | accuracy | 95 % interval | macro-F1 | ECE | label mass | greedy |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {_NAMES[key]} | {_figures(metrics)} |" for key, metrics in evaluation.results.items()
    ]
    lines.append("")
    lines += [note + "\n" for note in evaluation.notes]
    return "\n".join(lines)


def _figures(metrics: Metrics) -> str:
    low, high = metrics.accuracy_interval
    mass, greedy = (
        "–" if value is None else f"{value:.1%}"
        for value in (metrics.label_mass, metrics.greedy_share)
    )
    error = "–" if metrics.calibration_error is None else f"{metrics.calibration_error:.3f}"
    return (
        f"{metrics.accuracy:.1%} | {low:.1%}–{high:.1%} | {metrics.macro_f1:.3f} | "
        f"{error} | {mass} | {greedy}"
    )
