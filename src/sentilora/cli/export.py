"""`sentilora export`: a tuned model as another engine's file, held against its adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sentilora.cli.console import say
from sentilora.cli.evaluate import with_progress
from sentilora.cli.options import (
    ROWS_HELD,
    AsJson,
    HeldOnData,
    HeldOnRows,
    MovedBase,
    Run,
    TrustRemoteCode,
)
from sentilora.cli.parity import Parity


def export(
    run: Run,
    to: Annotated[str, typer.Option(help="The form: onnx, or gguf for llama.cpp.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to be written.")],
    weights: Annotated[
        str | None,
        typer.Option(
            help="How weights are stored. onnx: fp32 (the default); int8-weights, unpacked to fp32 "
            "when loaded; int8 or int4, multiplied as integers, so activations are rounded to 8 "
            "bits as well. gguf: q8_0 (the default), f16, f32, q4_1 or q4_0.",
        ),
    ] = None,
    data: HeldOnData = None,
    rows: HeldOnRows = ROWS_HELD,
    agree: Annotated[
        float | None,
        typer.Option(
            "--agreement",
            help="Fail where fewer rows than this share keep their label, near-ties aside; by "
            "default by the weights, 1 for fp32.",
            min=0.0,
            max=1.0,
        ),
    ] = None,
    as_json: AsJson = False,
    model: MovedBase = None,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Export an adapter merged into its base to another engine, to run without torch.

    Ends by asking both the same rows: labels, size and speed are shown side by side.
    """
    from functools import partial

    import torch

    from sentilora.artifact import Artifact
    from sentilora.bases import prepare_base
    from sentilora.bases.loading import load_tokenizer
    from sentilora.classifier import load
    from sentilora.export.agreement import EXACTER
    from sentilora.export.asking import ask, rows_for
    from sentilora.export.forms import form_named
    from sentilora.export.speed import size_of, timed
    from sentilora.export.staging import staged
    from sentilora.export.tables import threads_named
    from sentilora.files import read_json
    from sentilora.loading import find_base

    form = form_named(to)
    precision = form.precision(weights)
    form.check()
    artifact = Artifact.read(run)
    stored = prepare_base(find_base(artifact, model), trust_remote_code=trust_remote_code)
    form.check_base(
        read_json(stored.folder / "config.json", "The model's configuration"),
        load_tokenizer(stored, trust_remote_code=trust_remote_code),
    )
    asked = rows_for(run, data, rows)
    if artifact.base.quantized is not None:
        say(
            f"The adapter was tuned on its base in {artifact.base.quantized}; it is exported with "
            "the base's own weights. `sentilora merge` shows what that changes."
        )
    with staged(output) as part:
        classifier, loading = timed(
            partial(
                load,
                run,
                device="cpu",
                dtype="float32",
                quantize="none",  # what a base in few bits can't hold would be lost in a merge
                model=model,
                trust_remote_code=trust_remote_code,
            )
        )
        score = with_progress(classifier, "asking the adapter")
        own = ask(classifier, asked, score, size_of(stored.folder, artifact.path), loading)
        say(f"Writing {to}; this may take some minutes.")
        form.write(classifier, part, precision, artifact.path.absolute().name)
        del classifier, score  # two models at once may not fit
        exported, loading = timed(partial(form.load, part, torch.get_num_threads()))
        score = with_progress(exported, "asking the export")
        now = ask(exported, asked, score, size_of(part), loading)
        name = f"The export ({to}, {precision})"
        parity = Parity.of(asked, own, now, artifact.task.labels, name)
        threshold = form.weights[precision] if agree is None else agree
        parity.require(threshold, EXACTER)
    parity.show("torch fp32", threads_named(torch.get_num_threads()), as_json=as_json)
    if not as_json:
        say(f"\nThe export is in {output}.")
