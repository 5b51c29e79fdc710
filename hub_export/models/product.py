"""One SavedModel of an export: what it is called, what it is, and what a user should know."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import tensorflow as tf

from hub_export.errors import TargetError


class Model(Protocol):
    """The root of a SavedModel."""

    def serving(self) -> Mapping[str, Any]:
        """Its signatures."""


@dataclasses.dataclass(frozen=True)
class Product:
    """A model to be.

    Attributes:
        name: what users ask for.
        folder: what it is called in the output folder.
        usage: what goes in and comes out, for a reader of its card.
        build: builds the model.
        notes: what a user should know of what was built, in words for each subject.
    """

    name: str
    folder: str
    usage: str
    build: Callable[[], Model]
    notes: Callable[[], Mapping[str, Any]]

    def save(self, path: Path) -> None:
        """Builds the model and writes it, with its signatures, as a SavedModel.

        Raises:
            ExportError: it cannot be built, or (TargetError) be written.
        """
        model = self.build()
        try:
            tf.saved_model.save(model, str(path), signatures=model.serving())
        except (OSError, tf.errors.OpError) as error:
            raise TargetError(f"{path.parent}: the model cannot be written: {error}") from error
