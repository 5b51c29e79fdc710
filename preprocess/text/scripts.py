"""Cuts between scripts, such as Latin and Han."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from preprocess.graph.rows import owners
from preprocess.text.replacing import Cut

_MARK = b"\xff"


class ScriptCut(Cut):
    """Puts a mark before a character of another script than the last one that has any."""

    def __init__(self, classes: Sequence[frozenset[str]]) -> None:
        """Takes the characters of each script."""
        super().__init__("", "")
        scripts = np.zeros(0x110000, np.int32)
        for script, characters in enumerate(classes, 1):
            scripts[[*map(ord, characters)]] = script
        starts = np.flatnonzero(np.diff(scripts, prepend=-1))
        self._starts, self._scripts = starts.astype(np.int32), scripts[starts]

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        points = tf.strings.unicode_decode(x, "UTF-8")
        range_ = tf.searchsorted(self._starts, points.values, side="right") - 1
        rows, script = owners(points.row_splits), tf.gather(self._scripts, range_)
        places = tf.where(script > 0)  # [k, 1], of those that have one
        script, row = (tf.gather(each, places[:, 0]) for each in (script, rows))
        differs = (script[1:] != script[:-1]) | (row[1:] != row[:-1])
        differs = tf.concat([tf.ones_like(script[:1], tf.bool), differs], axis=0)
        cuts = tf.scatter_nd(places, differs, tf.shape(rows, tf.int64))
        characters = tf.strings.unicode_encode(points.values[:, tf.newaxis], "UTF-8")
        characters = tf.strings.join([tf.where(cuts, _MARK, b""), characters])
        return tf.strings.unsorted_segment_join(characters, rows, tf.shape(x, tf.int64)[0])
