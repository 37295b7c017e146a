"""What a base model is, before and after it is loaded: plain descriptions, no heavy imports."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sentilora.bases.quantization import Quantised

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

Origin = Literal["index", "gguf", "hub", "folder"]


@dataclass(frozen=True)
class Base:
    """A base model as the user named it, with its origin settled; nothing is read or fetched yet.

    Attributes:
        name: as the user gave it (`smollm2`, `Qwen/Qwen2.5-0.5B`, `models/mine.gguf`).
        origin: which reader handles it.
        revision: branch, tag or commit on the Hub; None elsewhere.
        path: absolute path of a GGUF file or a folder; None for the other origins.
    """

    name: str
    origin: Origin
    revision: str | None = None
    path: Path | None = None


@dataclass(frozen=True)
class BaseIdentity:
    """What has to be known to find the very same weights again; saved with every artefact.

    Attributes:
        origin: "index", "gguf", "hub" or "folder".
        name: as the user gave it.
        revision: the Hub's commit; None for the other origins.
        hub_name: the Hub name whose weights these are (what stock `peft` users need), if any.
        path: for a base from disk, its path as given.
        fingerprint: SHA-256 over the stored, unquantised weights (`fingerprint.py`).
        quantization: for a GGUF file, its file name, its hash and how many tensors of each ggml
            type it holds; None where nothing was quantised on the way here.
        dtype: the dtype the model was loaded in ("float32", "bfloat16", "float16").
        licence: SPDX-like identifier, where the source states one.
        quantized: "nf4" or "int8" where its weights were put in so few bits when it was loaded.
    """

    origin: Origin
    name: str
    revision: str | None
    hub_name: str | None
    path: str | None
    fingerprint: str
    quantization: dict[str, Any] | None
    dtype: str
    licence: str | None
    quantized: str | None = None  # which earlier versions didn't write

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> BaseIdentity:
        return cls(**values)


@dataclass(frozen=True)
class PreparedBase:
    """A base that lies on this disk as a folder in the Hub's layout, checked, ready to load.

    Attributes:
        folder: config, tokenizer and safetensors files.
        identity: its `dtype` is the stored one until the model is loaded.
    """

    folder: Path
    identity: BaseIdentity


@dataclass
class LoadedBase:
    """A frozen model (eval mode, no parameter requires a gradient) with its fast tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    identity: BaseIdentity
    dtype_reason: str
    quantised: Quantised | None = None  # what of it is in few bits


@dataclass(frozen=True)
class BaseInfo:
    """One line of `sentilora bases`. Sizes in bytes; None where they are not known offline."""

    name: str
    origin: Origin
    cached: bool
    source: str
    download_bytes: int | None
    disk_bytes: int | None
    parameters: int | None
    licence: str | None
    hub_name: str | None
