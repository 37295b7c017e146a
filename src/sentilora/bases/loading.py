"""From a name to a loaded base: which origin, where on disk, checked, and in memory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentilora.bases.cache import RECORD_FILE, read_record
from sentilora.bases.catalog import HUB_BASES, INDEX_BASES
from sentilora.bases.fingerprint import weights_fingerprint
from sentilora.bases.hub import (
    hub_folder,
    snapshot_revision,
    stated_licence,
    weight_files,
)
from sentilora.bases.model import load_model
from sentilora.bases.quantization import check_available, parse_kind
from sentilora.bases.types import Base, BaseIdentity, LoadedBase, PreparedBase
from sentilora.devices import memory_ran_out
from sentilora.errors import NoRoom, UserError
from sentilora.files import expanded, looking_at, read_json

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast


def resolve(name: str, revision: str | None = None) -> Base:
    """Settle which base a name means; reads and fetches nothing.

    In this order: a short name (`smollm2`), a GGUF file, a folder, a name on the Hub.

    Args:
        name: short name, path or Hub name.
        revision: branch, tag or commit, for a Hub name.

    Raises:
        UserError: a path where nothing is, or a revision for something that has none.
    """
    with looking_at(name):
        base = _resolve(name, revision)
    if revision is not None and base.origin != "hub":
        raise UserError(f"{name} is not on the Hub, so it has no revision {revision!r}.")
    return base


def _resolve(name: str, revision: str | None) -> Base:
    if name in INDEX_BASES:
        return Base(name, "index")
    path = expanded(name)
    if path.is_file() and path.suffix.lower() == ".gguf":
        return Base(name, "gguf", path=path.absolute())
    if name and path.is_dir() and not _hides_hub_base(name, path):
        return Base(name, "folder", path=path.absolute())
    if path.is_file():
        raise UserError(f"{name} is a file, but no GGUF file. Give a model folder or a .gguf file.")
    if _looks_like_path(name):
        raise UserError(f"There is no model at {name}: no such file or folder.")
    return Base(name, "hub", revision=revision)


def _hides_hub_base(name: str, folder: Path) -> bool:
    """A folder of runs that happens to be called `distilgpt2` does not stand for the model."""
    return name in {base.hub_name for base in HUB_BASES} and not (folder / "config.json").exists()


def _looks_like_path(name: str) -> bool:
    return (
        not name
        or name.startswith((".", "/", "~"))
        or name.lower().endswith(".gguf")
        or "\\" in name
        or name.count("/") > 1
    )


def to_stderr(message: str) -> None:
    """Where messages go unless the caller takes them."""
    print(message, file=sys.stderr, flush=True)


def prepare_base(
    base: Base, *, trust_remote_code: bool = False, say: Callable[[str], None] = to_stderr
) -> PreparedBase:
    """Have the base on this disk as a checked Hub-layout folder; fetches or converts on first use.

    Raises:
        UserError: it cannot be had, or what is there is damaged or no model.
    """
    if base.origin == "index":
        from sentilora.bases.index import index_folder

        return _converted(base, index_folder(INDEX_BASES[base.name], say))
    if base.origin == "gguf":
        from sentilora.bases.gguf import converted_folder

        assert base.path is not None
        return _converted(base, converted_folder(base.path, say))
    if base.origin == "hub":
        folder = hub_folder(base.name, base.revision, trust_remote_code=trust_remote_code)
        return _in_hub_layout(base, folder)
    assert base.path is not None
    return _in_hub_layout(base, base.path)


def _converted(base: Base, folder: Path) -> PreparedBase:
    record = read_record(folder)
    assert record is not None  # `build_once` returned it
    weight_files(folder)
    source = record["source"]
    identity = BaseIdentity(
        origin=base.origin,
        name=base.name,
        revision=None,  # the quantisation names the file by its hash
        hub_name=source.get("hub_name"),
        path=base.name if base.origin == "gguf" else None,
        fingerprint=record["fingerprint"],
        quantization=record["quantization"],
        dtype=record["stored_dtype"],
        licence=record["licence"],
    )
    return PreparedBase(folder, identity)


def _in_hub_layout(base: Base, folder: Path) -> PreparedBase:
    files = weight_files(folder)
    config = read_json(folder / "config.json", "The model's configuration")
    on_hub = base.origin == "hub"
    identity = BaseIdentity(
        origin=base.origin,
        name=base.name,
        revision=snapshot_revision(folder) if on_hub else None,
        hub_name=base.name if on_hub else None,
        path=None if on_hub else base.name,
        fingerprint=weights_fingerprint(files),
        quantization=None,
        dtype=config.get("dtype") or config.get("torch_dtype") or "float32",
        licence=stated_licence(folder),
    )
    return PreparedBase(folder, identity)


def load_tokenizer(
    prepared: PreparedBase, *, trust_remote_code: bool = False
) -> PreTrainedTokenizerFast:
    """The base's fast tokenizer; as `tokenizer_in`."""
    return tokenizer_in(prepared.folder, trust_remote_code=trust_remote_code)


def tokenizer_in(folder: Path, *, trust_remote_code: bool = False) -> PreTrainedTokenizerFast:
    """The fast tokenizer in a base's folder, with a padding token that needs no new row in the
    vocabulary.

    Raises:
        UserError: there is none, or none that is fast.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    from sentilora.bases.quiet import quiet_transformers

    # for a converted base tokenizer.json is all there is; AutoTokenizer would rebuild the
    # pre-tokenizer of the model's usual tokenizer class in its place
    converted = (folder / RECORD_FILE).is_file()
    kind = PreTrainedTokenizerFast if converted else AutoTokenizer
    try:
        with quiet_transformers():
            tokenizer: Any = kind.from_pretrained(
                folder, local_files_only=True, trust_remote_code=trust_remote_code
            )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise UserError(f"{folder} has no tokenizer that can be read: {error}") from error
    if not tokenizer.is_fast:
        raise UserError(f"{folder} has only a slow tokenizer; a tokenizer.json is needed.")
    if tokenizer.pad_token is None:
        # never a new token: it would need a row in the embeddings. Padding is masked by length.
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    return tokenizer


def load_base(
    base: Base | PreparedBase,
    *,
    device: str = "cpu",
    dtype: str | None = None,
    quantize: str | None = None,
    trust_remote_code: bool = False,
    say: Callable[[str], None] = to_stderr,
) -> LoadedBase:
    """Load a base: frozen, in eval mode, on `device`.

    Args:
        base: from `resolve` or `prepare_base`.
        device: "cpu", "cuda", "cuda:0", "mps".
        dtype: "float32", "bfloat16", "float16", or None to choose by the device.
        quantize: "nf4" or "int8" to hold its weights in so few bits.
        trust_remote_code: run model code that comes with the model; off unless asked for.
        say: takes the messages about fetching and converting.

    Raises:
        UserError: it cannot be had, is damaged, or is no causal language model; or its weights
            can't be held in so few bits here.
        NoRoom: memory doesn't suffice.
    """
    from sentilora.bases.dtype import choose_dtype

    kind = parse_kind(quantize)
    if kind is not None:
        check_available(kind, device)
    prepared = base
    if isinstance(prepared, Base):
        prepared = prepare_base(prepared, trust_remote_code=trust_remote_code, say=say)
    torch_dtype, reason = choose_dtype(device, dtype)
    tokenizer = load_tokenizer(prepared, trust_remote_code=trust_remote_code)
    with _within_memory(prepared, device, torch_dtype):
        model, quantised = load_model(
            prepared.folder, device, torch_dtype, kind, trust_remote_code=trust_remote_code
        )
    model.requires_grad_(False)
    model.eval()
    name = str(torch_dtype).removeprefix("torch.")
    identity = replace(prepared.identity, dtype=name, quantized=kind)
    return LoadedBase(model, tokenizer, identity, reason, quantised)


@contextmanager
def _within_memory(prepared: PreparedBase, device: str, dtype: torch.dtype) -> Iterator[None]:
    """Raises `NoRoom` where the memory of `device` runs out."""
    try:
        yield
    except Exception as error:
        if not memory_ran_out(error):
            raise
        more = "choose a smaller base" if device == "cpu" else "give --device cpu"
        raise NoRoom(
            f"The memory of {device} doesn't suffice for {prepared.identity.name} in "
            f"{str(dtype).removeprefix('torch.')}. Close what else takes of it, or {more}."
        ) from error
