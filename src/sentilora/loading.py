"""From an adapter folder to a scorer that does what it did when the folder was written.

Every key must match, B not be zero, the base and the tokenizer be the same, and the canary be
reproduced, nearer to the tuned than to the untuned scores. An adapter that would silently do
nothing is an error.
"""

from __future__ import annotations

from peft import PeftModel
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict

from sentilora.adapters import attach
from sentilora.artifact import Artifact, check_weights, read_weights
from sentilora.bases import Base, LoadedBase, resolve
from sentilora.canary import check_canary
from sentilora.encoding import PromptEncoder, tokenizer_fingerprint
from sentilora.errors import UserError
from sentilora.scoring import LabelScorer


def find_base(artifact: Artifact, model: str | None) -> Base:
    """The base that `model` names, or else the one that the adapter was trained on.

    A path that is gone may look like a name on the Hub; what is found must be of the same origin.
    """
    if model is not None:
        return resolve(model)
    wanted = artifact.base
    if wanted.origin == "hub":
        return Base(wanted.name, "hub", revision=wanted.revision)
    try:
        found = resolve(wanted.name)
    except UserError:
        found = None
    if found is None or found.origin != wanted.origin:
        raise UserError(
            f"{artifact.path} was trained on the base {wanted.name}, which is not there any more. "
            "If it has moved, name its place with --model."
        )
    return found


def verified_scorer(artifact: Artifact, loaded: LoadedBase) -> LabelScorer:
    """The scorer of the adapter in `artifact` on the base `loaded`, which is changed in place.

    Raises `UserError` where the base is another one, the adapter doesn't fit it, or the canary
    isn't reproduced.
    """
    _check_same_base(artifact, loaded)
    encoder = PromptEncoder(artifact.task, loaded.tokenizer)
    tuned = attach(loaded.model, artifact.adapter)
    _fill(tuned, artifact)
    tuned.eval().requires_grad_(False)
    return _verified(tuned, encoder, artifact, loaded.identity.dtype)


def _verified(
    tuned: PeftModel, encoder: PromptEncoder, artifact: Artifact, dtype: str
) -> LabelScorer:
    """A scorer that reproduces the canary.

    That verifies its fast path, too. Only where it fails is the path held against the model's own
    forward, so that a path that isn't right on this machine is told from an adapter that isn't.
    """
    name = f"The adapter in {artifact.path}"
    scorer = LabelScorer(tuned, encoder, check=False)
    try:
        check_canary(artifact.canary, artifact.canary.again(scorer, dtype), name)
    except UserError:
        scorer = LabelScorer(tuned, encoder)
        check_canary(artifact.canary, artifact.canary.again(scorer, dtype), name)
    return scorer


def _check_same_base(artifact: Artifact, loaded: LoadedBase) -> None:
    if loaded.identity.fingerprint != artifact.base.fingerprint:
        raise UserError(
            f"{artifact.path} was trained on another base: the weights of {loaded.identity.name} "
            f"are not those of {artifact.base.name} (fingerprint "
            f"{artifact.base.fingerprint[:12]}). Name the right one with --model."
        )
    if tokenizer_fingerprint(loaded.tokenizer) != artifact.tokenizer_fingerprint:
        raise UserError(
            f"The tokenizer of {loaded.identity.name} is not the one that {artifact.path} was "
            "trained with: texts would be read differently. Restore the base's own tokenizer."
        )


def _fill(tuned: PeftModel, artifact: Artifact) -> None:
    """Put the saved tensors into the adapter, refusing a missing, extra or misshapen one."""
    weights = read_weights(artifact.path)
    expected = get_peft_model_state_dict(tuned, save_embedding_layers=False)
    missing, extra = expected.keys() - weights.keys(), weights.keys() - expected.keys()
    if missing or extra:
        what = f"lacks {min(missing)}" if missing else f"has {min(extra)}, which doesn't belong"
        raise UserError(
            f"The adapter in {artifact.path} doesn't fit its base: it {what} "
            f"({len(missing)} missing, {len(extra)} extra). Train it again on this base."
        )
    if wrong := [name for name in sorted(weights) if weights[name].shape != expected[name].shape]:
        raise UserError(
            f"The adapter in {artifact.path} doesn't fit its base: {wrong[0]} has the shape "
            f"{tuple(weights[wrong[0]].shape)}, not {tuple(expected[wrong[0]].shape)}."
        )
    check_weights(weights)
    set_peft_model_state_dict(tuned, weights)
