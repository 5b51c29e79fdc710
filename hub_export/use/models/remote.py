"""Exports that were pushed to a hub: got back, compared with their list of files, loaded."""

import re
from pathlib import Path
from typing import Any, NamedTuple

from hub_export import contents
from hub_export.checksums import sha256 as checksum
from hub_export.contents import ASSETS
from hub_export.errors import ExportError, SourceError
from hub_export.secrets import guarded

_EXPECTED = "hf://user/model[@revision], or kaggle://user/model/framework/variation[/version]"
_HUGGING_FACE = re.compile(r"hf://(\w[\w.-]*/\w[\w.-]*)(?:@([\w./-]+))?")
_KAGGLE = re.compile(r"kaggle://((?:[\w-]+/){3}[\w-]+(?:/\d+)?)")
_REMEDY = "check the address, the connection and the access token"


class Fetched(NamedTuple):
    """An export on this machine.

    Attributes:
        folder: where it is.
        address: the same revision again, whatever is pushed later: of the Hugging Face hub the
            commit, of Kaggle the version.
        sha256: of its list of files, which has the checksums of all others.
    """

    folder: Path
    address: str
    sha256: str


def load(address: str, part: str = "", *, sha256: str = "") -> Any:
    """Gets an export from a hub, proves its files, and loads the SavedModel.

    A SavedModel is a program: take one from somebody whose program you would run.

    Args:
        address: `hf://user/model@revision`, or `kaggle://user/model/framework/variation/version`.
            Without a revision, it is the newest; `fetch` tells which one that is.
        part: which part of the export, such as `text_embedding`; on Kaggle, the variation says so.
        sha256: what `Fetched.sha256` must be. It pins every byte, also where the hub is not
            trusted.

    Raises:
        SourceError: it cannot be had, or is not what was pushed.
        ExportError: the address is none, or names no part; or it is a copy for LiteRT.
    """
    found = fetch(address, part, sha256=sha256)
    if not (found.folder / "saved_model.pb").is_file():
        raise ExportError(
            f"{address}: {part} is no SavedModel; load what is in hub_export.use.fetch(...).folder "
            "by hub_export.litert"
        )
    import tensorflow as tf  # noqa: PLC0415 (files can be had without it)
    import tensorflow_text  # noqa: F401, PLC0415 (its operations)

    return tf.saved_model.load(str(found.folder))


def fetch(address: str, part: str = "", *, sha256: str = "") -> Fetched:
    """Gets an export from a hub and proves its files; arguments and errors are those of `load`."""
    if found := _HUGGING_FACE.fullmatch(address):
        folder, pinned = _from_hugging_face(address, found[1], found[2], part)
    elif found := _KAGGLE.fullmatch(address):
        folder, pinned = _from_kaggle(address, found[1])
    else:
        raise ExportError(f"expected {_EXPECTED}, found {address}")
    return Fetched(folder, pinned, _proven(folder, pinned, part, sha256))


def _from_hugging_face(
    address: str, repository: str, revision: str | None, part: str
) -> tuple[Path, str]:
    """The folder of a part's newest version, and the address with the commit."""
    if not re.fullmatch(r"\w+", part):
        raise ExportError(
            f"{address}: say which part of the export, such as text_embedding; found {part!r}"
        )
    from huggingface_hub import snapshot_download  # noqa: PLC0415 (slow to import)
    from huggingface_hub.errors import HfHubHTTPError, HTTPError  # noqa: PLC0415

    kinds = (HfHubHTTPError, HTTPError, OSError, ValueError)
    with guarded(address, f"{_REMEDY} (HF_TOKEN)", SourceError, *kinds):
        got = Path(snapshot_download(repository, revision=revision, allow_patterns=[f"{part}/*"]))
    versions = [each for each in (got / part).glob("*") if each.name.isdecimal()]
    if not versions:
        raise SourceError(
            f"{address}: expected the part {part}, as hub_export publish --push writes it, found "
            "none; see the page of the model for its parts"
        )
    return max(versions, key=lambda each: int(each.name)), f"hf://{repository}@{got.name}"


def _from_kaggle(address: str, handle: str) -> tuple[Path, str]:
    """The folder of a version, and its address."""
    try:
        import kagglehub  # noqa: PLC0415 (optional)
    except ImportError as error:
        raise ExportError(
            f"{address}: needs kagglehub (pip install '.[publish]' in the folder of hub_export)"
        ) from error
    # It has no base class of its own for what goes wrong.
    with guarded(address, f"{_REMEDY} (KAGGLE_API_TOKEN)", SourceError, Exception):
        folder = Path(kagglehub.model_download(handle))
    unversioned = "/".join(handle.split("/")[:4])
    return folder, f"kaggle://{unversioned}/{folder.name}"


def _proven(folder: Path, address: str, part: str, wanted: str) -> str:
    """The checksum of an export's list of files, if its files are what that says.

    Raises:
        SourceError: they are not, or it is another export.
    """
    found = contents.read(folder)
    own = checksum(found.assets / contents.FILE)
    if wanted and own != wanted:
        raise SourceError(
            f"{address}: expected contents.json of sha256 {wanted}, found {own}; another export "
            "was pushed there"
        )
    if part and found.part != part:
        raise SourceError(f"{address}: expected the {part}, found the {found.part}")
    found.check(folder)
    if others := [name for name in found.extra(folder) if not name.startswith(f"{ASSETS}/")]:
        raise SourceError(
            f"{address}: has files that are not of the export: {', '.join(others[:3])}; it was not "
            "pushed by hub_export, or changed since"
        )
    return own
