"""A checkpoint with the weights of an export that a user has trained.

Variables are brought back under the names of the source's tensors, so that whatever is built of a
checkpoint, and whatever it is compared with, takes them as it takes any others.
"""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from encoders import Architecture, Encoder, Stored, Table, TaskHead
from hub_export.errors import SourceError
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.formats.tensors import LazyTensors
from hub_export.sources.modules import Pipeline, Placed
from hub_export.sources.trained import SavedVariables, Shapes, Values

_WORDS = "embeddings.word.table"


class Part(NamedTuple):
    """Something with variables, below the object of an encoder with a head on it.

    Attributes:
        name: what it is, in words.
        place: what its places begin with.
        table: its weight table.
        shapes: target -> the shape of the variable.
        stored: its variables.
    """

    name: str
    place: str
    table: Table
    shapes: Shapes
    stored: Sequence[Stored]

    @classmethod
    def of_encoder(
        cls, architecture: Architecture, encoder: Encoder, stored: Sequence[Stored]
    ) -> "Part":
        """An encoder, its variables declared."""
        table = architecture.table
        return cls("encoder", "encoder.", table, table.shapes(encoder), stored)

    @classmethod
    def of_head(
        cls, architecture: Architecture, head: TaskHead, stored: Sequence[Stored]
    ) -> "Part":
        """A head, filled; a decoder that it shares with the encoder is none of its own."""
        table = head.table_of(architecture)
        shapes = table.shapes(head)
        own = [each for each in stored if each.row.target in shapes]
        return cls("head", "head.", table, shapes, own)

    @classmethod
    def of_module(cls, at: int, placed: Placed) -> "Part":
        """A module behind a pooling."""
        module = placed.module
        shapes = module.table.shapes(module)
        return cls("modules", f"head.modules.{at}.", module.table, shapes, module.stored())

    def placed(self) -> Shapes:
        """Place -> the shape of the variable."""
        return {f"{self.place}{target}": shape for target, shape in self.shapes.items()}

    def optional(self) -> Iterator[str]:
        """The places that may be empty."""
        return (f"{self.place}{each.row.target}" for each in self.stored if each.row.optional)

    def readers(self, found: Values, tensors: Mapping[str, np.ndarray]) -> Values:
        """What was trained, by the names of the checkpoint's tensors."""
        own = {
            place.removeprefix(self.place): read
            for place, read in found.items()
            if place.startswith(self.place)
        }
        return self.table.undone(self.stored, tensors, own)


def with_trained(
    checkpoint: Checkpoint, path: Path, encoder: Part, head: Part | None = None
) -> Checkpoint:
    """A checkpoint with the weights that were saved at a path.

    Args:
        checkpoint: what was exported before it was trained.
        path: a SavedModel, or a checkpoint of TensorFlow 2.
        encoder: its encoder.
        head: that of its task.

    Raises:
        SourceError: nothing is there that can be read, or no such encoder.
    """
    pipeline = checkpoint.pipeline()
    modules = [Part.of_module(*each) for each in enumerate(pipeline.modules)]
    on_it = [each for each in (*([] if head is None else [head]), *modules) if each.shapes]
    saved = SavedVariables(path)
    found, kept = _found(saved, encoder, on_it), list[str]()
    if found is None and on_it:
        found, kept = _found(saved, encoder, []), sorted({each.name for each in on_it})
    if found is None:
        raise SourceError(
            f"{path}: no object in it has the {len(encoder.shapes)} variables of the encoder of "
            f"{checkpoint.name}, such as {next(iter(encoder.shapes))}; expected its export, "
            "trained and saved, or a model or a checkpoint with that in it"
        )
    own = [encoder, *([] if head is None or kept else [head])]
    note = f"The weights are those of {path.name}, trained in TensorFlow."
    note += f" Of the {' and '.join(kept)}, they are the checkpoint's own." * bool(kept)
    return dataclasses.replace(
        checkpoint,
        folder=None,
        weights_file=path,
        tensors=functools.cache(lambda: _tensors(checkpoint.tensors(), own, found)),
        pipeline=lambda: pipeline if kept else _trained(pipeline, modules, found),
        files={**checkpoint.files, **saved.files},
        notes=(*checkpoint.notes, note),
    )


def _found(saved: SavedVariables, encoder: Part, on_it: Sequence[Part]) -> Values | None:
    """The variables of an encoder, and of what stands on it, in one object."""
    if on_it:
        shapes = {
            place: each for part in (encoder, *on_it) for place, each in part.placed().items()
        }
        return saved.below_one(shapes, [*encoder.optional()], "encoder and head")
    optional = [each.row.target for each in encoder.stored if each.row.optional]
    found = saved.below_one(encoder.shapes, optional, "the encoder")
    return found and {f"{encoder.place}{target}": read for target, read in found.items()}


def _tensors(
    tensors: Mapping[str, np.ndarray], parts: Sequence[Part], found: Values
) -> LazyTensors:
    """Those of a checkpoint, what was trained in the place of its own."""
    trained = {name: each for part in parts for name, each in part.readers(found, tensors).items()}
    kept = {name: functools.partial(tensors.__getitem__, name) for name in tensors}
    encoder, *_ = parts
    words = encoder.readers(
        {place: found[place] for place in [f"{encoder.place}{_WORDS}"]}, tensors
    )
    for name in tensors.keys() - trained.keys():
        for word, read in words.items():
            if np.array_equal(tensors[name], tensors[word]):  # of a decoder that is tied to them
                trained[name] = read
    return LazyTensors({**kept, **trained})


def _trained(pipeline: Pipeline, modules: Sequence[Part], found: Values) -> Pipeline:
    """A pipeline with the trained weights of its modules."""
    made = []
    for part, placed in zip(modules, pipeline.modules, strict=True):
        given = functools.partial(_given, part, placed, found)
        made.append(placed._replace(given=given))
    return dataclasses.replace(pipeline, modules=tuple(made))


def _given(part: Part, placed: Placed, found: Values) -> Mapping[str, np.ndarray]:
    """The tensors of a module, trained or else its own."""
    weights = placed.weights()
    return {**weights, **{name: read() for name, read in part.readers(found, weights).items()}}
