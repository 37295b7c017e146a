"""Bases in the Hub's layout: from the Hugging Face Hub by name and revision, or from a folder.

Only safetensors weights are read. A checkpoint of pickle files can run code while it loads, so it
is refused, and on the Hub never even downloaded.
"""

from __future__ import annotations

import re
from pathlib import Path

from sentilora.bases.fingerprint import tensor_table
from sentilora.errors import UserError, first_line
from sentilora.files import read_json
from sentilora.hub_failures import hub_failures

_WANTED = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "README.md"]
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def hub_folder(name: str, revision: str | None, *, trust_remote_code: bool = False) -> Path:
    """The local snapshot of a Hub model; downloaded where it is not in the Hub's cache yet.

    Raises:
        UserError: no such model or revision, no access, no network and nothing cached, or a
            download that fails.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    wanted = [*_WANTED, "*.py"] if trust_remote_code else _WANTED
    try:
        folder = snapshot_download(
            name, revision=revision, allow_patterns=wanted, ignore_patterns=["*/*", "consolidated*"]
        )
    except HFValidationError as error:
        raise UserError(_unknown(name)) from error
    except GatedRepoError as error:
        raise UserError(
            f"The Hub model {name} asks for its terms to be accepted first. Accept them on its "
            "page, log in with `hf auth login`, and try again."
        ) from error
    except RepositoryNotFoundError as error:
        raise UserError(_unknown(name)) from error
    except RevisionNotFoundError as error:
        raise UserError(f"The Hub model {name} has no revision {revision!r}.") from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError) as error:
        raise UserError(
            f"The model {name} is no file or folder here and not in the local cache of Hub models, "
            "and the Hub cannot be reached. Try again with a network (and without HF_HUB_OFFLINE); "
            "or give a folder, a GGUF file or `smollm2`, which comes from the package index; "
            "`sentilora bases` lists what is here."
        ) from error
    except hub_failures() as error:
        raise UserError(
            f"The Hub model {name} can't be fetched: {first_line(error)}. Check the connection, "
            "the proxy and the free space for the Hub's cache, and try again: whole files are kept."
        ) from error
    return Path(folder)


def _unknown(name: str) -> str:
    return (
        f"There is no model {name!r}: it is no base with a short name, no file or folder here, and "
        "the Hub knows no such model (or keeps it private). `sentilora bases` lists what there is."
    )


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder, each whole.

    Raises:
        UserError: the folder is no model, lacks a shard, has only pickle files or a damaged file.
    """
    _check_config(folder)
    index = folder / "model.safetensors.index.json"
    single = folder / "model.safetensors"
    if single.is_file():
        files = [single]
    elif index.is_file():
        files = _shards(folder, index)
    else:
        raise _no_weights(folder)
    for file in files:
        tensor_table(file)
    return files


def _check_config(folder: Path) -> None:
    config = folder / "config.json"
    if not config.is_file():
        if (folder / "adapter_config.json").is_file():
            raise UserError(
                f"{folder} is an adapter, not a base model. Evaluate or run it with `sentilora "
                "predict` and `sentilora evaluate`; `--model` takes the base."
            )
        raise UserError(f"{folder} is no model folder: it has no config.json.")
    values = read_json(config, "The model's configuration")
    if "model_type" not in values:
        raise UserError(f"{folder} is no model folder: its config.json states no model_type.")


def _shards(folder: Path, index: Path) -> list[Path]:
    weight_map = read_json(index, "The model's index of shards").get("weight_map", {})
    names = sorted(set(weight_map.values()))
    missing = [name for name in names if not (folder / name).is_file()]
    if missing or not names:
        raise UserError(
            f"{folder} is incomplete: {index.name} names {', '.join(missing[:5]) or 'no files'}, "
            f"{len(missing)} of {len(names)} not there. Fetch or copy the model again."
        )
    return [folder / name for name in names]


def _no_weights(folder: Path) -> UserError:
    pickles = sorted(file.name for pattern in _PICKLES for file in folder.glob(pattern))
    if pickles:
        return UserError(
            f"{folder} has its weights only as pickle files ({', '.join(pickles[:3])}), which can "
            "run code when loaded and are not read here. Where you trust them, convert them to "
            "safetensors: load the model with transformers and call `save_pretrained`."
        )
    return UserError(
        f"{folder} is no model folder: it has a config.json but no safetensors weights."
    )


def snapshot_revision(folder: Path) -> str | None:
    """The commit of a Hub snapshot, which is its folder's name."""
    return folder.name if re.fullmatch(r"[0-9a-f]{40}", folder.name) else None


def stated_licence(folder: Path) -> str | None:
    """The licence in a model card's metadata, if there is one."""
    card = folder / "README.md"
    if not card.is_file():
        return None
    text = card.read_text(encoding="utf-8", errors="replace")
    header = text.split("---", 2)[1] if text.startswith("---") and text.count("---") > 1 else ""
    found = re.search(r"^license:\s*([^\s#]+)", header, re.MULTILINE)
    return found.group(1) if found else None
