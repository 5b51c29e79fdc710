"""Codepoint maps as a graph operation: the model that `tf_text.FastBertNormalizer` takes."""

import flatbuffers
import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from preprocess.graph import double_array
from preprocess.source.codepoints import CodepointMap
from preprocess.source.errors import UnsupportedTokenizerError
from preprocess.text.steps import Aligned, Step

_CHANGED = 1 << 30
_LONGEST = 63
_TRIE_LIMIT = 1 << 21


class CodepointStep(Step):
    """Replaces every character by its map."""

    def __init__(self, characters: CodepointMap) -> None:
        """Compiles the map.

        Raises:
            UnsupportedTokenizerError: a replacement exceeds 63 bytes, or the trie its addresses.
        """
        super().__init__()
        self._operation = tf_text.FastBertNormalizer(model_buffer=_model(characters))

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return self._operation.normalize(x)

    def align(self, x: tf.Tensor) -> Aligned:
        text, starts = self._operation.normalize_with_offsets(x)
        # The operation tells where the character of each byte starts, and the end of the text.
        starts = tf.cast(starts, tf.int64)[:, :-1]
        return Aligned(text, starts, starts)


def _model(characters: CodepointMap) -> bytes:
    """The flatbuffer of a map."""
    pool, offsets = bytearray(), {b"": 0}
    values = {}
    for character, form in characters.items():
        text = form.encode("utf-8", "surrogateescape")
        if len(text) > _LONGEST:
            raise UnsupportedTokenizerError(f"normalizer: {character!r} becomes {len(text)} bytes")
        if text not in offsets:
            offsets[text] = len(pool)
            pool += text
        values[ord(character)] = _CHANGED | offsets[text] << 6 | len(text)
    points = np.array(sorted(values.keys() - {0}), np.int64)
    trie = double_array.build(points, np.array([values[point] for point in points], np.int64))
    if len(trie) > _TRIE_LIMIT:
        raise UnsupportedTokenizerError("normalizer: too many characters change")
    return _serialise(trie, values.get(0, 0), bytes(pool))


def _serialise(trie: double_array.Units, nul: int, pool: bytes) -> bytes:
    """Writes the flatbuffer of tensorflow_text's fast_bert_normalizer_model.fbs."""
    builder = flatbuffers.Builder(trie.nbytes + len(pool) + 64)
    pool_at = builder.CreateByteVector(pool or b"\0")
    trie_at = builder.CreateNumpyVector(trie)
    builder.StartObject(4)
    builder.PrependBoolSlot(0, True, False)
    builder.PrependUOffsetTRelativeSlot(1, trie_at, 0)
    builder.PrependInt32Slot(2, nul, 0)
    builder.PrependUOffsetTRelativeSlot(3, pool_at, 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())
