"""The best path through the pieces of each word, with the source's own float64 scores.

The source adds up scores from the start of a word, and so does `lattice.solve`, in the same order,
with the same roundings. But a loop over all characters of a very long word would take long. So long
words are cut wherever no piece goes across. Every path passes there, and the next part starts from
the score of the best path to it. That score is first guessed, then summed up along the path that
was found, until each part ends with exactly the score that the next one started from.

Then all scores are the source's: the first part starts from 0 as in the source, and a part that
starts from the source's score repeats the source's additions one by one, chooses as the source
does, and ends with the source's score. Two rounds are the rule: a guess is off by rounding errors
only, which matter only where two paths are as good as equal.

Where pieces go across everything for long, as in 20,000 times `a`, see `blocks`.

Shapes: w words; N nodes, one before each word and one after each character; K characters that no
piece is longer than; P pieces of all best paths.
"""

import math
from collections.abc import Sequence

import tensorflow as tf

from preprocess.graph.lanes import marks, positions
from preprocess.unigram.borders import WordNodes, borders, uncut
from preprocess.unigram.lattice import Path, solve, taken
from preprocess.unigram.word_blocks import solve_blocks

_LONG = 64
_ROUNDS = 10
_HUGE = 2.0**200


class BestPath(tf.Module):
    """Finds the path of the highest score."""

    def __init__(self, scores: Sequence[float]) -> None:
        """Takes the scores of the pieces with the numbers 1, 2, ..."""
        super().__init__()
        self._scores = tf.constant([-math.inf, *scores], tf.float64)

    def __call__(
        self, pieces: tf.Tensor, words: WordNodes
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Finds the best path of each word.

        Args:
            pieces: int32 [N, K], all pieces of the text, as for `lattice.solve`.
            words: where the words are.

        Returns:
            The ends, lengths and numbers of the pieces of all paths, int32 [P], in the order of the
            text.
        """
        long = words.lasts - words.firsts > _LONG
        path = self._solve_whole(pieces, words, ~long)

        def with_long() -> tuple[tf.Tensor, tf.Tensor]:
            ends, lengths = self._solve_long(pieces, words, long)
            return path.ends | ends, path.lengths + lengths

        ends, lengths = tf.cond(tf.reduce_any(long), with_long, lambda: (path.ends, path.lengths))
        return taken(pieces, ends, lengths)

    def _solve_whole(self, pieces: tf.Tensor, words: WordNodes, chosen: tf.Tensor) -> Path:
        """The paths of the chosen words, bool [w]."""
        firsts = tf.boolean_mask(words.firsts, chosen)
        lasts = tf.boolean_mask(words.lasts, chosen)
        zeros = tf.zeros_like(words.owners, tf.float64)
        return solve(pieces, self._scores, firsts, lasts, zeros)

    def _solve_long(
        self, pieces: tf.Tensor, words: WordNodes, chosen: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The ends and lengths of the paths of the chosen words, bool [w]."""
        inner = borders(pieces, words, chosen)
        far = chosen & uncut(words, inner)

        def by_blocks() -> tuple[tf.Tensor, ...]:
            bounds = (tf.boolean_mask(each, far) for each in (words.firsts, words.lasts))
            ends, lengths, settled = solve_blocks(pieces, self._scores, *bounds)
            return ends, lengths, far & settled

        nothing = tf.zeros_like(inner), tf.zeros_like(words.owners), tf.zeros_like(far)
        ends, lengths, solved = tf.cond(tf.reduce_any(far), by_blocks, lambda: nothing)
        inner &= ~tf.gather(solved, words.owners)
        path = self._solve_cut(pieces, words, chosen & ~solved, inner)
        return path.ends | ends, path.lengths + lengths

    def _solve_cut(
        self, pieces: tf.Tensor, words: WordNodes, chosen: tf.Tensor, inner: tf.Tensor
    ) -> Path:
        """The paths of the chosen words, bool [w], cut at `inner`, bool [N], solved by parts."""
        firsts = marks(tf.boolean_mask(words.firsts, chosen), tf.size(inner))
        lasts = marks(tf.boolean_mask(words.lasts, chosen), tf.size(inner))
        parts = positions(inner | firsts), positions(inner | lasts)
        zeros = tf.zeros_like(words.owners, tf.float64)

        def attempt(
            before: tf.Tensor, wrong: tf.Tensor, path: Path
        ) -> tuple[tf.Tensor, tf.Tensor, Path]:
            path = solve(pieces, self._scores, *parts, before)
            wrong = inner & tf.not_equal(path.scores, before)
            return self._sums(pieces, words, path), wrong, path

        _, wrong, path = tf.while_loop(
            lambda before, wrong, path: tf.reduce_any(wrong),
            attempt,
            (zeros, tf.ones_like(inner), Path(inner, words.owners, zeros)),
            maximum_iterations=_ROUNDS,
        )
        unsettled = tf.gather(words.owners, positions(wrong))
        unsettled = marks(unsettled, tf.size(words.firsts))

        def whole() -> Path:
            other = self._solve_whole(pieces, words, unsettled)
            take = tf.gather(unsettled, words.owners)
            return Path(*(tf.where(take, *each) for each in zip(other, path, strict=True)))

        return tf.cond(tf.reduce_any(unsettled), whole, lambda: path)

    def _sums(self, pieces: tf.Tensor, words: WordNodes, path: Path) -> tf.Tensor:
        """Running sums of the scores along paths, from 0 before each word, float64 [N]."""
        ends, _, numbers = taken(pieces, path.ends, path.lengths)
        gains = tf.gather(self._scores, numbers)
        gains = tf.scatter_nd(ends[:, tf.newaxis], gains, tf.shape(words.owners))
        # One sum over all words: before each, a huge number swallows all else, and goes again.
        first = marks(words.firsts, tf.size(words.owners))
        huge = tf.where(first, tf.constant(_HUGE, tf.float64), 0)
        sums = tf.cumsum(tf.reshape(tf.stack([huge, gains - huge], 1), [-1]))
        return tf.reshape(sums, [-1, 2])[:, 1]
