"""A GGUF file as a base: dequantised once into a folder in the Hub's layout, kept in the cache.

transformers reads the tensors; the holes it leaves are closed here and in the modules beside this
one: configuration (`gguf_config.py`), tokenizer (`gguf_tokenizer.py`), and tensors that are missing
or left over, which are errors.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentilora.bases.cache import RECORD_FILE, build_once
from sentilora.bases.fingerprint import file_sha256, weights_fingerprint
from sentilora.bases.gguf_file import GgufFile, open_gguf
from sentilora.bases.quiet import quiet_transformers
from sentilora.errors import UserError
from sentilora.files import write_json

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel


def converted_folder(path: Path, say: Callable[[str], None]) -> Path:
    """The Hub-layout folder of a GGUF file the user gave; converted on first use.

    The cache knows the file by its SHA-256, so a copy or a moved file is not converted again.

    Raises:
        UserError: whatever `convert` finds wrong with the file.
    """
    sha256 = file_sha256(path)

    def build(staging: Path) -> None:
        say(f"Converting {path.name} (once; kept in the cache).")
        convert(path, staging, {"file": path.name, "file_sha256": sha256})

    return build_once(f"gguf-{sha256[:32]}", build, say)


def convert(path: Path, folder: Path, source: dict[str, Any]) -> None:
    """Write the model in a GGUF file as a Hub-layout folder, with a record of where it came from.

    Quantised weights are dequantised and stored in bfloat16; weights the file holds as floats are
    stored in the narrowest dtype that keeps every one of them exactly.

    Args:
        path: the GGUF file.
        folder: exists and is empty.
        source: what the caller knows about the file's origin; it goes into the record.

    Raises:
        UserError: damaged, of an architecture or tokenizer not known here, or with tensors missing
            or left over.
    """
    from sentilora.bases.gguf_config import read_config
    from sentilora.bases.gguf_tokenizer import read_tokenizer

    file = open_gguf(path)
    tokenizer = read_tokenizer(file)
    with quiet_transformers(), _parsed_once(file):
        config = read_config(file)
        model = _read_model(file, config)
        model.hf_quantizer.remove_quantization_config(model)  # else save_pretrained refuses
        if not file.is_quantized:
            model.to(_narrowest_exact_dtype(model))
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    _write_record(file, folder, model.dtype, source)


def configuration(path: Path) -> dict[str, Any]:
    """What `config.json` would say of the model in a GGUF file; its tensors aren't read.

    Raises:
        UserError: as `convert`, of the file and its architecture.
    """
    from sentilora.bases.gguf_config import read_config

    file = open_gguf(path)
    with quiet_transformers(), _parsed_once(file):
        values = read_config(file).to_dict()
    return {**values, "dtype": "bfloat16" if file.is_quantized else "float32"}


def _write_record(file: GgufFile, folder: Path, dtype: torch.dtype, source: dict[str, Any]) -> None:
    record = {
        "source": source,
        "architecture": file.architecture,
        "quantization": {
            "file": source["file"],
            "file_sha256": source["file_sha256"],
            "tensors": file.type_counts,
        },
        "stored_dtype": str(dtype).removeprefix("torch."),
        "licence": source.get("licence") or file.get("general.license"),
        "converted_with": {name: version(name) for name in ("transformers", "gguf")},
        "fingerprint": weights_fingerprint(sorted(folder.glob("*.safetensors"))),
    }
    write_json(folder / RECORD_FILE, record)


@contextlib.contextmanager
def _parsed_once(file: GgufFile) -> Iterator[None]:
    """Hand transformers the header that was read already, and one name table an architecture.

    Left alone it parses the file anew for the configuration and for the weights, and builds the
    table for every module of the model: most of the time that a conversion takes.
    """
    import gguf

    originals = {name: getattr(gguf, name) for name in ("GGUFReader", "get_tensor_name_map")}
    remembered: dict[str, Any] = {
        "GGUFReader": lambda path: file.reader,
        "get_tensor_name_map": functools.cache(gguf.get_tensor_name_map),
    }
    try:
        for name, value in remembered.items():
            setattr(gguf, name, value)
        yield
    finally:
        for name, value in originals.items():
            setattr(gguf, name, value)


def _read_model(file: GgufFile, config: PreTrainedConfig) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            str(file.path.parent),
            gguf_file=file.path.name,
            config=config,
            dtype=torch.bfloat16 if file.is_quantized else torch.float32,
            output_loading_info=True,
        )
    except (ValueError, RuntimeError, KeyError) as error:
        raise UserError(
            f"{file.path.name} cannot be read as a {file.architecture!r} model: {error}. "
            "Use the model's Hub version instead."
        ) from error
    model, report = loaded
    _check_tensors(file, model, report)
    return model


def _check_tensors(file: GgufFile, model: PreTrainedModel, report: dict[str, Any]) -> None:
    missing = sorted({*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])})
    left_over = sorted({*report["unexpected_keys"], *_unmapped(file, model)})
    for names, problem in ((missing, "lacks weights of"), (left_over, "holds tensors unknown in")):
        if names:
            shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
            raise UserError(
                f"{file.path.name} {problem} a {file.architecture!r} model: {shown}. Reading it "
                "would give another model than the one in the file. Use its Hub version instead."
            )


def _unmapped(file: GgufFile, model: PreTrainedModel) -> set[str]:
    """Names of the file's tensors that transformers' older reader skips without a word."""
    from transformers.integrations.gguf import GGUF_ARCHS
    from transformers.modeling_gguf_pytorch_utils import (
        TENSOR_PROCESSORS,
        TensorProcessor,
        get_gguf_hf_weights_map,
    )

    from sentilora.bases.gguf_config import LLAMA3_ROPE_TENSOR

    if file.architecture in GGUF_ARCHS:  # the newer reader reports them itself
        return set()
    processor = TENSOR_PROCESSORS.get(file.architecture, TensorProcessor)(model.config.to_dict())
    mapped = get_gguf_hf_weights_map(model, processor).keys()
    # stacked experts are mapped without the ending; the RoPE factors became configuration
    return {
        name
        for name in file.tensor_types
        if name not in mapped
        and name.removesuffix(".weight") not in mapped
        and name != LLAMA3_ROPE_TENSOR
    }


def _narrowest_exact_dtype(model: PreTrainedModel) -> torch.dtype:
    import torch

    for dtype in (torch.bfloat16, torch.float16):
        if all(torch.equal(p.to(dtype).float(), p) for p in model.parameters()):
            return dtype
    return torch.float32
