"""`sentilora merge`: the adapter put into its base, as a model of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from sentilora.bases.quantization import NONE
from sentilora.cli.console import say
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
from sentilora.cli.parity import Parity
from sentilora.errors import NoRoom, UserError

if TYPE_CHECKING:
    from sentilora.artifact import Artifact
    from sentilora.classifier import Classifier

Found = TypeVar("Found")
_WHOLE = ("float32", NONE)  # how an adapter is merged: the sum is rounded once


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
    import torch

    from sentilora.artifact import Artifact
    from sentilora.bases import prepare_base
    from sentilora.classifier import load
    from sentilora.combining import check_method, check_same, combine, parse_weights
    from sentilora.devices import resolve_device
    from sentilora.export.asking import Answers, ask, rows_for
    from sentilora.export.merged import load_merged, saved_dtype, write_merged
    from sentilora.export.speed import size_of, timed
    from sentilora.export.staging import staged
    from sentilora.export.tables import threads_named
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
    where = resolve_device(device)
    artifact = Artifact.read(run)
    shares = parse_weights(weights, 1 + len(others or []))
    with_it = [Artifact.read(path) for path in others or []]
    for other in with_it:
        check_same(artifact, other)
    stored = prepare_base(find_base(artifact, model), trust_remote_code=trust_remote_code)
    kept = saved_dtype(dtype, stored)
    held_on = rows_for(run, data, rows, with_it)
    asked_in, asked_as = _asked_as(artifact, where)

    def loaded(place: str, dtype: str, quantize: str) -> Classifier:
        classifier = load(
            run,
            device=place,
            dtype=dtype,
            quantize=quantize,
            model=model,
            trust_remote_code=trust_remote_code,
        )
        return combine(classifier, others, shares, method, density) if others else classifier

    def adapter_on(place: str) -> tuple[Classifier, Answers]:
        classifier, loading = timed(partial(loaded, place, asked_in, asked_as))
        score = with_progress(classifier, "asking the adapter")
        size = size_of(stored.folder, artifact.path)
        return classifier, ask(classifier, held_on, score, size, loading)

    def merged_on(place: str) -> Answers:
        held = None if kept == "bfloat16" else kept  # not where a CPU would emulate it
        merged, loading = timed(
            partial(
                load_merged, part, device=place, dtype=held, trust_remote_code=trust_remote_code
            )
        )
        score = with_progress(merged, "asking the merged model")
        return ask(merged, held_on, score, size_of(part), loading)

    with staged(output) as part:
        place, (classifier, own) = _where_it_fits(where, adapter_on, "The adapter")
        if (place, asked_in, asked_as) != ("cpu", *_WHOLE):
            del classifier  # two models at once may not fit, and this one may fit no GPU
            classifier = loaded("cpu", *_WHOLE)
        write_merged(classifier, part, kept, artifact.path.absolute().name)
        del classifier
        _, now = _where_it_fits(where, merged_on, "The merged model")
        name = f"The merged model ({kept})"
        parity = Parity.of(held_on, own, now, artifact.task.labels, name)
        parity.require(agree, _remedy(kept, asked_as))
    asked_how = f"torch {asked_in}" if asked_as == NONE else f"{asked_as}, {asked_in}"
    machine = threads_named(torch.get_num_threads()) if where == "cpu" else where
    parity.show(asked_how, machine, as_json=as_json)
    if not as_json:
        say(f"\nThe model is in {output}; stock transformers loads it without PEFT.")
    if others:
        say(
            "Its probabilities aren't calibrated and it makes no label sets: what the adapters "
            "had of that was fitted to each alone."
        )


def _asked_as(artifact: Artifact, where: str) -> tuple[str, str]:
    """The dtype and quantisation that the adapter is asked in: float32, or where it was tuned on a
    base in few bits as it was, so that what the merge changes is seen."""
    from sentilora.bases.quantization import check_available

    kind = artifact.base.quantized
    if kind is None:
        return _WHOLE
    tuned = f"The adapter was tuned on its base in {kind}; it is merged into the base's own weights"
    try:
        check_available(kind, where)
    except UserError:
        say(f"{tuned}. What that changes isn't shown: none can be held in {kind} on {where} here.")
        return _WHOLE
    say(f"{tuned}. What that changes is shown at the end.")
    return artifact.base.dtype, kind


def _where_it_fits(where: str, action: Callable[[str], Found], what: str) -> tuple[str, Found]:
    """The device, the CPU where memory runs out on `where`, and what `action` gives on it."""
    import torch

    from sentilora.devices import release_memory

    if where != "cpu":
        with suppress(NoRoom, torch.OutOfMemoryError):
            return where, action(where)
        release_memory(torch.device(where))
        say(f"{what} takes more memory than there is on {where}; it is asked on the CPU.")
    return "cpu", action("cpu")


def _remedy(kept: str, asked_as: str) -> str:
    if asked_as != NONE:
        return f"Tune on the base's own weights, without --quantize {asked_as}"
    if kept != "float32":
        return "Keep more digits with --dtype float32"
    return "Use the adapter beside its base"
