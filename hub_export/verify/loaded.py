"""Functions of loaded SavedModels, for batches of any size.

TensorFlow traces and optimizes a loaded function anew for each shape that it is called with, and
for each number in Python: seconds, where texts go in. Who asks many batches has it traced once.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from hub_export import contract

TEXT = tf.TensorSpec([None], tf.string)
NUMBER = tf.TensorSpec([], tf.int32)


def of_any_size(function: Callable[..., Any], *specs: Any) -> Callable[..., Any]:
    """A loaded function of these inputs, traced when it is called first.

    Its variables are those of the SavedModel: hold on to that.
    """
    # Not a lambda: TensorFlow counts how often its code is traced, over all functions, and warns.
    made: Callable[..., Any] = tf.function(functools.partial(function), specs, autograph=False)
    return made


class Preprocessor:
    """What a loaded preprocessor offers.

    Attributes:
        tokenize: string [B] -> int32 [B, (words), (pieces)], or [B, (pieces)] without words.
        tokenize_with_offsets: string [B] -> the same, and where each piece begins and ends.
        detokenize: int32 [B, (pieces)] -> string [B].
        padding_id: what rows are filled up with.
    """

    def __init__(self, model: Any) -> None:
        """Traces nothing yet.

        Args:
            model: the loaded SavedModel.
        """
        self.tokenize = of_any_size(model.tokenize, TEXT)
        self.tokenize_with_offsets = of_any_size(model.tokenize_with_offsets, TEXT)
        self.detokenize = of_any_size(model.detokenize, contract.ragged_spec(1))
        self.padding_id = int(model.tokenize.get_special_tokens_dict()["padding_id"])

        @functools.cache
        def packing(*ranks: int) -> Callable[..., contract.Tensors]:
            specs = [contract.ragged_spec(rank) for rank in ranks]
            return of_any_size(model.bert_pack_inputs, specs, NUMBER)

        self._packing = packing

    def pack(self, segments: Sequence[tf.RaggedTensor], seq_length: int) -> contract.Tensors:
        """Packs what `tokenize` gives of texts, or of both texts of pairs."""
        return self._packing(*(each.ragged_rank for each in segments))([*segments], seq_length)
