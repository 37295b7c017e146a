"""Which bases are here and which can be had: what `sentilora bases` shows. Reads no model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from sentilora.bases.cache import BASE_FORMAT, cache_dir, read_record
from sentilora.bases.catalog import HUB_BASES, INDEX_BASES, HubBase
from sentilora.bases.index import cached_folder, is_cached
from sentilora.bases.types import BaseInfo


def available_bases() -> list[BaseInfo]:
    """Index bases, converted GGUF files, Hub models in the local cache, well-known Hub names."""
    return [*_index_bases(), *_converted_files(), *_hub_bases()]


def _index_bases() -> Iterator[BaseInfo]:
    for entry in INDEX_BASES.values():
        cached = is_cached(entry)
        yield BaseInfo(
            name=entry.name,
            origin="index",
            cached=cached,
            source=f"package index: {entry.package} {entry.version}",
            download_bytes=entry.wheel_bytes,
            disk_bytes=_folder_bytes(cached_folder(entry)) if cached else entry.disk_bytes,
            parameters=entry.parameters,
            licence=entry.licence,
            hub_name=entry.hub_name,
        )


def _converted_files() -> Iterator[BaseInfo]:
    for folder in sorted((cache_dir() / "bases").glob(f"gguf-*-v{BASE_FORMAT}")):
        record = read_record(folder)
        if record is not None:
            yield BaseInfo(
                name=record["source"]["file"],
                origin="gguf",
                cached=True,
                source=f"GGUF file, converted into {folder}",
                download_bytes=None,
                disk_bytes=_folder_bytes(folder),
                parameters=None,
                licence=record["licence"],
                hub_name=None,
            )


def _hub_bases() -> Iterator[BaseInfo]:
    cached = dict(_hub_cache())
    known = {base.hub_name: base for base in HUB_BASES}
    for name in sorted({*cached, *known}, key=lambda name: (name not in cached, name.lower())):
        base: HubBase | None = known.get(name)
        yield BaseInfo(
            name=name,
            origin="hub",
            cached=name in cached,
            source="Hugging Face Hub",
            download_bytes=base.download_bytes if base else None,
            disk_bytes=cached.get(name, base.download_bytes if base else None),
            parameters=base.parameters if base else None,
            licence=base.licence if base else None,
            hub_name=name,
        )


def _hub_cache() -> Iterator[tuple[str, int]]:
    """Name and size of the Hub models in the local cache that are causal language models."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repositories = scan_cache_dir().repos
    except CacheNotFound:
        return
    for repository in repositories:
        if repository.repo_type != "model":
            continue
        if any(_is_causal_lm(Path(r.snapshot_path)) for r in repository.revisions):
            yield repository.repo_id, repository.size_on_disk


def _is_causal_lm(snapshot: Path) -> bool:
    if not any(snapshot.glob("*.safetensors")):
        return False
    try:
        config = json.loads((snapshot / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return any(
        name.endswith(("ForCausalLM", "LMHeadModel")) for name in config.get("architectures") or ()
    )


def _folder_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
