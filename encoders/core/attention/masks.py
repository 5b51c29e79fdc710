"""Which keys a query attends to, by their distance in the row."""

import tensorflow as tf

from encoders.core.layout.layout import Layout

FULL, SLIDING = "full_attention", "sliding_attention"
"""What `layer_types` calls layers that attend to all tokens, and to a window of them."""


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


def decoder_window(reach: int | None, is_causal: bool) -> Window:
    """That of a layer of a decoder, as `transformers` counts.

    Args:
        reach: how many tokens a causal window has, the query among them; where it is not causal,
            how far it goes on each side. None for all tokens.
        is_causal: whether the query sees no token after it.
    """
    if is_causal:
        return Window(None if reach is None else reach - 1, ahead=0)
    return Window(reach, reach)
