"""The preprocessor as the root of a SavedModel."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from hub_export import contract
from hub_export.contract import Tensors
from hub_export.errors import ExportError
from hub_export.models import signatures
from hub_export.models.product import Product
from hub_export.models.session import Session
from hub_export.settings import PREPROCESSOR
from preprocess import Packer, Preprocessor, Segment, SpecialIds, flat_segment

Segments: TypeAlias = "Sequence[tf.RaggedTensor] | tf.RaggedTensor"


class Endpoint(tf.train.Checkpoint):
    """A function as a callable object of its own, so that `hub.KerasLayer` takes it."""

    def __init__(self, function: Callable[..., Any], **functions: Callable[..., Any]) -> None:
        super().__init__()
        self.__call__ = tf.function(function, autograph=False)
        for name, each in functions.items():
            setattr(self, name, _traced(each))

    def trace(self, *args: Any, **kwargs: Any) -> None:
        """Makes the function available for arguments of these specs."""
        self.__call__.get_concrete_function(*args, **kwargs)


class PreprocessorModel(tf.train.Checkpoint):
    """Wraps a preprocessor so that it keeps the contract of `hub_export.contract`.

    What takes work is traced once, as a concrete function (saving traces all others anew); what
    consumers call are thin functions around these.
    """

    def __init__(self, preprocessor: Preprocessor) -> None:
        super().__init__()
        tokenizer, text = preprocessor.tokenizer, contract.text_spec("sentences")
        self._tokenizer = tokenizer  # whose functions use tables, saved with what owns them
        split = tokenizer.traced(tokenizer.tokenize)
        locate = tokenizer.traced(tokenizer.tokenize_with_offsets)
        join = _concrete(tokenizer.detokenize, contract.ragged_spec(1))
        pack = [
            _packing(preprocessor.packer, count) for count in range(1, contract.MOST_SEGMENTS + 1)
        ]

        def pack_inputs(
            segments: Segments, seq_length: int | tf.Tensor = preprocessor.seq_length
        ) -> Tensors:
            listed = [segments] if isinstance(segments, tf.RaggedTensor) else segments
            flat = [part for segment in listed for part in flat_segment(segment)]
            packed = pack[len(listed) - 1](*flat, seq_length)
            if isinstance(seq_length, int):
                for each in packed.values():
                    each.set_shape([None, seq_length])
            return packed

        def detokenize(ids: tf.RaggedTensor | tf.Tensor) -> tf.Tensor:
            if not isinstance(ids, tf.RaggedTensor):
                ids = tf.RaggedTensor.from_tensor(ids)
            return join(tf.RaggedTensor.from_row_splits(*flat_segment(ids), validate=False))

        specials = _special_tokens(preprocessor.special)

        # Takes none: but where binding too many fails, TensorFlow 2.21 keeps a lock.
        def get_special_tokens_dict(*_: Any) -> Mapping[str, tf.Tensor]:
            return {name: tf.constant(id, tf.int32) for name, id in specials.items()}

        special = {"get_special_tokens_dict": get_special_tokens_dict}
        self.__call__ = _traced(lambda sentences: pack_inputs(split(sentences)), text)
        self.tokenize = Endpoint(lambda sentences: split(sentences), **special)
        self.tokenize.trace(text)
        self.tokenize_with_offsets = Endpoint(lambda sentences: locate(sentences), **special)
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
        served: signatures.Signatures = {
            contract.SERVING: (serve, [text]),
            contract.SERVING_PAIR: (serve_pair, [text, text_pair]),
            contract.TOKENIZE: (flat, [text]),
            contract.PACK: (pack, [ids, row_splits]),
        }
        return signatures.checked(served)


def _concrete(function: Callable[..., Any], *specs: Any) -> tf.types.experimental.ConcreteFunction:
    return tf.function(function, autograph=False).get_concrete_function(*specs)


def _traced(function: Callable[..., Any], *specs: Any) -> tf.types.experimental.PolymorphicFunction:
    """A function for these arguments.

    An `input_signature` would say the same, but where binding to one fails, TensorFlow 2.21 keeps a
    lock, and the same call of another thread never ends.
    """
    made = tf.function(function, autograph=False)
    made.get_concrete_function(*specs)
    return made


def _packing(packer: Packer, segments: int) -> tf.types.experimental.ConcreteFunction:
    """Packs the flat parts of so many segments; their length is given behind them."""

    def pack(*parts: tf.Tensor) -> Tensors:
        *flat, seq_length = parts
        listed = [Segment(*flat[at : at + 2]) for at in range(0, 2 * segments, 2)]
        return contract.inputs(*packer(listed, seq_length))

    segment = [tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.int64)]
    return _concrete(pack, *segment * segments, tf.TensorSpec([], tf.int32))


def _segment_specs() -> Iterator[Any]:
    """Everything that packing takes: a list of segments, each of either rank, or one by itself."""
    specs = [contract.ragged_spec(rank) for rank in (1, 2)]
    for count in range(1, contract.MOST_SEGMENTS + 1):
        for chosen in itertools.product(specs, repeat=count):
            yield list(chosen)
    # Last: a loaded function compares its argument with each spec in turn, and fails where it
    # compares a list with a single one.
    yield from specs


def _special_tokens(special: SpecialIds) -> dict[str, int]:
    """The special tokens dict, without the tokens that a tokenizer does not have."""
    named = {
        "vocab_size": special.vocabulary,
        "start_of_sequence_id": special.start,
        "end_of_segment_id": special.end,
        "padding_id": special.padding,
        "mask_id": special.mask,
    }
    return {name: id for name, id in named.items() if id is not None}


_USAGE = (
    "Takes a batch of strings and gives the encoder's inputs. For several texts a row, call "
    "`tokenize` on each and `bert_pack_inputs` on the list. Import tensorflow_text before loading "
    "it."
)


def product(session: Session) -> Product:
    """The preprocessor of a session.

    Raises:
        SourceError: the vocabulary does not fit the encoder.
    """
    tokenization = session.tokenization
    _, length = tokenization.tokenizer, tokenization.seq_length

    def build() -> PreprocessorModel:
        made = tokenization.preprocessor(length)
        segments, longest = contract.MOST_SEGMENTS, session.size.positions
        shortest = made.packer.special_tokens(segments)
        if not shortest <= length <= longest:
            raise ExportError(
                f"seq_length must be from {shortest} (the special tokens of {segments} segments) "
                f"to {longest} (the positions of the encoder), not {length}"
            )
        return PreprocessorModel(made)

    def notes() -> dict[str, str]:
        last, types = tokenization.preprocessor(length).packer.last_type, tokenization.types
        if last < types:
            return {}
        return {
            "type_ids": f"the tokenizer counts them up to {last}, the encoder up to {types - 1}: "
            "they stop there; is tokenizer_class another one's?",
        }

    folder = f"{session.settings.name}_preprocess"
    return Product(PREPROCESSOR, folder, _USAGE, build, notes)
