"""`sentilora merge`: the adapter put into its base, as a model of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentilora.cli.console import echo_json, out, say
from sentilora.cli.evaluate import with_progress
from sentilora.cli.given import given
from sentilora.cli.options import (
    ROWS_HELD,
    AsJson,
    Device,
    HeldOnData,
    HeldOnRows,
    MovedBase,
    Run,
    TrustRemoteCode,
)
from sentilora.errors import UserError

if TYPE_CHECKING:
    from sentilora.classifier import Classifier


def merge(
    context: typer.Context,
    run: Run,
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to be written.")],
    others: Annotated[
        list[Path] | None,
        typer.Option(
            "--with", help="Another adapter on the same base, to be combined; may be repeated."
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="Of the run and of each other one, as 0.5,0.5; by default equal shares."),
    ] = None,
    method: Annotated[str, typer.Option(help="linear, ties, dare_linear or dare_ties.")] = "linear",
    density: Annotated[
        float, typer.Option(help="With TIES and DARE, the share of an adapter that is kept.")
    ] = 0.5,
    dtype: Annotated[
        str | None,
        typer.Option(help="float32, bfloat16 or float16; by default as the base is stored."),
    ] = None,
    data: HeldOnData = None,
    rows: HeldOnRows = ROWS_HELD,
    agree: Annotated[
        float,
        typer.Option(
            "--agreement",
            help="Fail where fewer rows than this share keep their label, near-ties aside.",
            min=0.0,
            max=1.0,
        ),
    ] = 0.99,
    as_json: AsJson = False,
    model: MovedBase = None,
    device: Device = "auto",
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Merge an adapter into its base: a model folder for stock transformers, without PEFT.

    Ends by asking both the same rows. Several adapters are combined first.
    """
    from sentilora.artifact import Artifact
    from sentilora.bases import prepare_base
    from sentilora.classifier import load
    from sentilora.combining import check_method, combine, parse_weights
    from sentilora.export.agreement import agreement
    from sentilora.export.asking import rows_for
    from sentilora.export.merged import load_merged, saved_dtype, write_merged
    from sentilora.export.staging import staged
    from sentilora.export.tables import agreement_lines
    from sentilora.loading import find_base

    asked = given(context).keys()
    if not others and asked & {"weights", "method", "density"}:
        raise UserError(
            "--weights, --method and --density say how adapters are combined. Name the others "
            "with --with, or leave these out."
        )
    if method == "linear" and "density" in asked:
        raise UserError(
            "--density is for TIES and DARE: linear keeps the whole of each adapter. Choose one "
            "of them with --method, or leave it out."
        )
    check_method(method, density)
    artifact = Artifact.read(run)
    shares = parse_weights(weights, 1 + len(others or []))
    stored = prepare_base(find_base(artifact, model), trust_remote_code=trust_remote_code)
    kept = saved_dtype(dtype, stored)
    held_on = rows_for(run, data, rows)

    def loaded(dtype: str | None, quantize: str | None) -> Classifier:
        classifier = load(
            run,
            device=device,
            dtype=dtype,
            quantize=quantize,
            model=model,
            trust_remote_code=trust_remote_code,
        )
        return combine(classifier, others, shares, method, density) if others else classifier

    tuned_on = artifact.base.quantized
    if tuned_on is not None:
        say(
            f"The adapter was tuned on its base in {tuned_on}; it is merged into the base's own "
            "weights. What that changes is shown at the end."
        )
    with staged(output) as part:
        classifier = loaded(artifact.base.dtype, None) if tuned_on else loaded("float32", "none")
        before = with_progress(classifier, "asking the adapter")(held_on.texts)
        if tuned_on is not None:
            del classifier
            classifier = loaded("float32", "none")
        write_merged(classifier, part, kept, artifact.path.absolute().name)
        del classifier  # two models at once may not fit
        merged = load_merged(
            part,
            device=device,
            dtype=kept if kept == "float32" else None,
            trust_remote_code=trust_remote_code,
        )
        after = with_progress(merged, "asking the merged model")(held_on.texts)
        labels = artifact.task.labels
        found = agreement(before.log_probs, after.log_probs, labels, held_on.gold)
        found.require(agree, "The merged model")
    if as_json:
        echo_json(found.to_dict(), indent=1)
    else:
        out().print(agreement_lines(found, f"The merged model ({kept})", held_on.name))
        say(f"\nThe model is in {output}; stock transformers loads it without PEFT.")
    if others:
        say(
            "Its probabilities aren't calibrated and it makes no label sets: what the adapters "
            "had of that was fitted to each alone."
        )
