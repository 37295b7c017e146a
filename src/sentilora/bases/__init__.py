"""Base models: from the package index, a GGUF file, the Hub or a folder, one reader an origin."""

from __future__ import annotations

from sentilora.bases.index import add_from_wheel
from sentilora.bases.listing import available_bases
from sentilora.bases.loading import load_base, load_tokenizer, prepare_base, resolve
from sentilora.bases.types import Base, BaseIdentity, BaseInfo, LoadedBase, PreparedBase

__all__ = [
    "Base",
    "BaseIdentity",
    "BaseInfo",
    "LoadedBase",
    "PreparedBase",
    "add_from_wheel",
    "available_bases",
    "load_base",
    "load_tokenizer",
    "prepare_base",
    "resolve",
]
