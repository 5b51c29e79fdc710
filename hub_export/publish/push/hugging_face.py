"""Pushing to the Hugging Face hub: one commit, of all files or of none."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError, HTTPError

from hub_export.errors import TargetError
from hub_export.publish.push.targets import HuggingFace
from hub_export.secrets import guarded

PAGE = "README.md"
"""What the hub shows of a repository."""
_REMEDY = (
    "check the address, the connection and the token (hf auth login, or HF_TOKEN), and run the "
    "same command again: what the hub has already is not sent twice"
)

_ERRORS = (HfHubHTTPError, HTTPError, OSError, RuntimeError, ValueError)
"""The library's own, the connection's; RuntimeError of large files, ValueError of a bad card."""


def push(
    files: Mapping[str, Path],
    page: Callable[[Collection[str]], bytes],
    target: HuggingFace,
    private: bool,
) -> str:
    """Sends files, and makes a commit of them and a page; returns the address with the commit.

    What lies in their folders there and is not among them is removed; all else stays.

    Args:
        files: place in the repository -> file.
        page: makes the page, of the names of the files that the repository has.
        target: where to.
        private: whether a repository that is new is seen by nobody else.

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
                CommitOperationAdd(PAGE, page(there)),
                *(CommitOperationAdd(name, file) for name, file in files.items()),
                *map(CommitOperationDelete, stale),
            ],
            commit_message="Exported by hub_export",
        )
    return f"{target}@{commit.oid}"
