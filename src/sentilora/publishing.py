"""Publishing an adapter folder on the Hugging Face Hub."""

from __future__ import annotations

from huggingface_hub import HfApi

from sentilora.artifact import CARD, DESCRIPTION, PEFT_CONFIG, ROWS, WEIGHTS, Artifact
from sentilora.errors import UserError, first_line
from sentilora.hub_failures import hub_failures


def push_to_hub(
    artifact: Artifact, repo_id: str, *, private: bool = False, token: str | None = None
) -> str:
    """Upload the adapter's own files (no checkpoints, no run settings) as one commit.

    Returns the repository's address. Raises `UserError` for an adapter on a base from disk: its
    `base_model_name_or_path` is a path that nobody else has.
    """
    if artifact.base.hub_name is None:
        raise UserError(
            f"{artifact.path} was tuned on a base from this disk ({artifact.base.name}), which "
            "nobody else could load. Publish the base first and train on it by its Hub name."
        )
    api = HfApi(token=token)
    try:
        api.create_repo(repo_id, private=private, exist_ok=True)
        if private and not api.repo_info(repo_id).private:
            raise UserError(
                f"{repo_id} is there already and is public, so nothing was uploaded. Choose "
                "another name, or make it private on the Hub first."
            )
        commit = api.upload_folder(
            repo_id=repo_id,
            folder_path=artifact.path,
            allow_patterns=[WEIGHTS, PEFT_CONFIG, DESCRIPTION, ROWS, CARD],
            commit_message="Add a sentilora adapter",
        )
    except hub_failures() as error:
        raise UserError(
            f"{artifact.path} could not be published as {repo_id}: {first_line(error)}. Log "
            "in with `hf auth login`, and check the name and your connection."
        ) from error
    return str(commit.repo_url)
