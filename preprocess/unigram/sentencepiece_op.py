"""The Unigram model by SentencePiece itself (https://arxiv.org/abs/1808.06226): fast, but for ties.

SentencePiece's operation on a model made of the vocabulary alone: what comes before it (normalizer,
prefix, whitespace) and behind it is that of all tokenizers here. SentencePiece sums scores up in
float32, the source in float64. So that sums are exact and equals stay equals, scores are rounded to
multiples of 2^-16: words differ from the source where two paths are that close, or where a sum
exceeds 2^8.
"""

from collections.abc import Mapping

import tensorflow as tf
import tensorflow_text as tf_text
from sentencepiece import sentencepiece_model_pb2 as protos

from preprocess.source.errors import UnsupportedTokenizerError
from preprocess.unigram.model import Found, UnigramModel

_GRID = 2.0**16
_UNKNOWN = "\U0010fffe"
"""The name of the unknown piece; a text may have that of the source, as a piece like any other."""


class SentencePiece(UnigramModel):
    """The fast engine."""

    def compile(self, scores: Mapping[str, float], unknown: float) -> None:
        # SentencePiece has the same score for unknown characters, and no piece with NUL.
        if refused := [piece for piece in scores if "\0" in piece or piece == _UNKNOWN]:
            raise UnsupportedTokenizerError(f"Unigram, engine fast: a piece is {refused[0]!r}")
        self._operation = tf_text.SentencepieceTokenizer(_model(scores).SerializeToString())

    def search(self, words: tf.Tensor) -> Found:
        pieces, starts, limits = self._operation.tokenize_with_offsets(words)
        owners = tf.cast(tf.ragged.row_splits_to_segment_ids(pieces.row_splits), tf.int32)
        begins = tf.gather(tf.cumsum(tf.strings.length(words), exclusive=True), owners)
        starts, limits = (begins + tf.cast(each.values, tf.int32) for each in (starts, limits))
        return Found(pieces.values + 1, owners, starts, limits)


def _model(scores: Mapping[str, float]) -> protos.ModelProto:
    """The unknown piece, then those of the vocabulary; no normalisation."""
    model, kinds = protos.ModelProto(), protos.ModelProto.SentencePiece
    model.pieces.add(piece=_UNKNOWN, score=0, type=kinds.UNKNOWN)
    for piece, score in scores.items():
        model.pieces.add(piece=piece, score=round(score * _GRID) / _GRID, type=kinds.NORMAL)
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    trainer.model_type = protos.TrainerSpec.UNIGRAM
    trainer.vocab_size = len(model.pieces)
    trainer.unk_piece, trainer.unk_id = _UNKNOWN, 0
    trainer.bos_id = trainer.eos_id = trainer.pad_id = -1
    normalizer.name = "identity"
    normalizer.add_dummy_prefix = False
    normalizer.remove_extra_whitespaces = False
    normalizer.escape_whitespaces = False
    return model
