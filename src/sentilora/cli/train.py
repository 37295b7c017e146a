"""`sentilora train`: tune a base on labelled texts, measure it, save it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sentilora.cli.given import given
from sentilora.cli.options import (
    DataRevision,
    Device,
    DType,
    LabelColumn,
    Quantize,
    TextColumn,
    TrustRemoteCode,
)

_DATA, _PROMPT, _ADAPTER, _TRAINING = "Data", "Prompt", "Adapter", "Training"


def train(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Option(help="smollm2, a Hub name, a model folder, or a .gguf file."),
    ] = "smollm2",
    data: Annotated[
        str | None,
        typer.Option(
            help="A file (CSV, TSV, JSON Lines, Parquet, also gzipped), a folder of "
            "train/validation/test files, or a Hub data set; by default the bundled reviews.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The run's folder; by default runs/BASE-DATA."),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Go on with the unfinished run in this folder, with its settings."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show a prompt, its tokens and what would be trained."),
    ] = False,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="The labels in order, as negative,positive; or what the data's values mean, as "
            "0=negative,1=positive; 3= sets the rows with a 3 aside.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    data_revision: DataRevision = None,
    subject: Annotated[
        str | None,
        typer.Option(
            help="What the default instruction calls a text, as 'movie review'.",
            rich_help_panel=_PROMPT,
        ),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            help="The instruction, with {text} where the text goes; \\n is a line break.",
            rich_help_panel=_PROMPT,
        ),
    ] = None,
    chat_template: Annotated[
        bool,
        typer.Option(
            "--chat-template",
            help="Put the instruction through the base's own chat template.",
            rich_help_panel=_PROMPT,
        ),
    ] = False,
    max_length: Annotated[
        int,
        typer.Option(
            help="Tokens of a prompt with its label; longer texts are cut.",
            rich_help_panel=_PROMPT,
        ),
    ] = 512,
    long_texts: Annotated[
        str,
        typer.Option(
            help="What is kept of a text that is cut: both its ends, or its beginning.",
            rich_help_panel=_PROMPT,
        ),
    ] = "ends",
    rank: Annotated[int, typer.Option(help="LoRA's r.", rich_help_panel=_ADAPTER)] = 8,
    alpha: Annotated[
        float,
        typer.Option(
            help="LoRA's alpha: updates are scaled by alpha / r.", rich_help_panel=_ADAPTER
        ),
    ] = 32.0,
    dropout: Annotated[
        float, typer.Option(help="On the adapter's input.", rich_help_panel=_ADAPTER)
    ] = 0.1,
    targets: Annotated[
        str,
        typer.Option(
            help="Projections: query, key, value, output, mlp, or all.",
            rich_help_panel=_ADAPTER,
        ),
    ] = "query,value",
    rslora: Annotated[
        bool,
        typer.Option(
            "--rslora", help="Scale by alpha / sqrt(r) instead.", rich_help_panel=_ADAPTER
        ),
    ] = False,
    dora: Annotated[
        bool,
        typer.Option(
            "--dora", help="Train the weights' magnitudes, too.", rich_help_panel=_ADAPTER
        ),
    ] = False,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Passes over the training rows; by default by their number.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help="After the warm-up; falls linearly. By default 0.001, or 0.004 for more than five "
            "labels and, with more than 512 training rows, for three to five: chosen on SmolLM2, "
            "so give 0.001 where a larger base's loss jumps about.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    lora_plus: Annotated[
        float | None,
        typer.Option(
            help="LoRA+: B's learning rate, as a multiple of A's; 16 is usual, with a lower "
            "--learning-rate, such as 0.0002.",
            rich_help_panel=_ADAPTER,
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help="Rows per optimiser step; by default by the number of rows.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    micro_batch: Annotated[
        int | None,
        typer.Option(
            help="The most rows run at once; by default as many as have 1,024 tokens on a CPU, "
            "4,096 elsewhere.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    micro_batch_tokens: Annotated[
        int | None,
        typer.Option(
            help="The most tokens run at once, the instruction's aside.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    gradient_checkpointing: Annotated[
        bool,
        typer.Option(
            "--gradient-checkpointing",
            help="Keep less for the backward pass, which then takes longer.",
            rich_help_panel=_TRAINING,
        ),
    ] = False,
    memory: Annotated[
        str | None,
        typer.Option(
            help="What there is of memory, as 8GB or 8GiB: as many rows are run at once as it "
            "holds, with gradient checkpointing if that is needed. `sentilora plan` shows how.",
            rich_help_panel="Machine",
        ),
    ] = None,
    warmup: Annotated[
        float, typer.Option(help="Share of the steps.", rich_help_panel=_TRAINING)
    ] = 0.06,
    weight_decay: Annotated[float, typer.Option(help="AdamW's.", rich_help_panel=_TRAINING)] = 0.0,
    average: Annotated[
        float,
        typer.Option(
            help="Share of the steps, the last ones, of whose weights the mean is kept.",
            rich_help_panel=_TRAINING,
        ),
    ] = 0.25,
    clip: Annotated[
        float, typer.Option(help="The gradient's largest norm.", rich_help_panel=_TRAINING)
    ] = 1.0,
    eval_every: Annotated[
        int | None,
        typer.Option(
            help="Steps between validations; by default one an epoch.", rich_help_panel=_TRAINING
        ),
    ] = None,
    select: Annotated[
        str | None,
        typer.Option(
            help="Which weights are kept: those with the least loss on the validation rows, with "
            "the highest macro_f1 there, or the last; by default loss, and last where there are "
            "few validation rows.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            help="Stop after so many validations without a better one.", rich_help_panel=_TRAINING
        ),
    ] = None,
    objective: Annotated[
        str,
        typer.Option(
            help="Cross-entropy over the vocabulary, or over the labels alone.",
            rich_help_panel=_TRAINING,
        ),
    ] = "vocabulary",
    class_weight: Annotated[
        str | None,
        typer.Option(
            help="balanced: every label has the same part in the loss, however few its rows. "
            "Probabilities are brought back to the rows' own shares.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            help="Of the splits, the adapter's start, the rows' order and dropout.",
            rich_help_panel=_TRAINING,
        ),
    ] = 0,
    track: Annotated[
        str | None,
        typer.Option(
            help="Where figures are logged, too: tensorboard, mlflow, wandb or trackio.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    revision: Annotated[
        str | None,
        typer.Option(help="Branch, tag or commit of a Hub base.", rich_help_panel="Machine"),
    ] = None,
    device: Device = "auto",
    dtype: DType = None,
    quantize: Quantize = None,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Tune a base on labelled texts, measure it beside its baselines, and save the adapter.

    Ctrl-C writes a checkpoint; --resume RUN goes on from there.
    """
    from sentilora.cli import running

    asked = given(context)
    if resume is not None:
        asked.pop("resume")
        running.resume(resume, asked)
        return
    running.start(context.params, asked.keys())
