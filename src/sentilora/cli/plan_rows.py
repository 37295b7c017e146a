"""The lengths of a data set's prompts, for `sentilora plan`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentilora.bases import Base, resolve
from sentilora.bases.catalog import INDEX_BASES
from sentilora.bases.gguf_file import open_gguf
from sentilora.bases.gguf_tokenizer import read_tokenizer
from sentilora.bases.index import cached_folder, is_cached
from sentilora.bases.loading import tokenizer_in
from sentilora.cli.rows import data_options, load_rows
from sentilora.encoding import PromptEncoder
from sentilora.errors import UserError
from sentilora.planning import Lengths
from sentilora.planning.lengths import encoded_lengths
from sentilora.task import Task
from sentilora.training import choose_settings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def rows_of(params: Mapping[str, Any], longest: int) -> tuple[Lengths, int]:
    """Lengths of the training rows' prompts, cut to `longest` tokens, and the rows of a step.

    Raises UserError where the base's tokenizer isn't here.
    """
    tokenizer = _tokenizer(resolve(params["model"], params["revision"]))
    dataset = load_rows(params["data"], data_options(params))
    task = Task.default(dataset.labels, dataset.subject, longest)
    encoder = PromptEncoder(task, tokenizer)
    lengths = encoded_lengths(
        encoder, [row.text for row in dataset.train], f"of {len(dataset.train):,} rows"
    )
    sizes = len(dataset.train), len(dataset.validation), len(dataset.labels)
    settings = choose_settings({}, *sizes).settings
    return lengths, settings.batch_size


def _tokenizer(base: Base) -> PreTrainedTokenizerFast:
    """The base's tokenizer; nothing is fetched or converted for it."""
    if base.origin == "gguf" and base.path is not None:
        return read_tokenizer(open_gguf(base.path))
    return tokenizer_in(_tokenizer_folder(base))


def _tokenizer_folder(base: Base) -> Path:
    if base.origin == "folder" and base.path is not None:
        return base.path
    if base.origin == "index" and is_cached(INDEX_BASES[base.name]):
        return cached_folder(INDEX_BASES[base.name])
    if base.origin == "hub":
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(base.name, "tokenizer.json", revision=base.revision)
        if isinstance(found, str):
            return Path(found).parent
    raise UserError(
        f"The tokenizer of {base.name} isn't here yet, so the texts' tokens can't be counted. "
        "Leave --data out and state the longest prompt with --length, or fetch the base first."
    )
