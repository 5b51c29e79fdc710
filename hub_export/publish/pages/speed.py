"""How fast the models of an export are on this machine, and what its page says of that."""

import dataclasses
import platform
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import tensorflow as tf
import tensorflow_text  # noqa: F401 (its operations)

from hub_export import contract
from hub_export.litert import TextModel
from hub_export.litert.model import cores
from hub_export.publish.pages.facts import Facts, Part, Speed
from hub_export.publish.pages.signatures import Tensor
from hub_export.timing import seconds

BATCH = 32
_TEXT = "The quick brown fox jumps over the lazy dog, and nobody knows why it does so every day."

Ask = Callable[[Sequence[str]], object]


def measured(facts: Facts) -> Facts:
    """The same facts, with the speed of every part that takes one text a row."""
    speeds = [
        Speed(part.name, precision, 1000 * _seconds(ask, 1), BATCH / _seconds(ask, BATCH))
        for part in facts.parts
        for precision, ask in _askable(part)
    ]
    machine = f"TensorFlow {tf.__version__} on {cores()} cores, {platform.machine()}"
    return dataclasses.replace(facts, speeds=speeds, machine=machine)


def _askable(part: Part) -> Iterator[tuple[str, Ask]]:
    """Precision, and what answers texts."""
    if not part.is_copy:
        if any(
            _takes_texts(each.inputs) for each in part.signatures if each.name == contract.SERVING
        ):
            yield "", _of_saved(part.folder)
        return
    for file in part.models if part.name.endswith("_litert") else ():
        precision = Path(file).stem.rpartition("_")[2]
        if (part.folder / "tokenizer.json").is_file():
            signature = TextModel(part.folder, precision).signatures.get(contract.SERVING)
            if signature and signature.inputs == (contract.TEXT,):
                yield precision, signature.ask


def _takes_texts(inputs: Sequence[Tensor]) -> bool:
    """Whether a signature takes one text a row, and nothing else."""
    return [each.name for each in inputs] == [contract.TEXT]


def _of_saved(folder: Path) -> Ask:
    function = tf.saved_model.load(str(folder)).signatures[contract.SERVING]
    return lambda texts: function(text=tf.constant(texts))


def _seconds(ask: Ask, count: int) -> float:
    """The time of a call with so many texts."""
    texts = [_TEXT] * count
    return seconds(lambda: ask(texts))
