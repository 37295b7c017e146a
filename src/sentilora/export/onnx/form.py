"""The ONNX form: an adapter merged into its base, as a file that onnxruntime runs."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentilora.bare_tokenizer import BareTokenizer
from sentilora.canary import check_canary
from sentilora.devices import memory_ran_out
from sentilora.encoding import PromptEncoder, tokenizer_fingerprint
from sentilora.errors import UserError
from sentilora.export.description import Description
from sentilora.export.onnx.scorer import FORM, MODEL, OnnxModel, OnnxScorer, sung_by
from sentilora.export.tokenizer import save_tokenizer

if TYPE_CHECKING:
    from sentilora.canary import Canary
    from sentilora.classifier import Classifier

# The precisions, and the share of rows that must keep their label by default.
WEIGHTS = {"fp32": 1.0, "int8-weights": 0.995, "int8": 0.98, "int4": 0.95}
_BITS = {"int8-weights": 8, "int8": 8, "int4": 4}
_STORED = {8: "int8", 4: "int4"}
_NEEDED = ("onnx", "onnxscript", "onnxruntime")
_MOST_INLINE = 2**31 - 2**24  # bytes: protobuf holds less than 2 GiB
# Held against their own forward in the tests; a model of another architecture is tried.
ARCHITECTURES = ("llama", "gpt2", "qwen2", "gemma2", "mistral")
_TESTED = f"Tested: {', '.join(ARCHITECTURES)}. `sentilora merge` takes any."


def check() -> None:
    """Raise `UserError` where a package is missing."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise UserError(
            f"An ONNX export needs {', '.join(missing)}, which is not installed. Install the "
            "extra: pip install 'sentilora[export]'."
        )


def write_onnx(classifier: Classifier, folder: Path, weights: str, adapter: str) -> None:
    """Merge a classifier's adapter and write it as ONNX; the classifier is used up.

    Parameters
    ----------
    classifier
        Loaded in float32 on the CPU.
    weights
        One of `WEIGHTS`.
    adapter
        The run's name.

    Raises UserError for an architecture that can't be exported, a quantised base, or a tokenizer
    that `tokenizers` alone reads otherwise.
    """
    description = Description.of(classifier, f"{FORM} {weights}", adapter)
    encoder = classifier.scorer.encoder
    kind = classifier.scorer.model.config.get_text_config().model_type
    classifier.merge()
    tuned = tuned_matrices(classifier.scorer.model)
    graph = _graph(classifier.scorer.model.unload(), kind)
    bits = _BITS.get(weights)
    if bits is not None:
        from sentilora.export.onnx.weights import shrink_weights

        shrink_weights(graph, bits, integers=weights != "int8-weights", tuned=tuned)
    folder.mkdir(parents=True, exist_ok=True)
    _save(graph, folder)
    save_tokenizer(encoder.tokenizer, folder)
    bare = BareTokenizer(folder)
    own = PromptEncoder(classifier.task, bare)
    texts = description.canary.texts
    if own.label_ids != encoder.label_ids or own.encode(texts) != encoder.encode(texts):
        raise UserError(
            "The tokenizer of this base reads texts otherwise without transformers, so it can't "
            "be exported to ONNX. Merge the adapter instead, with `sentilora merge`."
        )
    stored = "float32" if bits is None else _STORED[bits]
    canary = sung_by(OnnxModel(folder, own), description.canary, stored)
    if bits is None:
        _check_same_model(description.canary, canary, kind)
    replace(description, tokenizer_fingerprint=tokenizer_fingerprint(bare), canary=canary).write(
        folder
    )


def load_onnx(folder: Path, threads: int | None = None) -> Classifier:
    """An ONNX export as a classifier like any other; see `OnnxScorer` for one without torch."""
    from sentilora.bases import BaseIdentity
    from sentilora.classifier import Classifier

    check()
    scorer: Any = OnnxScorer(folder, threads=threads)
    description: Description = scorer.description
    return Classifier(
        scorer,
        BaseIdentity.from_dict(description.base),
        correction=description.correction,
        conformal=description.conformal,
    )


def tuned_matrices(model: Any) -> set[bytes]:
    """The digests of the matrices that the adapter was merged into."""
    from peft.tuners.lora import LoraLayer

    from sentilora.export.onnx.weights import digest

    layers: list[Any] = [layer for layer in model.modules() if isinstance(layer, LoraLayer)]
    found = set()
    for layer in layers:
        weight = layer.get_base_layer().weight.detach().numpy()
        found.add(digest(weight.T if getattr(layer, "fan_in_fan_out", False) else weight))
    return found


def _graph(model: Any, kind: str) -> Any:
    from sentilora.export.onnx.graph import graph_of

    try:
        graph = graph_of(model)
    except OSError:  # which is none of the architecture's
        raise
    except Exception as error:  # whatever torch.export stumbles over
        if memory_ran_out(error):
            raise UserError(
                "Memory doesn't suffice to export this model to ONNX. Close other programs, or "
                "choose a machine with more."
            ) from error
        raise UserError(
            f"A model of the architecture {kind} can't be exported to ONNX "
            f"({type(error).__name__}). {_TESTED}"
        ) from error
    return graph


def _check_same_model(adapter: Canary, exported: Canary, kind: str) -> None:
    """Raise UserError where the figures differ by more than rounding: a forward that was followed
    wrongly may still find most labels."""
    check_canary(
        adapter,
        exported,
        "The adapter, exported to ONNX,",
        remedy=f"Another forward was exported than that of a {kind} model. {_TESTED}",
    )


def _save(graph: Any, folder: Path) -> None:
    """One file, or with the tensors in a second one where protobuf can't hold them."""
    import onnx_ir

    size = sum(value.const_value.nbytes for value in graph.graph.initializers.values())
    beside = f"{MODEL}.data" if size > _MOST_INLINE else None
    onnx_ir.save(graph, folder / MODEL, external_data=beside)
