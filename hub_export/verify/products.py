"""Which comparison a product gets. The source answers first, and is gone before an export loads."""

from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_text  # noqa: F401 (loading a preprocessor needs its operations)

from hub_export.contract import ZERO_SHOT
from hub_export.models.litert import LiteRtCopy
from hub_export.models.served_litert import ServedCopy
from hub_export.models.session import Session
from hub_export.settings import (
    ENCODER,
    FILL_MASK,
    LATE_INTERACTION,
    MULTIPLE_CHOICE,
    NONE,
    PREPROCESSOR,
    QUESTION_ANSWERING,
    SPARSE_EMBEDDING,
    TASK_MODEL,
    TEXT_CLASSIFICATION,
    TEXT_EMBEDDING,
    TOKEN_CLASSIFICATION,
    product_of,
)
from hub_export.sources.formats import torch_files
from hub_export.terminal import Progress
from hub_export.verify import (
    fingerprints,
    inside,
    litert,
    numbers,
    outputs,
    vectors,
    weights,
)
from hub_export.verify.checks import Check
from hub_export.verify.closeness import closeness
from hub_export.verify.samples import AMOUNTS
from hub_export.verify.source import Source
from hub_export.verify.tasks import (
    classification,
    fill_mask,
    late_interaction,
    multiple_choice,
    question_answering,
    sparse_embedding,
    token_classification,
    zero_shot,
)
from hub_export.verify.tokens import preprocessor, transformers_tokens

EXACT = "exact"
INSIDE, MLM = "inside", "mlm"


def verify(
    session: Session,
    places: Mapping[str, Path],
    copies: Sequence[tuple[LiteRtCopy, Path]],
    progress: Progress,
    record: bool = True,
) -> list[Check]:
    """Compares saved products with their source.

    Args:
        session: what they are made of.
        places: name of a product -> the folder of its SavedModel.
        copies: copies of products, and their folders.
        progress: told of every sample.
        record: whether to write into their folders what they answer.

    Raises:
        SourceError: a library of the source refuses the checkpoint.
    """
    if session.settings.verify == NONE:
        return []
    source, checks = Source(session), list[Check]()
    with full_float32():
        asked = {*places, *(copy.of.name for copy, _ in copies)}
        answers = _ask(source, asked, progress) if torch_files.available() else {}
        for name, place in places.items():
            progress.say(f"loading and verifying the {name}")
            model = tf.saved_model.load(str(place))
            if name == PREPROCESSOR:
                checks += _compare_tokens(model, source, progress)
            else:
                checks.append(weights.compare(model, session, name, progress))
                for subject in (name, *_beside(name, session)):
                    checks += _compare(model, subject, source, answers.get(subject), progress)
            if record:
                fingerprints.record(model, session, place)
        for copy, place in copies:
            progress.say(f"verifying the {copy.kind} copy of the {copy.of.name}")
            checks += _compare_copy(place, copy, source, answers.get(copy.of.name), progress)
    return checks


def device() -> str:
    """What TensorFlow computes an export's numbers on."""
    named = tf.config.experimental.get_device_details
    found = tf.config.list_physical_devices("GPU")
    names = [str(named(each).get("device_name", each.name)) for each in found]
    return f"GPU ({', '.join(names)}), in full float32, without TF32" if names else "CPU"


@contextmanager
def full_float32() -> Iterator[None]:
    """Keeps GPUs from rounding float32 products to TF32 meanwhile, as TensorFlow makes them."""
    config = tf.config.experimental
    before = config.tensor_float_32_execution_enabled()
    config.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        config.enable_tensor_float_32_execution(before)


def note(session: Session, checks: list[Check]) -> dict[str, str]:
    """What a user of the preprocessor should know of an engine that is not exact."""
    engine = session.settings.tokenizer_engine
    if engine == EXACT:
        return {}
    compared = preprocessor.summary(checks) if checks else "not compared with the source"
    return {"tokenizer_engine": f"{engine} engine: {compared}"}


def _ask(source: Source, asked: Container[str], progress: Progress) -> dict[str, Any]:
    """What the source in torch answers about products; then its models are let go."""
    answers, session = dict[str, Any](), source.session
    if ENCODER in asked:
        progress.say("asking the source for numbers")
        answers[ENCODER] = numbers.ask(source.model, session.size)
        if session.inside:
            answers[INSIDE] = inside.ask(source)
        if session.has_mlm:
            answers[MLM] = fill_mask.ask_positions(source)
    if TEXT_EMBEDDING in asked and not source.needs:
        progress.say("asking the source for vectors")
        answers[TEXT_EMBEDDING] = vectors.ask(source, progress)
    task = session.task if TASK_MODEL in session.settings.parts else None
    if task is not None:
        progress.say(f"asking the source for {task.name}")
        answers[product_of(task.name)] = _TASKS[task.name][1].ask(source, progress)
        if task.zero_shot is not None:
            answers[ZERO_SHOT] = zero_shot.ask(source, progress)
    source.release()
    return answers


def _beside(name: str, session: Session) -> Iterator[str]:
    """What a product has besides itself that is compared."""
    if name == ENCODER and session.inside:
        yield INSIDE
    if name == ENCODER and session.has_mlm:
        yield MLM
    is_classification = name == product_of(TEXT_CLASSIFICATION)
    if is_classification and session.task is not None and session.task.zero_shot is not None:
        yield ZERO_SHOT


def _compare_tokens(model: Any, source: Source, progress: Progress) -> list[Check]:
    session = source.session
    amount, ties = AMOUNTS[session.settings.verify], session.settings.tokenizer_engine != EXACT
    tokenizer, types = session.tokenizer, session.tokenization.types
    scripts = session.settings.report
    checks = preprocessor.compare(model, tokenizer, types, progress, amount, ties, scripts)
    return [*checks, *transformers_tokens.compare(source.tokenizer, tokenizer)]


def _compare(
    model: Any, name: str, source: Source, answers: Any, progress: Progress
) -> list[Check]:
    subject, compare = _NUMERIC[name]
    if answers is None:
        return [outputs.not_compared(subject, _needs(source))]
    settings = source.session.settings
    close = closeness(settings.compute_dtype, settings.tolerance)
    found: list[Check] = compare(model, answers, close, progress)
    return found


def _compare_copy(
    place: Path, copy: LiteRtCopy, source: Source, answers: Any, progress: Progress
) -> Iterator[Check]:
    if answers is None:
        yield outputs.not_compared(f"{copy.kind}, {_NUMERIC[copy.of.name][0]}", _needs(source))
    elif isinstance(copy, ServedCopy):
        yield from litert.compare_served(place, copy, answers, progress)
    else:
        yield from litert.compare(place, copy, answers, progress)


def _needs(source: Source) -> str:
    return source.needs if torch_files.available() else "torch"


_TASKS: Mapping[str, tuple[str, Any]] = {
    TEXT_CLASSIFICATION: ("logits", classification),
    TOKEN_CLASSIFICATION: ("entities", token_classification),
    QUESTION_ANSWERING: ("answers", question_answering),
    MULTIPLE_CHOICE: ("choices", multiple_choice),
    FILL_MASK: ("masks", fill_mask),
    SPARSE_EMBEDDING: ("weights of words", sparse_embedding),
    LATE_INTERACTION: ("vectors of tokens", late_interaction),
}
"""What the answers of a task are called, and who asks for them and compares them."""
_NUMERIC: Mapping[str, tuple[str, Any]] = {
    ENCODER: ("numbers", numbers.compare),
    INSIDE: ("numbers by option", inside.compare),
    MLM: ("numbers, mlm_logits", fill_mask.compare_positions),
    ZERO_SHOT: ("scores of zero_shot", zero_shot.compare),
    TEXT_EMBEDDING: ("vectors", vectors.compare),
    **{product_of(name): (subject, each.compare) for name, (subject, each) in _TASKS.items()},
}
