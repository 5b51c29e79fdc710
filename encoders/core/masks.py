"""Which keys a query attends to, by their distance in the row."""

import tensorflow as tf

from encoders.core.layout import Layout


class Window:
    """The bias that leaves each query the keys that are near enough to it.

    A query that has none left attends to all keys alike, as in the source: that is padding.
    """

    def __init__(self, behind: int | None = None, ahead: int | None = None) -> None:
        """Takes the farthest keys that are left, by how many positions; None for no end.

        Args:
            behind: of those before the query.
            ahead: of those after it; 0 makes the attention causal.
        """
        self.behind = behind
        self.ahead = ahead

    def __call__(self, layout: Layout) -> tf.Tensor:
        """Float32 [B, 1, 1 or S, S], the layout's bias within the window."""
        places = tf.range(layout.length)
        offsets = places - places[:, tf.newaxis]  # of the key from the query, [S, S]
        bias = layout.bias
        if self.behind is not None:
            bias = tf.where(offsets < -self.behind, tf.float32.min, bias)
        if self.ahead is not None:
            bias = tf.where(offsets > self.ahead, tf.float32.min, bias)
        return bias
