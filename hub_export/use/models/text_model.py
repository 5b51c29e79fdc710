"""An exported model that takes texts, as a program uses it."""

import dataclasses
import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_text  # noqa: F401 (its operations)

from hub_export.contract import CHOICES, LABELS, MASK, TEXT, TEXT_INPUTS, TOKENS
from hub_export.errors import ExportError, SourceError

Arrays = dict[str, npt.NDArray[Any]]
Text = bytes | Sequence[bytes]
"""A text of a row, or a list of them."""
Shape = tuple[int | None, ...]

# What tells a model from another: the index has a checksum of every variable.
_FINGERPRINTED = ("saved_model.pb", "variables/variables.index")
_MODELS = 8  # that stay loaded in a process


@dataclasses.dataclass(frozen=True)
class Signature:
    """What a signature takes and gives.

    Attributes:
        inputs: their names, in the order of `contract.TEXT_INPUTS`; others behind, by name.
        outputs: name -> static shape, by name.
        takes_texts: whether every input is a batch of strings, one a row, or of lists of them.
    """

    inputs: tuple[str, ...]
    outputs: Mapping[str, Shape]
    takes_texts: bool


class AnyTextModel(Protocol):
    """What takes texts, in whichever form it was exported; see `SavedTextModel`."""

    @property
    def fingerprint(self) -> str:
        """Differs between any two models."""

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """By name."""

    def __call__(
        self, signature: str, texts: Mapping[str, Sequence[Text]], batch_size: int
    ) -> Iterator[tuple[npt.NDArray[np.intp], Arrays]]:
        """Answers rows of similar length together."""

    def tokens(self, texts: Sequence[bytes], batch_size: int) -> int:
        """How many tokens texts have, special ones included; 0 where it does not say so."""

    def unlike(self, error: Exception) -> SourceError:
        """What to raise where it is not what it should be."""


class SavedTextModel:
    """An exported model by its folder; loaded once a process, when it is first asked.

    It can be pickled: only what the folder is called goes along.
    """

    def __init__(
        self, folder: Path, kind: str = "text model", place: str = "<name>_<task>"
    ) -> None:
        """Loads nothing yet.

        Args:
            folder: of the SavedModel.
            kind: what it should be, for errors.
            place: how exports of this kind are called, for errors.
        """
        self._folder, self._kind, self._place = folder, kind, place

    def __reduce__(self) -> tuple[type["SavedTextModel"], tuple[Path, str, str]]:
        return SavedTextModel, (self._folder, self._kind, self._place)

    def __str__(self) -> str:
        return str(self._folder)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Differs between any two models."""
        files = (self._folder / name for name in _FINGERPRINTED)
        content = b"".join(file.read_bytes() for file in files if file.is_file())
        return hashlib.sha256(content).hexdigest()

    @functools.cached_property
    def signatures(self) -> Mapping[str, Signature]:
        """By name.

        Raises:
            SourceError: there is no model.
        """
        return {name: _signature(function) for name, function in self._functions.items()}

    def __call__(
        self, signature: str, texts: Mapping[str, Sequence[Text]], batch_size: int
    ) -> Iterator[tuple[npt.NDArray[np.intp], Arrays]]:
        """Answers rows of similar length together, and of lists those that are as long.

        Args:
            signature: which one to ask.
            texts: input -> n texts.
            batch_size: rows that are asked together.

        Returns:
            For each batch which of the rows it holds, [B], and the outputs by name.

        Raises:
            SourceError: there is no model.
            ExportError: it has no answer.
        """
        function = self._functions[signature]
        for rows in batches([*texts.values()], batch_size):
            batch = {
                name: tf.constant([column[row] for row in rows], tf.string)
                for name, column in texts.items()
            }
            try:
                outputs = {name: each.numpy() for name, each in function(**batch).items()}
            except tf.errors.OpError as error:
                raise ExportError(f"{self._folder}: {signature}: {error.message}") from error
            yield rows, outputs

    def tokens(self, texts: Sequence[bytes], batch_size: int) -> int:
        """How many tokens texts have, special ones included.

        It is 0 where the model has no signature that says so.
        """
        if TOKENS not in self._functions or not texts:
            return 0
        asked = self(TOKENS, {TEXT: texts}, batch_size)
        return sum(int(np.sum(outputs[MASK])) for _, outputs in asked)

    def unlike(self, error: Exception) -> SourceError:
        """What to raise where it is not what it should be."""
        return SourceError(
            f"{self._folder}: not a {self._kind} that hub_export wrote ({error}); expected "
            f"<output_dir>/{self._place}/<version>"
        )

    @property
    def _functions(self) -> Mapping[str, Any]:
        try:
            return _loaded(self._folder, self.fingerprint).signatures
        except (OSError, AttributeError, IndexError, tf.errors.OpError) as error:
            raise self.unlike(error) from error


def compute_on(threads: int) -> None:
    """Sets how many cores TensorFlow computes on in this process.

    Raises:
        ExportError: it is less than one, or TensorFlow has begun with another number.
    """
    if threads < 1:
        raise ExportError(f"threads must be 1 or more, not {threads}")
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError as error:
        raise ExportError(
            f"threads: TensorFlow already computes in this process, and not on {threads}; use the "
            "model before anything else of TensorFlow, or leave `threads` out"
        ) from error


@functools.lru_cache(_MODELS)
def _loaded(folder: Path, fingerprint: str) -> Any:
    del fingerprint  # of the same folder, it tells a model from the one that it replaced
    return tf.saved_model.load(str(folder))


def batches(columns: Sequence[Sequence[Text]], batch_size: int) -> Iterator[npt.NDArray[np.intp]]:
    """Which rows are asked together: those of similar length, and of lists those as long."""
    sizes = np.array([[_size(text) for text in column] for column in columns])
    sizes = sizes.reshape([len(columns), -1, 2])
    counts, lengths = sizes.sum(0).T
    order = np.lexsort([lengths, counts])
    begins = np.flatnonzero(np.diff(counts[order])) + 1
    for same in np.split(order, begins):
        yield from (same[at : at + batch_size] for at in range(0, len(same), batch_size))


def _size(text: Text) -> tuple[int, int]:
    """How many texts it is, and how many bytes they have."""
    return (1, len(text)) if isinstance(text, bytes) else (len(text), sum(map(len, text)))


def _signature(function: Any) -> Signature:
    # TensorFlow gives both in another order in every process.
    inputs, outputs = function.structured_input_signature[1], function.structured_outputs
    shapes = {name: outputs[name].shape for name in sorted(outputs)}
    known = [name for name in TEXT_INPUTS if name in inputs]
    return Signature(
        (*known, *sorted(inputs.keys() - {*known})),
        {name: tuple(shape) if shape.rank else () for name, shape in shapes.items()},
        LABELS not in inputs
        and all(
            each.dtype == tf.string and each.shape.rank in (None, 2 if name == CHOICES else 1)
            for name, each in inputs.items()
        ),
    )
