"""One split of texts into words, at marks that changes have put in."""

import tensorflow as tf

from preprocess.graph.rows import only, owners
from preprocess.text.characters import before
from preprocess.text.pre_tokenizers import Stage
from preprocess.text.steps import Aligned, Change, Step


class Splitter(tf.Module):
    """A compiled stage of a pre-tokenizer."""

    def __init__(self, stage: Stage, changes: Change, steps: Step) -> None:
        """Takes the stage and what puts its marks in: at speed, and keeping track."""
        super().__init__()
        self._before, self._at_start, self._behind = stage.before, stage.at_start, stage.behind
        self._mark = stage.mark
        self._changes = changes
        self._steps = steps

    def begin(self, texts: tf.Tensor, splits: tf.Tensor) -> tf.Tensor:
        """Puts the prefix of texts in, string [m] -> string [m]; `splits` are those of rows."""
        if self._before is None:
            return texts
        return self._before(texts, self._chosen(texts, splits))

    def __call__(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """string [m] -> string [m, (words)]."""
        marked = self._changes(texts)
        if self._mark == b" ":
            return tf.strings.split(marked)
        words = tf.strings.split(marked, sep=self._mark)
        return only(words, tf.not_equal(words.values, ""))

    def end(self, words: tf.Tensor) -> tf.Tensor:
        """Puts the prefix of words in, string [n] -> string [n]."""
        return words if self._behind is None else self._behind(words)

    def align(self, whole: Aligned, splits: tf.Tensor) -> tuple[tf.RaggedTensor, Aligned]:
        """Does all of it to aligned texts; returns the words of each text, and their alignment."""
        if self._before is not None:
            whole = whole.then(self._before.align(whole.text, self._chosen(whole.text, splits)))
        marked = whole.then(self._steps.align(whole.text))
        words = tf.strings.split(marked.text, sep=self._mark)
        lengths = tf.cast(tf.strings.length(words.values), tf.int64)
        begins = words.with_values(before(words.with_values(lengths + 1)))
        kept = lengths > 0
        words, begins = (only(each, kept) for each in (words, begins))
        whole = marked.slices(owners(words.row_splits), begins.values, words.values)
        if self._behind is not None:
            whole = whole.then(self._behind.align(whole.text))
        return words.with_values(whole.text), whole

    def _chosen(self, texts: tf.Tensor, splits: tf.Tensor) -> tf.Tensor:
        """Which texts may have the prefix, bool [m]."""
        if not self._at_start:
            return tf.ones_like(texts, tf.bool)
        starts = tf.boolean_mask(splits[:-1], splits[1:] > splits[:-1])[:, tf.newaxis]
        return tf.scatter_nd(starts, tf.ones_like(starts[:, 0], tf.bool), tf.shape(texts, tf.int64))
