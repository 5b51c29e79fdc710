"""Pushing to Kaggle: a variation of a model, or a new version of it."""

import contextlib
import hashlib
import json
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import Any

from hub_export.checksums import sha256
from hub_export.errors import ExportError, TargetError
from hub_export.publish.push.targets import Kaggle
from hub_export.secrets import guarded

INSTALL = "pip install '.[publish]' in the folder of hub_export"
_REMEDY = (
    "check the address, the connection and the credentials (KAGGLE_API_TOKEN, or KAGGLE_USERNAME "
    "and KAGGLE_KEY), and run the same command again: it goes on with the files that are left"
)


def push(
    files: Mapping[str, Path | bytes],
    target: Kaggle,
    model: Mapping[str, Any],
    instance: Mapping[str, Any],
) -> str:
    """Sends files, and makes a variation of them; returns its address.

    Args:
        files: place in the variation -> file.
        target: where to.
        model: `model-metadata.json`, for a model that is new.
        instance: `model-instance-metadata.json`, for a variation that is new.

    Raises:
        ExportError: kagglehub is missing.
        TargetError: Kaggle refuses it, or cannot be reached.
    """
    try:
        import kagglehub  # noqa: F401, PLC0415
        import requests  # noqa: PLC0415 (what it stands on)
        from kagglehub import exceptions  # noqa: PLC0415
    except ImportError as error:
        raise ExportError(f"pushing to Kaggle needs kagglehub ({INSTALL})") from error
    kinds = (exceptions.BackendError, requests.RequestException, OSError, ValueError)
    with guarded(target, _REMEDY, TargetError, *kinds):
        _make_model(model)
        uploaded = _Uploaded(target)
        directory = _directory(files, uploaded)
        try:
            _make_instance(target, instance, directory)
        except requests.ConnectionError:
            raise
        except kinds:
            uploaded.forget()  # Kaggle may no longer have what an earlier run sent
            raise
        uploaded.forget()
    return str(target)


class _Uploaded:
    """What has been sent, by its checksum: a push that failed goes on where it was."""

    def __init__(self, target: Kaggle) -> None:
        from kagglehub import config  # noqa: PLC0415 (optional)

        name = hashlib.sha256(str(target).encode()).hexdigest()[:16]
        self._file = Path(config.get_cache_folder(), "hub_export", f"{name}.json")
        self._tokens: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(self._file.read_text(encoding="utf-8"))
            self._tokens = {str(key): str(value) for key, value in found.items()}

    def token(self, file: Path) -> str:
        """What Kaggle calls a file; it is sent if need be."""
        from kagglehub import gcs_upload, models  # noqa: PLC0415 (optional)

        name = f"{file.name} {sha256(file)}"
        if name not in self._tokens:
            kind = models.ApiBlobType.MODEL
            sent = gcs_upload.upload_files_and_directories(
                str(file), ignore_patterns=(), item_type=kind, quiet=True
            )
            (self._tokens[name],) = sent.files
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.touch(mode=0o600)
            self._file.write_text(json.dumps(self._tokens), encoding="utf-8")
        return self._tokens[name]

    def forget(self) -> None:
        """Removes the record."""
        self._file.unlink(missing_ok=True)


def _directory(files: Mapping[str, Path | bytes], uploaded: _Uploaded) -> Any:
    """The files as Kaggle wants them: a folder of tokens and folders."""
    from kagglehub.gcs_upload import UploadDirectoryInfo  # noqa: PLC0415 (optional)

    root = UploadDirectoryInfo(name="root")
    for name, file in files.items():
        place = root
        for folder in PurePosixPath(name).parts[:-1]:
            inner = next((each for each in place.directories if each.name == folder), None)
            if inner is None:
                place.directories.append(inner := UploadDirectoryInfo(name=folder))
            place = inner
        assert isinstance(file, Path)
        place.files.append(uploaded.token(file))
    return root


def _make_model(metadata: Mapping[str, Any]) -> None:
    """Makes the model, where it is not there; one that is there stays as it is."""
    from kagglehub.clients import build_kaggle_client  # noqa: PLC0415 (optional)
    from kagglehub.exceptions import (  # noqa: PLC0415
        KaggleApiHTTPError,
        handle_call,
        handle_mutate_call,
    )
    from kagglesdk.models.types import model_api_service as api  # noqa: PLC0415

    wanted = api.ApiGetModelRequest()
    wanted.owner_slug, wanted.model_slug = metadata["ownerSlug"], metadata["slug"]
    with build_kaggle_client() as client:
        models = client.models.model_api_client
        try:
            handle_call(lambda: models.get_model(wanted))
        except KaggleApiHTTPError as error:
            missing = (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN)
            if error.response is None or error.response.status_code not in missing:
                raise
            request = model_request(metadata)
            handle_mutate_call(lambda: models.create_model(request))


def _make_instance(target: Kaggle, metadata: Mapping[str, Any], directory: Any) -> None:
    """Makes the variation; a new version of it where it is there."""
    from kagglehub.clients import build_kaggle_client  # noqa: PLC0415 (optional)
    from kagglehub.exceptions import BackendError, handle_mutate_call  # noqa: PLC0415

    request, sent = instance_request(metadata), directory.to_proto()
    with build_kaggle_client() as client:
        models = client.models.model_api_client
        try:
            made = _holding(sent, request)
            handle_mutate_call(lambda: models.create_model_instance(made))
        except BackendError as error:
            if error.error_code != HTTPStatus.CONFLICT:
                raise
            version = _holding(sent, _version_request(target, request.body.framework))
            handle_mutate_call(lambda: models.create_model_instance_version(version))


def _version_request(target: Kaggle, framework: Any) -> Any:
    from kagglesdk.models.types import model_api_service as api  # noqa: PLC0415 (optional)

    request = api.ApiCreateModelInstanceVersionRequest()
    request.owner_slug, request.model_slug = target.owner, target.model
    request.instance_slug, request.framework = target.variation, framework
    request.body = api.ApiCreateModelInstanceVersionRequestBody()
    return request


def _holding(sent: Any, request: Any) -> Any:
    """A request with the files that were sent."""
    request.body.files, request.body.directories = sent.files, sent.directories
    return request


def model_request(metadata: Mapping[str, Any]) -> Any:
    """What Kaggle is asked for, of `model-metadata.json`.

    Raises:
        TypeError: a value is not of the type that Kaggle's library wants.
    """
    from kagglesdk.models.types import model_api_service as api  # noqa: PLC0415 (optional)

    return api.ApiCreateModelRequest.from_dict({k: v for k, v in metadata.items() if v != ""})


def instance_request(metadata: Mapping[str, Any]) -> Any:
    """What Kaggle is asked for, of `model-instance-metadata.json`.

    Raises:
        TypeError: a value is not of the type that Kaggle's library wants.
    """
    from kagglesdk.models.types import model_api_service as api  # noqa: PLC0415 (optional)

    given = {key: value for key, value in metadata.items() if value != ""}
    request = api.ApiCreateModelInstanceRequest()
    request.owner_slug, request.model_slug = given.pop("ownerSlug"), given.pop("modelSlug")
    request.body = api.ApiCreateModelInstanceRequestBody.from_dict(given)
    return request
