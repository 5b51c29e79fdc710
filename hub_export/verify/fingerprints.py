"""What an export answers when it is verified, recorded, so that it can be proven again without its
source: on another machine, or with another version of TensorFlow.

Of each text, or row of ids, a float output leaves a few numbers: the sums of its elements under
random signs, over the square root of their number. What is not a number that is rounded (ids,
masks, offsets, lengths) leaves a checksum. Outputs that are the best of several are left out:
where two are as good as equal, rounding decides.
"""

import functools
import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_text  # noqa: F401 (loading a preprocessor needs its operations)
from tokenizers import Tokenizer

from hub_export import contract
from hub_export.errors import SourceError, TargetError
from hub_export.models.session import Session
from hub_export.verify import outputs, samples
from hub_export.verify.checks import Check
from hub_export.verify.closeness import Closeness
from hub_export.verify.outputs import Distance

FILE = Path("assets.extra", "fingerprints.json")
_COLUMNS, _BATCH, _FUZZ, _LONGEST, _QUESTION = 16, 16, 208, 240, 12
_CHOSEN = frozenset(
    (contract.ANSWER, contract.CHOICE, contract.LABEL, contract.TOKEN, contract.TOKEN_ID)
)
_PADDED = -1e4
"""What stands for the logit of a place that is none."""

Batch = Mapping[str, Sequence[Any]]
Marks = dict[str, list[Any]]
"""Output -> of each text or row its numbers, or a checksum."""


def record(model: Any, session: Session, folder: Path) -> None:
    """Asks a loaded model, and writes questions and fingerprints of the answers into its folder.

    Raises:
        TargetError: there is no room for them.
    """
    names = _signatures(model)
    batches = [*_batches(model.signatures[names[0]], session)]
    answers = {name: _marks(model.signatures[name], batches) for name in names}
    text = json.dumps({"batches": batches, "answers": answers}, ensure_ascii=False)
    try:
        (folder / FILE).parent.mkdir(exist_ok=True)
        (folder / FILE).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise TargetError(f"{folder / FILE}: cannot be written ({error.strerror})") from error


def compare(folder: Path, closeness: Closeness) -> list[Check]:
    """Loads an export, asks it again, and compares its answers with those recorded.

    Raises:
        SourceError: it has none, or this TensorFlow cannot load it or get an answer.
    """
    try:
        recorded = json.loads((folder / FILE).read_text(encoding="utf-8"))
        model = tf.saved_model.load(str(folder))
        return [
            check
            for name, wanted in recorded["answers"].items()
            for check in _compare(model, name, recorded["batches"], wanted, closeness)
        ]
    except (AttributeError, IndexError, KeyError, OSError, TypeError, ValueError) as error:
        raise SourceError(f"{folder}: cannot be asked again ({error!r:.300})") from error
    except tf.errors.OpError as error:
        message = f"TensorFlow {tf.__version__} cannot run it ({error.message:.300})"
        raise SourceError(f"{folder}: {message}") from error


def _signatures(model: Any) -> list[str]:
    """Those whose outputs are not chosen by others, as far as there are such; of like inputs."""
    if contract.LOGITS in model.signatures:
        return [contract.LOGITS]
    further = (contract.TOKENIZE, contract.LAYERS)
    return [contract.SERVING, *(name for name in further if name in model.signatures)]


def _batches(function: Any, session: Session) -> Iterator[Batch]:
    """What a signature is asked: input -> a value a row."""
    specs = function.structured_input_signature[1]
    if contract.WORD_IDS in specs:
        for arrays in samples.batches(session.size):
            named = contract.inputs(*(each.tolist() for each in arrays))
            yield {name: value for name, value in named.items() if name in specs}
        return
    texts = _texts(session.tokenizer)
    for begin in range(0, len(texts), _BATCH):
        batch = texts[begin : begin + _BATCH]
        names = [name for name in contract.TEXT_INPUTS if name in specs]
        yield {name: _column(name, [*batch[at:], *batch[:at]]) for at, name in enumerate(names)}


def _texts(tokenizer: Tokenizer) -> list[str]:
    special = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    pieces = sorted(tokenizer.get_vocab())
    drawn = [*samples.AWKWARD, *samples.fuzz(pieces, special, _FUZZ)]
    return [text for text in drawn if len(text) <= _LONGEST]


def _column(name: str, texts: Sequence[str]) -> Sequence[Any]:
    """Texts for an input: questions that leave room for their context, choices by twos."""
    if name == contract.QUESTION:
        return [text[:_QUESTION] for text in texts]
    if name == contract.CHOICES:
        return [list(pair) for pair in itertools.pairwise([*texts, texts[0]])]
    return texts


def _marks(function: Any, batches: Sequence[Batch]) -> Marks:
    """Fingerprints of what a signature answers."""
    specs, found = function.structured_input_signature[1], Marks()
    for batch in batches:
        given = {name: tf.constant(value, specs[name].dtype) for name, value in batch.items()}
        answers = {name: each.numpy() for name, each in function(**given).items()}
        for name, rows in _by_row(answers):
            found.setdefault(name, []).extend(_mark(np.asarray(row)) for row in rows)
    return found


def _by_row(answers: Mapping[str, npt.NDArray[Any]]) -> Iterator[tuple[str, Iterable[Any]]]:
    """Output -> what belongs to each text or row."""
    splits = answers.get(contract.ROW_SPLITS)
    for name, value in sorted(answers.items()):
        if name == contract.ROW_SPLITS:
            yield name, np.diff(value)
        elif name not in _CHOSEN:
            yield name, [*value] if splits is None else np.split(value, splits[1:-1])


def _mark(value: npt.NDArray[Any]) -> list[float] | str:
    if not np.issubdtype(value.dtype, np.floating):
        return hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()[:16]
    flat = np.where(value <= _PADDED, 0, value).ravel().astype(np.float64)
    sums = flat @ _signs(flat.size) / np.sqrt(max(flat.size, 1))
    return [float(f"{each:.9g}") for each in sums]


@functools.lru_cache(4)
def _signs(size: int) -> npt.NDArray[np.float64]:
    """[size, _COLUMNS] of 1 and -1, the same ones at every call."""
    # Of this generator alone, numpy promises the same numbers in every version.
    draw = np.random.RandomState(samples.SEED).randint(0, 2, (size, _COLUMNS))
    return np.asarray(draw * 2 - 1, np.float64)


def _compare(
    model: Any, signature: str, batches: Sequence[Batch], wanted: Marks, closeness: Closeness
) -> Iterator[Check]:
    found = _marks(model.signatures[signature], batches)
    for name, rows in wanted.items():
        subject = f"{signature}, {name}"
        if isinstance(rows[0], str):
            pairs = zip(_questions(batches), rows, found[name], strict=True)
            differ = [question for question, was, now in pairs if was != now]
            yield outputs.differences(subject, differ, len(rows))
            continue
        before, now = (np.array(each, np.float32) for each in (rows, found[name]))
        distance = Distance(closeness.distance(now, before), max(1.0, closeness.scale(before)))
        yield outputs.check(subject, distance, closeness, len(rows))


def _questions(batches: Sequence[Batch]) -> Iterator[Any]:
    """What each row was asked."""
    for batch in batches:
        yield from zip(*batch.values(), strict=True)
