"""One SavedModel of an export: what it is called, what it is, and what a user should know."""

import dataclasses
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import tensorflow as tf
from tensorflow.core.protobuf import fingerprint_pb2

from hub_export.contract import Tensors
from hub_export.errors import TargetError
from hub_export.models import tracing


class Model(Protocol):
    """The root of a SavedModel."""

    def serving(self) -> Mapping[str, Any]:
        """Its signatures."""


@dataclasses.dataclass(frozen=True)
class OfRows:
    """What a model computes of rows of tokens, for copies that read texts outside of the graph.

    Attributes:
        module: what holds the variables.
        compute: ids, mask and type ids, int32 [B, S] each -> float32 outputs by name.
        by_token: outputs that are [B, S, ...]; the others are [B, ...].
        labels: what the columns of logits stand for.
        pairs: whether two texts may share a row.
        prompt: what is put before a text; of a pair, before the first one.
        lengths: of rows that must not be padded.
        options: what a copy has to know besides; see `hub_export.litert.products`.
    """

    module: tf.Module
    compute: Callable[..., Tensors]
    by_token: Sequence[str] = ()
    labels: Sequence[str] = ()
    pairs: bool = False
    prompt: str = ""
    lengths: Sequence[int] = ()
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Product:
    """A model to be.

    Attributes:
        name: what users ask for.
        folder: what it is called in the output folder.
        usage: what goes in and comes out, for a reader of its card.
        build: builds the model.
        notes: what a user should know of what was built, in words for each subject.
        longest: the longest row that it takes; 0 where it takes none.
        rows: makes what it computes of rows; nothing where there is no such thing.
    """

    name: str
    folder: str
    usage: str
    build: Callable[[], Model]
    notes: Callable[[], Mapping[str, Any]]
    longest: int = 0
    rows: Callable[[], OfRows] | None = None

    def save(self, path: Path) -> None:
        """Builds the model and writes it, with its signatures, as a SavedModel.

        Raises:
            ExportError: it cannot be built, or (TargetError) be written.
        """
        with tracing.for_saving():
            model = self.build()
            served = model.serving()
        try:
            tf.saved_model.save(model, str(path), signatures=served)
            _name_by_content(path / "fingerprint.pb")
        except (OSError, tf.errors.OpError) as error:
            raise TargetError(f"{path.parent}: the model cannot be written: {error}") from error


def _name_by_content(file: Path) -> None:
    """Makes two exports of the same the same bytes: TensorFlow puts a random UUID in this file."""
    if file.exists():
        fingerprint = fingerprint_pb2.FingerprintDef.FromString(file.read_bytes())
        fingerprint.uuid = ""
        content = fingerprint.SerializeToString(deterministic=True)
        fingerprint.uuid = str(uuid.uuid5(uuid.NAMESPACE_OID, content.hex()))
        file.write_bytes(fingerprint.SerializeToString(deterministic=True))
