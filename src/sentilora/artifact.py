"""The artefact: a folder that holds a tuned adapter and all that scoring with it needs.

It is a plain PEFT adapter (`adapter_model.safetensors`, `adapter_config.json`), which stock `peft`
loads, and beside it `sentilora.json`: the frozen task, the base's identity, the tokenizer's
fingerprint, metrics, and a *canary*: fixed texts with their label log-probabilities at save time,
tuned and untuned, how its probabilities are corrected, and the scores that label sets are made
from. `rows.json` holds hashes of the rows
trained on and held out.

`sentilora.json` is written last and holds the hashes of the other files, so a folder that has it
is whole. Reading checks these; `classifier.load` also checks what the adapter does.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from peft.utils import get_peft_model_state_dict
from safetensors import SafetensorError, safe_open

from sentilora import __version__
from sentilora.adapters import AdapterSettings
from sentilora.bases import BaseIdentity
from sentilora.canary import Canary
from sentilora.conformal import Conformal
from sentilora.correction import Correction
from sentilora.data import row_hash
from sentilora.errors import UserError
from sentilora.files import looking_at, read_json, sha256, write_bytes, write_json
from sentilora.task import Task

WEIGHTS = "adapter_model.safetensors"
PEFT_CONFIG = "adapter_config.json"
DESCRIPTION = "sentilora.json"
ROWS = "rows.json"
CARD = "README.md"
HASHED = (WEIGHTS, PEFT_CONFIG, ROWS)
FILES = frozenset({*HASHED, DESCRIPTION, CARD})
FORMAT = 1


@dataclass(frozen=True)
class RowHashes:
    """`data.row_hash` of the rows of each split, as training used them."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    @classmethod
    def of(cls, **texts: Iterable[str]) -> RowHashes:
        """Of the texts of each split."""
        return cls(**{split: tuple(map(row_hash, rows)) for split, rows in texts.items()})

    @classmethod
    def from_dict(cls, values: Mapping[str, Sequence[str]]) -> RowHashes:
        return cls(**{name: tuple(values[name]) for name in ("train", "validation", "test")})


@dataclass(frozen=True)
class Artifact:
    """What an adapter folder says of itself."""

    path: Path
    task: Task
    base: BaseIdentity
    adapter: AdapterSettings
    tokenizer_fingerprint: str
    canary: Canary
    metrics: dict[str, Any]
    rows: RowHashes
    correction: Correction
    conformal: Conformal | None  # none without validation rows

    @classmethod
    def read(cls, path: Path) -> Artifact:
        """Read an adapter folder, checking that its files are whole; loads no model.

        Raises `UserError` where there is none, or a file is missing or damaged.
        """
        with looking_at(path):
            values = _checked_description(path)
        try:
            return cls(
                path=path,
                task=Task.from_dict(values["task"]),
                base=BaseIdentity.from_dict(values["base"]),
                adapter=AdapterSettings.from_dict(values["adapter"]),
                tokenizer_fingerprint=values["tokenizer_fingerprint"],
                canary=Canary.from_dict(values["canary"]),
                metrics=values["metrics"],
                rows=RowHashes.from_dict(read_json(path / ROWS, "The list of rows")),
                correction=Correction.from_dict(values["correction"]),
                # older adapters have none
                conformal=(kept := values.get("conformal")) and Conformal.from_dict(kept),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{path / DESCRIPTION} is damaged or from another version of sentilora ({error})."
            ) from error


def save_artifact(
    path: Path,
    tuned: PeftModel,
    *,
    task: Task,
    base: BaseIdentity,
    adapter: AdapterSettings,
    tokenizer_fingerprint: str,
    canary: Canary,
    metrics: dict[str, Any],
    rows: RowHashes,
    correction: Correction,
    conformal: Conformal | None,
    card: str,
) -> Artifact:
    """Write the adapter folder; files of the same names are replaced one by one, whole.

    Raises `UserError` for an adapter that would do nothing, or where the folder can't be written.
    """
    check_weights(get_peft_model_state_dict(tuned, save_embedding_layers=False))
    canary.check_changes_something()
    description = {
        "format": FORMAT,
        "sentilora": __version__,
        "task": task.to_dict(),
        "base": base.to_dict(),
        "adapter": adapter.to_dict(),
        "tokenizer_fingerprint": tokenizer_fingerprint,
        "canary": asdict(canary),
        "metrics": metrics,
        "correction": correction.to_dict(),
        "conformal": conformal and conformal.to_dict(),
    }
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / DESCRIPTION).unlink(missing_ok=True)  # of an adapter that is being replaced
        _save_peft_files(path, tuned, base)
        write_json(path / ROWS, asdict(rows))
        write_bytes(path / CARD, card.encode())
        hashes = {name: sha256(path / name) for name in HASHED}
        write_json(path / DESCRIPTION, {**description, "files": hashes})
    except OSError as error:
        raise UserError(
            f"The adapter can't be written to {path} ({error.strerror or error}). Free some space, "
            "or choose another folder."
        ) from error
    return Artifact.read(path)


def check_weights(weights: Mapping[str, torch.Tensor]) -> None:
    """Raise `UserError` where every B is zero, or any weight isn't finite."""
    if not any(bool(w.any()) for name, w in weights.items() if ".lora_B." in name):
        raise UserError(
            "The adapter's B matrices are all zero: it would change nothing. Train it (longer, or "
            "with a higher --learning-rate), or use the base as it is."
        )
    if bad := [name for name, w in weights.items() if not bool(torch.isfinite(w).all())]:
        raise UserError(f"The adapter holds numbers that aren't finite ({bad[0]}); train it anew.")


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The adapter's tensors by their names in the file."""
    try:
        with safe_open(path / WEIGHTS, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path / WEIGHTS} is damaged ({error}). Restore it from a copy, or train again."
        ) from error


def _save_peft_files(path: Path, tuned: PeftModel, base: BaseIdentity) -> None:
    """PEFT's own files, staged beside, then moved in.

    `save_embedding_layers=False` keeps PEFT from asking a hub for the base's vocabulary size.
    """
    config = tuned.peft_config["default"]
    config.base_model_name_or_path = base.hub_name or base.path or base.name
    config.revision = base.revision if base.origin == "hub" else None
    staged = path / ".adapter.part"
    shutil.rmtree(staged, ignore_errors=True)
    try:
        tuned.save_pretrained(str(staged), save_embedding_layers=False)
        for name in (WEIGHTS, PEFT_CONFIG):
            write_bytes(path / name, (staged / name).read_bytes())
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _checked_description(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        raise UserError(f"There is no folder {path}. Give the folder that `sentilora train` wrote.")
    if not (path / DESCRIPTION).exists():
        raise UserError(_what_it_is_instead(path))
    values = read_json(path / DESCRIPTION, "The adapter's description")
    _check_files(path, values)
    return values


def _check_files(path: Path, values: Mapping[str, Any]) -> None:
    if values.get("format") != FORMAT:
        raise UserError(
            f"{path} was written by another version of sentilora (format {values.get('format')}; "
            f"this one reads {FORMAT}). Update sentilora, or train again."
        )
    recorded = values.get("files")
    for name in HASHED:
        file = path / name
        if not file.is_file():
            raise UserError(
                f"The adapter folder {path} is incomplete: {name} is missing. Restore it from a "
                "copy, or train again."
            )
        if not isinstance(recorded, dict) or sha256(file) != recorded.get(name):
            raise UserError(
                f"{file} is damaged or was changed after it was saved (its SHA-256 differs from "
                "the one recorded). Restore it from a copy, or train again."
            )


def _what_it_is_instead(path: Path) -> str:
    if (path / "run.json").exists():
        return (
            f"The run in {path} was not finished, so it holds no adapter yet. "
            f"Go on with `sentilora train --resume {path}`."
        )
    if (path / PEFT_CONFIG).exists():
        return (
            f"{path} holds a PEFT adapter that sentilora didn't save (no {DESCRIPTION}): its task "
            "and labels aren't known. Give a folder that `sentilora train` wrote."
        )
    return f"{path} holds no adapter. Give the folder that `sentilora train` wrote."
