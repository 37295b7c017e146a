"""The adapter put into its base for good: a folder in the Hub's layout, for stock transformers.

Merged in fp32, cast once to the dtype that is saved. The folder is read by `load` as an adapter's
is, and is a base like any other for whatever else reads the Hub's layout.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from sentilora.artifact import Artifact
from sentilora.bases import Base, PreparedBase, load_base
from sentilora.bases.dtype import DTYPES
from sentilora.bases.quiet import quiet_transformers
from sentilora.canary import check_canary
from sentilora.classifier import Classifier
from sentilora.devices import resolve_device
from sentilora.encoding import PromptEncoder, tokenizer_fingerprint
from sentilora.errors import UserError
from sentilora.export.description import EXPORT, Description
from sentilora.export.tokenizer import save_tokenizer
from sentilora.scoring import LabelScorer

FORM = "merged"


def write_merged(classifier: Classifier, folder: Path, dtype: str, adapter: str) -> None:
    """Merge a classifier's adapter and save the model to `folder`; the classifier is used up.

    Parameters
    ----------
    classifier
        Loaded in float32, so that the sum is rounded once.
    dtype
        Of the saved weights.
    adapter
        The run's name.

    Raises UserError for a quantised base, or where a merged weight isn't finite in `dtype`.
    """
    description = Description.of(classifier, f"{FORM} {dtype}", adapter)
    classifier.merge()
    model: Any = classifier.scorer.model.unload()
    model.to(getattr(torch, dtype))
    for name, weight in model.named_parameters():
        if not bool(torch.isfinite(weight).all()):
            raise UserError(
                f"The merged weight {name} is too large for {dtype}. Choose --dtype float32."
            )
    folder.mkdir(parents=True, exist_ok=True)
    with quiet_transformers():
        model.save_pretrained(folder)
    save_tokenizer(classifier.scorer.encoder.tokenizer, folder)
    description.write(folder)


def saved_dtype(asked: str | None, base: PreparedBase) -> str:
    """The dtype to save in: the one asked for, or else that in which the base is stored.

    Raises UserError for one that isn't known.
    """
    if asked is not None and asked not in DTYPES:
        raise UserError(f"There is no dtype {asked!r} here; choose {', '.join(DTYPES)}.")
    return asked or base.identity.dtype


def load_merged(
    path: Path,
    *,
    device: str = "auto",
    dtype: str | None = None,
    quantize: str | None = None,
    trust_remote_code: bool = False,
) -> Classifier:
    """The classifier in a merged folder, verified as an adapter's is.

    Raises UserError where it is damaged, is no merged model, or doesn't answer as it did.
    """
    description = Description.read(path)
    if description.form.split()[0] != FORM:
        raise UserError(
            f"{path} holds an export in the form {description.form}, which another engine runs. "
            "Give the run's own folder, or one that `sentilora merge` wrote."
        )
    description.check_files(path)
    base = Base(str(path), "folder", path=path.absolute())
    loaded = load_base(
        base,
        device=resolve_device(device),
        dtype=dtype,
        quantize=quantize,
        trust_remote_code=trust_remote_code,
    )
    if tokenizer_fingerprint(loaded.tokenizer) != description.tokenizer_fingerprint:
        raise UserError(
            f"The tokenizer in {path} isn't read as it was when it was merged: the library that "
            "reads it has changed. Merge the adapter again."
        )
    scorer = LabelScorer(loaded.model, PromptEncoder(description.task, loaded.tokenizer))
    now = description.canary.again(scorer, loaded.identity.dtype)
    check_canary(description.canary, now, f"The merged model in {path}")
    return Classifier(
        scorer,
        loaded.identity,
        correction=description.correction,
        conformal=description.conformal,
    )


def is_export(path: Path) -> bool:
    """Whether a folder holds an exported model."""
    return os.path.isfile(path / EXPORT)  # noqa: PTH113 - the method raises for some paths


def frozen(path: Path) -> Artifact | Description:
    """What is frozen in an adapter's folder or an exported one.

    Raises UserError where it is neither, or damaged.
    """
    return Description.read(path) if is_export(path) else Artifact.read(path)
