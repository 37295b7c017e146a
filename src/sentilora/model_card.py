"""The model card: README.md of an adapter folder, with the Hub's metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from huggingface_hub import ModelCardData

from sentilora.adapters import AdapterSettings, ParameterCount
from sentilora.bases import BaseIdentity
from sentilora.card_results import hub_results, results_table
from sentilora.correction import Correction
from sentilora.data.dataset import HubAddress
from sentilora.evaluation import Evaluation
from sentilora.task import Task


def model_card(
    *,
    name: str,
    task: Task,
    base: BaseIdentity,
    adapter: AdapterSettings,
    parameters: ParameterCount,
    training: Mapping[str, Any],
    data_name: str,
    data_hub: HubAddress | None,
    row_counts: Mapping[str, int],
    correction: Correction,
    evaluation: Evaluation | None,
) -> str:
    """The card's text. Figures are those of `evaluation`; nothing is claimed without one."""
    parts = [
        f"---\n{_metadata(name, base, data_hub, evaluation).to_yaml()}\n---\n",
        f"# {name}\n",
        f"A LoRA adapter on `{base.hub_name or base.name}` that generates one of "
        f"{len(task.labels)} labels for a text: {_list(task.labels)}. "
        f"It trains {parameters.trained:,} parameters ({parameters.share:.2%} of the base).\n",
        "## The prompt\n",
        f"{_fenced(task.template)}\n",
        f"The answer is `{task.spoken(task.labels[0])}` and the like, {_space(task)}; "
        f"texts are cut to fit {task.max_length} tokens.\n",
        "## Use\n",
        _USAGE,
        "## Results\n",
        results_table(evaluation) if evaluation else "Not measured.\n",
        "## Training\n",
        _training(adapter, training, data_name, row_counts, base),
        "## Limits\n",
        "The figures hold for texts like those it was measured on; other domains, languages and "
        f"lengths can be far worse. {_calibration(correction, row_counts['validation'])}\n",
    ]
    return "\n".join(parts)


def _metadata(
    name: str,
    base: BaseIdentity,
    data_hub: HubAddress | None,
    evaluation: Evaluation | None,
) -> ModelCardData:
    return ModelCardData(
        library_name="peft",
        pipeline_tag="text-classification",
        base_model=base.hub_name,
        license=base.licence.lower() if base.licence else None,
        datasets=[data_hub.name] if data_hub else None,
        tags=["sentilora", "lora", "text-classification"],
        model_name=name,
        eval_results=hub_results(evaluation, data_hub) if evaluation else None,
    )


_USAGE = (
    "```python\n"
    "from sentilora import load\n\n"
    'clf = load("path/to/this/folder")\n'
    'clf.predict(["..."])            # labels\n'
    'clf.predict_proba(["..."])      # a probability for each label\n'
    "```\n\n"
    "It is a plain PEFT adapter, too: `peft.PeftModel.from_pretrained(base, folder)` loads it, "
    "and the label is what is likeliest to follow the prompt above.\n"
)


def _training(
    adapter: AdapterSettings,
    training: Mapping[str, Any],
    data_name: str,
    row_counts: Mapping[str, int],
    base: BaseIdentity,
) -> str:
    rows = ", ".join(f"{count:,} {split}" for split, count in row_counts.items())
    kind = "DoRA" if adapter.dora else "rsLoRA" if adapter.rslora else "LoRA"
    lines = [
        f"- Data: {data_name} ({rows} rows)",
        f"- {kind}: rank {adapter.rank}, alpha {adapter.alpha:g}, dropout {adapter.dropout:g}, on "
        f"{_list(adapter.targets)}",
        *(
            f"- {key.replace('_', ' ')}: {value}"
            for key, value in training.items()
            if value is not None
        ),
        f"- Base: {base.name}, {base.dtype}, weights {base.fingerprint[:16]}",
    ]
    if base.quantized:
        lines.append(f"- The base's weights were held in {base.quantized} by bitsandbytes (QLoRA)")
    if base.quantization:
        kinds = ", ".join(f"{n} {kind}" for kind, n in base.quantization["tensors"].items())
        lines.append(
            f"- The base's weights were read from the GGUF file {base.quantization['file']} "
            f"(tensors: {kinds}; SHA-256 {base.quantization['file_sha256']})"
        )
    return "\n".join(lines) + "\n"


def _calibration(correction: Correction, rows: int) -> str:
    said = "Label probabilities are the model's, and are not calibrated."
    if correction.temperature != 1.0:
        said = (
            "Label probabilities are calibrated: a temperature of "
            f"{correction.temperature:.2f} was fitted on {rows:,} validation rows."
        )
    if correction.label_shares:
        shares = ", ".join(f"{share:.1%}" for share in correction.label_shares)
        said += (
            " Training gave every label the same weight, which the chosen label shows; the "
            f"probabilities are brought back to the training rows' shares ({shares})."
        )
    return said


def _fenced(text: str) -> str:
    """`text` in a Markdown fence that nothing in it can close."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def _list(words: Sequence[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _space(task: Task) -> str:
    return "with its space" if task.label_prefix else "without a space before it"
