"""Addresses of models on the hubs."""

import re
from typing import NamedTuple

from hub_export.errors import ExportError
from hub_export.publish.pages.places import TENSORFLOW, TFLITE

_EXPECTED = "hf://user/model, or kaggle://user/model/tensorFlow2/variation (or tfLite)"
_HUGGING_FACE = re.compile(r"hf://(\w[\w.-]*)/(\w[\w.-]*)")
_SLUG = "([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)"
_KAGGLE = re.compile(rf"kaggle://{_SLUG}/{_SLUG}/({TENSORFLOW}|{TFLITE})/{_SLUG}")


class HuggingFace(NamedTuple):
    """A repository of the Hugging Face hub.

    Attributes:
        owner: user or organisation.
        model: name of the repository.
    """

    owner: str
    model: str

    @property
    def repository(self) -> str:
        """What the hub calls it."""
        return f"{self.owner}/{self.model}"

    def __str__(self) -> str:
        return f"hf://{self.repository}"


class Kaggle(NamedTuple):
    """A variation of a model of Kaggle.

    Attributes:
        owner: user or organisation.
        model: of it.
        framework: TENSORFLOW or TFLITE.
        variation: which one.
    """

    owner: str
    model: str
    framework: str
    variation: str

    def __str__(self) -> str:
        return f"kaggle://{'/'.join(self)}"


def parse(address: str) -> HuggingFace | Kaggle:
    """Reads an address.

    Raises:
        ExportError: it is none.
    """
    if found := _HUGGING_FACE.fullmatch(address):
        return HuggingFace(*found.groups())
    if found := _KAGGLE.fullmatch(address):
        return Kaggle(*found.groups())
    raise ExportError(
        f"push: expected {_EXPECTED}, found {address}; names on Kaggle are lower-case letters, "
        "digits and hyphens"
    )
