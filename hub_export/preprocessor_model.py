"""The preprocessor as the root of a SavedModel."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from hub_export import contract
from hub_export.contract import Tensors
from preprocess import Packed, Preprocessor, flat_segment

Segments: TypeAlias = "Sequence[tf.RaggedTensor] | tf.RaggedTensor"


class Endpoint(tf.train.Checkpoint):
    """A function as a callable object of its own, so that `hub.KerasLayer` takes it."""

    def __init__(self, function: Callable[..., Any], **functions: Callable[..., Any]) -> None:
        super().__init__()
        self.__call__ = tf.function(function, autograph=False)
        for name, each in functions.items():
            setattr(self, name, tf.function(each, autograph=False, input_signature=[]))

    def trace(self, *args: Any, **kwargs: Any) -> None:
        """Makes the function available for arguments of these specs."""
        self.__call__.get_concrete_function(*args, **kwargs)


class PreprocessorModel(tf.train.Checkpoint):
    """Wraps a preprocessor so that it keeps the contract of `hub_export.contract`.

    The vocabulary is part of each traced function that tokenises; two do, the others call them.
    """

    def __init__(self, preprocessor: Preprocessor) -> None:
        super().__init__()
        tokenizer, text = preprocessor.tokenizer, contract.text_spec(contract.TEXT)
        split = tf.function(tokenizer.tokenize, autograph=False, input_signature=[text])
        pack = tf.function(preprocessor.packer, autograph=False)
        seq_length = preprocessor.seq_length

        def tokenize(sentences: tf.Tensor) -> tf.RaggedTensor:
            return split(sentences)

        def pack_inputs(segments: Segments, seq_length: int | tf.Tensor = seq_length) -> Tensors:
            listed = [segments] if isinstance(segments, tf.RaggedTensor) else segments
            return contract.inputs(Packed(*pack(list(map(flat_segment, listed)), seq_length)))

        def preprocess(sentences: tf.Tensor) -> Tensors:
            return pack_inputs(split(sentences))

        def detokenize(ids: tf.RaggedTensor | tf.Tensor) -> tf.Tensor:
            if not isinstance(ids, tf.RaggedTensor):
                ids = tf.RaggedTensor.from_tensor(ids)
            return tokenizer.detokenize(ids.merge_dims(1, -1))

        specials = contract.special_tokens(preprocessor.special)

        def get_special_tokens_dict() -> Mapping[str, tf.Tensor]:
            return {name: tf.constant(id, tf.int32) for name, id in specials.items()}

        special = {"get_special_tokens_dict": get_special_tokens_dict}
        self.__call__ = tf.function(preprocess, autograph=False, input_signature=[text])
        self.tokenize = Endpoint(tokenize, **special)
        self.tokenize.trace(text)
        self.tokenize_with_offsets = Endpoint(tokenizer.tokenize_with_offsets, **special)
        self.tokenize_with_offsets.trace(text)
        self.bert_pack_inputs = Endpoint(pack_inputs)
        for segments in _segment_specs():
            self.bert_pack_inputs.trace(segments)
            self.bert_pack_inputs.trace(segments, tf.TensorSpec([], tf.int32))
        self.detokenize = Endpoint(detokenize)
        for ids in (*map(contract.ragged_spec, (1, 2)), tf.TensorSpec([None, None], tf.int32)):
            self.detokenize.trace(ids)

    def serving(self) -> dict[str, tf.types.experimental.PolymorphicFunction]:
        """The signatures, in dense forms: a ragged row is flat ids and row splits."""
        tokenize, pack_inputs = self.tokenize.__call__, self.bert_pack_inputs.__call__

        def serve(text: tf.Tensor) -> Tensors:
            return pack_inputs(tokenize(text))

        def serve_pair(text: tf.Tensor, text_pair: tf.Tensor) -> Tensors:
            return pack_inputs([tokenize(text), tokenize(text_pair)])

        def flat(text: tf.Tensor) -> Tensors:
            segment = flat_segment(tokenize(text))
            return {contract.IDS: segment.values, contract.ROW_SPLITS: segment.row_splits}

        def pack(ids: tf.Tensor, row_splits: tf.Tensor) -> Tensors:
            return pack_inputs(tf.RaggedTensor.from_row_splits(ids, row_splits, validate=False))

        text, text_pair = map(contract.text_spec, (contract.TEXT, contract.TEXT_PAIR))
        ids = tf.TensorSpec([None], tf.int32, contract.IDS)
        row_splits = tf.TensorSpec([None], tf.int64, contract.ROW_SPLITS)
        signatures = {
            contract.SERVING: (serve, [text]),
            contract.SERVING_PAIR: (serve_pair, [text, text_pair]),
            contract.TOKENIZE: (flat, [text]),
            contract.PACK: (pack, [ids, row_splits]),
        }
        return {
            name: tf.function(function, autograph=False, input_signature=specs)
            for name, (function, specs) in signatures.items()
        }


def _segment_specs() -> Iterator[Any]:
    """Everything that packing takes: a list of segments, each of either rank, or one by itself."""
    specs = [contract.ragged_spec(rank) for rank in (1, 2)]
    for count in range(1, contract.MOST_SEGMENTS + 1):
        for chosen in itertools.product(specs, repeat=count):
            yield list(chosen)
    # Last: a loaded function compares its argument with each spec in turn, and fails where it
    # compares a list with a single one.
    yield from specs
