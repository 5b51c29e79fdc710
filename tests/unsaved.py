"""What an export would save and compare, without saving it: for tests that ask for no more.

That what is saved and loaded again is the same is tested of encoders, tokenizers and tasks in
`conformance/`, of text embeddings in `hub_export/`.
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import tensorflow as tf

from hub_export import contract
from hub_export.models.product import Product as Unbuilt
from hub_export.models.products import PRODUCTS
from hub_export.models.session import Session
from hub_export.options import named
from hub_export.settings import NONE, Settings
from hub_export.sources import find
from hub_export.terminal import Progress
from hub_export.verify import numbers
from hub_export.verify import products as verification
from hub_export.verify.checks import Check, Outcome
from hub_export.verify.closeness import CLOSENESS
from hub_export.verify.outputs import Road, distances
from hub_export.verify.references.encoder import Reference
from tests import checkpoints


class AsLoaded:
    """A model that has been built, called as one that has been loaded."""

    def __init__(self, built: Any) -> None:
        self._built = built

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._built.__call__(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._built, name)
        return AsLoaded(found) if isinstance(found, tf.train.Checkpoint) else found

    @functools.cached_property
    def signatures(self) -> Mapping[str, Any]:
        """By name, of inputs by name."""

        def by_name(serve: Any, **inputs: Any) -> Any:
            specs = serve.input_signature
            assert inputs.keys() == {each.name for each in specs}
            return serve(*(inputs[each.name] for each in specs))

        return {
            name: functools.partial(by_name, each) for name, each in self._built.serving().items()
        }


class Product(NamedTuple):
    """A part of an export.

    Attributes:
        model: it, neither saved nor verified.
        notes: what a user should know of it.
    """

    model: Any
    notes: Mapping[str, Any]


def session(source: Path, **options: Any) -> Session:
    """That of an export with these options."""
    asked = named(Settings, str(source), **{"name": "x", **options})
    asked.check()
    base = None if asked.base_model is None else str(asked.base_model)
    return Session(find.read(str(source), base, asked.weights != NONE, asked.route), asked)


def _unbuilt(source: Path, part: str, options: Mapping[str, Any]) -> tuple[Session, Unbuilt]:
    made = session(source, **{"parts": (part,), **options})
    found = PRODUCTS[part](made)
    assert found is not None
    return made, found


def notes(source: Path, part: str, **options: Any) -> Mapping[str, Any]:
    """What a user should know of a part of an export with these options; it is not built."""
    return _unbuilt(source, part, options)[1].notes()


def product(source: Path, part: str, **options: Any) -> Product:
    """A part of what an export with these options would save."""
    _, found = _unbuilt(source, part, options)
    return Product(AsLoaded(found.build()), found.notes())


def checks(source: Path, part: str, **options: Any) -> tuple[Product, list[Check]]:
    """The same, and what an export that verifies would say of it."""
    made, found = _unbuilt(source, part, {"verify": "full", **options})
    built, place = Product(AsLoaded(found.build()), found.notes()), Path(found.name)
    made.release()  # as an export does, before it verifies
    with mock.patch.object(tf.saved_model, "load", {str(place): built.model}.__getitem__):
        said = verification.verify(
            made, {found.name: place}, [], Progress(quiet=True), record=False
        )
    return built, said


def compared(folder: Path, dtype: str = "float32") -> dict[str, Outcome]:
    """What comparing its encoder with torch says of each output: the numbers of its call alone."""
    encoder, _ = checkpoints.built(folder, dtype=tf.as_dtype(dtype))
    size = encoder.dimensions
    reference = Reference.load(find.read(str(folder)), size, encoder.pooler is not None)
    answers = numbers.ask(reference, size)

    def encode(inputs: contract.Tensors) -> dict[str, Any]:
        found = contract.flat(contract.outputs(*encoder(*inputs.values())))
        return {name: each.numpy() for name, each in found.items()}

    worst = distances(answers, [Road(encode)], CLOSENESS[dtype])
    found = numbers.checks(worst, [*answers[0].wanted], CLOSENESS[dtype])
    return {check.subject: check.outcome for check in found}
