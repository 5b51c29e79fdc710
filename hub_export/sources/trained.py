"""Variables that TensorFlow 2 has saved, found by the places that they have in an object.

A SavedModel and an object-based checkpoint hold the graph of the objects that were saved
(`TrackableObjectGraph`, tensorflow/core/protobuf/trackable_object_graph.proto): each object's
children by name, each variable's key. So the encoder of an export is found wherever a user's model
has put it, whatever else was trained or saved beside it.
"""

import functools
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from hub_export.errors import SourceError
from hub_export.sources.formats.json_files import sums

_GRAPH, _VALUE = "_CHECKPOINTABLE_OBJECT_GRAPH", "VARIABLE_VALUE"
_SAVED_MODEL = Path("variables", "variables")
_EXPECTED = (
    "expected a SavedModel (saved_model.pb, variables/) or a checkpoint of TensorFlow 2 "
    "(checkpoint, NAME.index, NAME.data-...)"
)
_UNREADABLE = (tf.errors.OpError, LookupError, RuntimeError, ValueError)
_SHOWN = 3

Shapes = Mapping[str, tuple[int, ...]]
Values = Mapping[str, Callable[[], np.ndarray]]


class _Place(NamedTuple):
    """An object of the graph, and the variables that were looked for below it.

    Attributes:
        path: one of its places, in words.
        keys: path below it -> the key of the variable.
        others: paths of those below it that were not looked for.
    """

    path: str
    keys: Mapping[str, str]
    others: tuple[str, ...]


class SavedVariables:
    """What a SavedModel or a checkpoint holds."""

    def __init__(self, path: Path) -> None:
        """Opens it.

        Args:
            path: the folder of a SavedModel or of checkpoints, whose newest is taken; or what the
                names of a checkpoint's files begin with.

        Raises:
            SourceError: there is none, or it is damaged or has no objects.
        """
        self.path, self._prefix = path, _prefix(path)
        try:
            self._reader = tf.train.load_checkpoint(str(self._prefix))
            self._shapes: Mapping[str, list[int]] = self._reader.get_variable_to_shape_map()
        except _UNREADABLE as error:
            raise SourceError(f"{path}: cannot be read as a checkpoint ({error})") from error
        if _GRAPH not in self._shapes:
            raise SourceError(f"{path}: has no objects, as in TensorFlow 1; {_EXPECTED}")
        content = self._read(_GRAPH)
        graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(content)
        self._nodes = graph.nodes
        self._children = [
            {each.local_name: each.node_id for each in node.children} for node in graph.nodes
        ]

    @property
    def files(self) -> Mapping[str, str]:
        """The files of the checkpoint -> their sha256."""
        return sums(sorted(self._prefix.parent.glob(f"{self._prefix.name}.*")))

    def below_one(self, shapes: Shapes, optional: Collection[str], what: str) -> Values | None:
        """The variables of the one object that has all of these places; None without any.

        Args:
            shapes: path below the object, such as `blocks.0.attention.query.kernel` -> the shape
                that the variable must have.
            optional: paths that may be missing.
            what: what the object is, in words.

        Raises:
            SourceError: several objects have them, with variables of their own; the object has
                others beside them; or a shape is another one.
        """
        wanted = [path for path in shapes if path not in optional]
        found: dict[tuple[str, ...], _Place] = {}
        for node, path in self._objects():
            if self._key(node, wanted[0]) is None:
                continue
            keys = {each: key for each in shapes if (key := self._key(node, each)) is not None}
            if keys.keys() >= {*wanted}:
                found.setdefault(tuple(keys.values()), self._place(node, path, keys))
        if not found:
            return None
        if len(found) > 1:
            places = ", ".join(each.path for each in found.values())
            raise SourceError(
                f"{self.path}: holds {len(found)} objects that may be {what}: {places}; save the "
                "one to export by itself (tf.train.Checkpoint(model=...).write)"
            )
        [place] = found.values()
        self._check(place, shapes, what)
        return {path: functools.partial(self._read, key) for path, key in place.keys.items()}

    def _objects(self) -> Iterator[tuple[int, str]]:
        """Every object that can be reached from the root, and a shortest path to it."""
        paths, queue = {0: "the whole"}, [0]
        for node in queue:
            yield node, paths[node]
            for name, child in self._children[node].items():
                if child not in paths:
                    paths[child] = name if not node else f"{paths[node]}.{name}"
                    queue.append(child)

    def _key(self, node: int, path: str) -> str | None:
        """The key of the variable at a path below an object."""
        at: int | None = node
        for step in path.split("."):
            if at is None:
                return None
            at = self._children[at].get(step)
        return None if at is None else self._key_of(at)

    def _key_of(self, node: int) -> str | None:
        attributes = self._nodes[node].attributes
        return next((each.checkpoint_key for each in attributes if each.name == _VALUE), None)

    def _place(self, node: int, path: str, keys: Mapping[str, str]) -> _Place:
        others, below = [], {node: ""}
        taken, queue = {*keys.values()}, [node]
        for at in queue:
            key = self._key_of(at)
            if key is not None and key not in taken:
                others.append(below[at])
            for name, child in self._children[at].items():
                if child not in below:
                    below[child] = f"{below[at]}.{name}".removeprefix(".")
                    queue.append(child)
        return _Place(path, keys, tuple(others))

    def _check(self, place: _Place, shapes: Shapes, what: str) -> None:
        found = {path: tuple(self._shapes[key]) for path, key in place.keys.items()}
        problems = [
            f"{path}: expected shape {list(shapes[path])}, found {list(shape)}"
            for path, shape in found.items()
            if shape != shapes[path]
        ]
        problems += [f"{path}: {what} of the model has none" for path in place.others]
        if problems:
            more = f" (and {len(problems) - _SHOWN} more)" * (len(problems) > _SHOWN)
            raise SourceError(
                f"{self.path}: {place.path} is not {what} of the model: "
                f"{'; '.join(problems[:_SHOWN])}{more}"
            )

    def _read(self, key: str) -> Any:
        try:
            return self._reader.get_tensor(key)
        except _UNREADABLE as error:
            raise SourceError(f"{self.path}: {key} cannot be read ({error})") from error


def _prefix(path: Path) -> Path:
    """What the names of a checkpoint's files begin with."""
    newest = tf.train.latest_checkpoint(str(path)) if path.is_dir() else None
    for each in (path / _SAVED_MODEL, path, *([] if newest is None else [Path(newest)])):
        if each.with_name(f"{each.name}.index").is_file():
            return each
    if not path.is_dir():
        raise SourceError(f"{path}: no such folder or checkpoint; {_EXPECTED}, pretrained or none")
    names = sorted(each.name for each in path.iterdir())
    raise SourceError(f"{path}: holds {', '.join(names[:_SHOWN]) or 'nothing'}; {_EXPECTED}")
