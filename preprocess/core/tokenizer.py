"""What every tokenizer kind offers, and how it declares itself."""

import abc
import dataclasses
from collections.abc import Callable

import tensorflow as tf
from tokenizers import Tokenizer as Source

Offsets = tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]


class Tokenizer(tf.Module, metaclass=abc.ABCMeta):
    """An in-graph tokenizer, equal to its source on every input.

    Invalid UTF-8 is read as Python's `bytes.decode(errors="replace")` reads it.
    """

    @abc.abstractmethod
    def tokenize(self, sentences: tf.Tensor) -> tf.RaggedTensor:
        """string [B] -> int32 [B, (pieces)], or [B, (words), (pieces)] where there are words."""

    @abc.abstractmethod
    def tokenize_with_offsets(self, sentences: tf.Tensor) -> Offsets:
        """string [B] -> ids, and int64 starts and limits: bytes of the original string."""

    @abc.abstractmethod
    def detokenize(self, ids: tf.RaggedTensor) -> tf.Tensor:
        """int32 [B, (pieces)] -> string [B], special tokens left out."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """A tokenizer kind, as its file declares it.

    Attributes:
        model: the `model.type` of the serialised tokenizers that it compiles.
        build: compiles one; raises PreprocessError where it has an unsupported component.
    """

    model: str
    build: Callable[[Source], Tokenizer]
