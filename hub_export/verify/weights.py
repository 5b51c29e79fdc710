"""Comparing every variable of an export, loaded from disk, with the checkpoint, bit by bit.

Samples cannot see each element: an id that no sample has, or a bias that softmax cancels. So the
tensors are read anew, brought into the form of the variables by the rows of the weight table, and
compared with what TensorFlow loads.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from hub_export.models.session import Session
from hub_export.settings import ENCODER, TEXT_EMBEDDING
from hub_export.terminal import Progress
from hub_export.verify.checks import Check, Outcome

_SHOWN = 3


def compare(model: Any, session: Session, name: str, progress: Progress) -> Check:
    """Compares the variables of a product; none may differ or be left over.

    Args:
        model: the loaded SavedModel.
        session: what it is made of.
        name: of the product.
        progress: told of every variable.
    """
    left = {id(variable): variable.name for variable in _variables(model)}
    differences, count = list[str](), len(left)
    wanted = _WANTED.get(name, _task_model)(session)
    with progress.bar("verifying weights", count) as advance:
        for path, values in wanted:
            variable = functools.reduce(_child, path.split("."), model)
            if variable is None:
                differences.append(f"{path} is missing")
                continue
            left.pop(id(variable), None)
            if difference := _difference(variable.numpy(), values):
                differences.append(f"{path}{difference}")
            advance(1)
    differences += [f"{name} is not the source's" for name in sorted(left.values())]
    words = f"{len(differences)} of {count} variables differ from the checkpoint"
    words += f", the first: {differences[0]}" if differences else ", bit by bit"
    figures = {
        "compared": count,
        "differences": len(differences),
        "first": differences[:_SHOWN],
    }
    outcome = Outcome.FAILED if differences else Outcome.PASSED
    return Check(f"weights of the {name.replace('_', ' ')}", outcome, words, figures)


def _child(part: Any, step: str) -> Any:
    if part is None:
        return None
    return part[int(step)] if step.isdigit() else getattr(part, step, None)


def _variables(model: Any) -> list[Any]:
    """Those of a product, and of the masked language model that an encoder may have."""
    return [*model.variables, *(model.mlm.variables if hasattr(model, "mlm") else ())]


def _encoder(session: Session) -> Iterator[tuple[str, np.ndarray]]:
    yield from _paths(session, "encoder", session.absent)
    if session.has_mlm:
        yield from _head(session, "mlm.headed.head")


def _text_embedding(session: Session) -> Iterator[tuple[str, np.ndarray]]:
    plan = session.plan
    absent = {*session.absent, *(() if plan.pooling is None else ("pooler",))}
    yield from _paths(session, "embedder.encoder", absent)
    yield from _modules(session, "embedder.head")


def _task_model(session: Session) -> Iterator[tuple[str, np.ndarray]]:
    head, _ = session.head
    absent = {*session.absent, *(() if head.needs_pooler else ("pooler",))}
    yield from _paths(session, "headed.encoder", absent)
    yield from _head(session, "headed.head")
    if head.takes_modules:
        yield from _modules(session, "headed.head")


def _modules(session: Session, root: str) -> Iterator[tuple[str, np.ndarray]]:
    """Those of the plan."""
    plan = session.plan
    for at, placed in enumerate(plan.modules):
        for path, values in placed.module.expected(plan.weights_of(placed)):
            yield f"{root}.modules.{at}.{path}", values


def _head(session: Session, root: str) -> Iterator[tuple[str, np.ndarray]]:
    head, stored = session.head
    expected = head.expected(session.architecture, stored, session.checkpoint.tensors())
    for path, values in expected:
        yield f"{root}.{path}", values


_WANTED: Mapping[str, Callable[[Session], Iterator[tuple[str, np.ndarray]]]] = {
    ENCODER: _encoder,
    TEXT_EMBEDDING: _text_embedding,
}


def _paths(
    session: Session, root: str, absent: set[str] | frozenset[str]
) -> Iterator[tuple[str, np.ndarray]]:
    table, tensors = session.architecture.table, session.checkpoint.tensors()
    for path, values in table.expected(session.stored, tensors, absent):
        yield f"{root}.{path}", values


def _difference(found: np.ndarray, wanted: np.ndarray) -> str:
    """Where two arrays differ in a bit; nothing where they do not."""
    if (found.shape, found.dtype) != (wanted.shape, wanted.dtype):
        return f": expected {wanted.dtype} {wanted.shape}, found {found.dtype} {found.shape}"
    bits = f"u{wanted.dtype.itemsize}"
    differs = found.view(bits) != wanted.view(bits)
    if not differs.any():
        return ""
    at = np.unravel_index(int(differs.argmax()), wanted.shape)
    place = [int(each) for each in at]
    return f"{place}: expected {wanted[at]}, found {found[at]}"
