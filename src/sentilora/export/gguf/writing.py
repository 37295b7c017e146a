"""A tuned model as a GGUF file: the adapter merged in fp32, then each tensor stored by itself.

No more than one tensor is held beside the model.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from peft.tuners.lora import LoraLayer
from transformers import CONFIG_MAPPING, AutoConfig

from sentilora import __version__
from sentilora.bases.gguf_file import open_gguf
from sentilora.export.description import FORMAT, Description
from sentilora.export.gguf.layout import Keys, Layout, layout_of, parts_of
from sentilora.export.gguf.quantising import bytes_of, stored, type_of
from sentilora.export.gguf.vocabulary import check_vocabulary, vocabulary_of
from sentilora.task import choices

if TYPE_CHECKING:
    from gguf import GGMLQuantizationType, GGUFWriter

    from sentilora.classifier import Classifier

logger = logging.getLogger(__name__)

FORM = "gguf"
FILE = "model.gguf"
TEMPLATE = "sentilora.template"


def check_base(config: Mapping[str, Any], tokenizer: Any) -> None:
    """Raise UserError for a base, by its config.json and tokenizer, that `write_gguf` refuses.

    What only its weights tell is left to that.
    """
    kind = str(config.get("model_type"))
    if kind not in CONFIG_MAPPING:
        layout_of(SimpleNamespace(model_type=kind))
    try:
        whole: Any = AutoConfig.for_model(
            kind, **{key: value for key, value in config.items() if key != "model_type"}
        )
    except Exception:  # whatever a damaged one raises: loading the base says it
        return
    text = whole.get_text_config()
    layout_of(text).keys(text)
    vocabulary_of(tokenizer, text.vocab_size)


def write_gguf(
    classifier: Classifier,
    folder: Path,
    weights: str,
    adapter: str,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Merge a classifier's adapter and write the model to `folder`; the classifier is used up.

    Parameters
    ----------
    classifier
        Loaded in float32.
    weights
        One of `WEIGHTS`.
    adapter
        The run's name.
    progress
        Is told how many more parameters are written.

    Raises UserError for an architecture or a tokenizer that llama.cpp can't be told of, for a
    quantised base, or where a merged weight is too large for its type.
    """
    encoder = classifier.scorer.encoder
    causal_lm: Any = classifier.scorer.model.get_base_model()
    layout = layout_of(causal_lm.config)
    rows = causal_lm.get_input_embeddings().weight.shape[0]
    keys = {
        **_general(classifier, adapter, weights),
        **{f"{layout.name}.{key}": value for key, value in layout.keys(causal_lm.config).items()},
        **vocabulary_of(encoder.tokenizer, rows),
        **task_keys(classifier),
    }
    description = Description.of(classifier, f"{FORM} {weights}", adapter)
    tuned = {name for name, each in causal_lm.named_modules() if isinstance(each, LoraLayer)}
    classifier.merge()
    model: Any = classifier.scorer.model.unload()
    folder.mkdir(parents=True, exist_ok=True)
    _write(model, layout, keys, folder / FILE, weights, tuned, progress)
    check_vocabulary(open_gguf(folder / FILE), encoder.tokenizer, classifier.task)
    description.write(folder)


def _write(
    model: Any,
    layout: Layout,
    keys: Keys,
    path: Path,
    weights: str,
    tuned: set[str],
    progress: Callable[[int], None] | None,
) -> None:
    from gguf import GGUFWriter

    writer = GGUFWriter(path, layout.name)
    try:
        for key, value in keys.items():
            _add(writer, key, value)
        parts, kinds = list(parts_of(model, layout)), {}
        for part in parts:
            name, shape = part.name, part.values().shape
            module = (part.hub_name or "").rpartition(".")[0]
            kinds[name] = kind = type_of(name, shape, weights, tuned=module in tuned)
            size = bytes_of(shape, kind)
            writer.add_tensor_info(name, shape, np.dtype("float32"), size, raw_dtype=kind)
        _say_wider(kinds, weights)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for part in parts:
            data = part.values()
            writer.write_tensor_data(stored(part.name, data, kinds[part.name]))
            if progress is not None:
                progress(data.size)
    finally:
        writer.close()


def _general(classifier: Classifier, adapter: str, weights: str) -> Keys:
    from gguf import GGML_QUANT_VERSION, LlamaFileType

    base, task = classifier.base, classifier.task
    kind = "ALL_F32" if weights == "f32" else f"MOSTLY_{weights.upper()}"
    keys: Keys = {
        "general.type": "model",
        "general.name": adapter,
        "general.description": f"Classifies a text as {choices(task.labels)}; the prompt is in "
        f"{TEMPLATE}",
        "general.file_type": int(LlamaFileType[kind]),
        "general.quantization_version": GGML_QUANT_VERSION,
    }
    if base.licence:
        keys["general.license"] = base.licence
    if base.hub_name:
        keys["general.base_model.count"] = 1
        keys["general.base_model.0.name"] = base.hub_name.split("/")[-1]
        keys["general.base_model.0.repo_url"] = f"https://huggingface.co/{base.hub_name}"
    return keys


def task_keys(classifier: Classifier) -> Keys:
    """The frozen question, for whoever has the file alone.

    The ids of all labels stand in one array, label after label; `label_sizes` says how many are
    each label's, since llama.cpp reads no arrays of arrays.
    """
    task, label_ids = classifier.task, classifier.scorer.encoder.label_ids
    return {
        "sentilora.format": FORMAT,
        "sentilora.version": __version__,
        TEMPLATE: task.template,
        "sentilora.labels": list(task.labels),
        "sentilora.label_prefix": task.label_prefix,
        "sentilora.label_ids": [index for ids in label_ids for index in ids],
        "sentilora.label_sizes": [len(ids) for ids in label_ids],
        "sentilora.max_length": task.max_length,
    }


def _add(writer: GGUFWriter, key: str, value: Any) -> None:
    """A metadata value, in the type that llama.cpp expects of it."""
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)


def _say_wider(kinds: dict[str, GGMLQuantizationType], weights: str) -> None:
    """Name the tensors that couldn't be stored as asked."""
    if weights in ("f16", "f32"):
        return
    wider = [name for name, kind in kinds.items() if kind.name == "F16"]
    if wider:
        shown = ", ".join(wider[:4]) + (", …" if len(wider) > 4 else "")
        logger.warning(
            "%d of %d tensors have rows that are no multiple of 32 values, which %s needs; they "
            "are stored as F16: %s",
            *(len(wider), len(kinds), weights.upper(), shown),
        )
