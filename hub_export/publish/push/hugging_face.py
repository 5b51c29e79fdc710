"""Pushing to the Hugging Face hub: one commit, of all files or of none."""

from collections.abc import Mapping
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError, HTTPError

from hub_export.errors import TargetError
from hub_export.publish.push.targets import HuggingFace
from hub_export.secrets import guarded

_REMEDY = (
    "check the address, the connection and the token (hf auth login, or HF_TOKEN), and run the "
    "same command again: what the hub has already is not sent twice"
)

_ERRORS = (HfHubHTTPError, HTTPError, OSError, RuntimeError, ValueError)
"""The library's own, the connection's; RuntimeError of large files, ValueError of a bad card."""


def push(files: Mapping[str, Path | bytes], target: HuggingFace, private: bool) -> str:
    """Sends files, and makes a commit of them; returns the address with the commit.

    What lies in their folders there and is not among them is removed; all else stays.

    Raises:
        TargetError: the hub refuses it, or cannot be reached.
    """
    with guarded(target, _REMEDY, TargetError, *_ERRORS):
        api, repository = HfApi(), target.repository
        api.create_repo(repository, private=private, exist_ok=True)
        versions = {"/".join(name.split("/")[:2]) + "/" for name in files if "/" in name}
        there = api.list_repo_files(repository)
        stale = [each for each in there if each.startswith((*versions,)) and each not in files]
        commit = api.create_commit(
            repository,
            [
                *(CommitOperationAdd(name, content) for name, content in files.items()),
                *map(CommitOperationDelete, stale),
            ],
            commit_message="Exported by hub_export",
        )
    return f"{target}@{commit.oid}"
