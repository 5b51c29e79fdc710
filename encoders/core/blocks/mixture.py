"""A mixture of experts (https://arxiv.org/abs/1701.06538): each token passes through a few of many.

A router gives each expert a probability; the most probable ones compute, and what they give is
summed, times the probability. The experts are stored as MegaBlocks does
(https://arxiv.org/abs/2211.15841): one matrix for the first layers of all, one for the second ones.
"""

import tensorflow as tf

from encoders.core.blocks.activations import Activation
from encoders.core.declared import declare


class Experts(tf.Module):
    """Feed-forward parts of which a router chooses some for each token; they share a bias."""

    router: tf.Variable
    inner: tf.Variable
    outer: tf.Variable
    bias: tf.Variable

    def __init__(
        self, width: int, inner: int, count: int, chosen: int, activation: Activation
    ) -> None:
        """Declares them.

        Args:
            width: D.
            inner: F of each expert.
            count: of experts.
            chosen: how many compute for a token.
            activation: of what is F wide.
        """
        super().__init__()
        self.count = count
        self.chosen = chosen
        self.activation = activation
        # In float32 always: which experts are chosen must not hang on how it is stored.
        self.router = declare(width, count)
        self.inner = declare(count * inner, width, narrow=True)
        self.outer = declare(count * inner, width, narrow=True)
        self.bias = declare(width)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Float32 [N, D] -> float32 [N, D]."""
        weights = self.weights(x)
        found = tf.zeros_like(x)
        firsts, seconds = (tf.split(each, self.count) for each in (self.inner, self.outer))
        for weight, first, second in zip(tf.unstack(weights, axis=1), firsts, seconds, strict=True):
            tokens = tf.where(weight > 0)  # [M, 1], the tokens of this expert
            given = tf.cast(tf.gather_nd(x, tokens), first.dtype)
            inner = self.activation(tf.matmul(given, first, transpose_b=True))
            made = tf.cast(tf.matmul(inner, second), tf.float32)
            made *= tf.gather_nd(weight, tokens)[:, tf.newaxis]
            found += tf.scatter_nd(tokens, made, tf.shape(x, tf.int64))
        return found + self.bias

    def weights(self, x: tf.Tensor) -> tf.Tensor:
        """What each expert's output is multiplied by, float32 [N, experts]; 0 if not chosen."""
        probabilities = tf.nn.softmax(tf.matmul(x, self.router))
        _, best = tf.math.top_k(probabilities, self.chosen)
        return probabilities * tf.reduce_sum(tf.one_hot(best, self.count), axis=1)


class MixtureFeedForward(tf.Module):
    """Experts in the place of a feed-forward part's two layers."""

    inner = output = None

    def __init__(self, experts: Experts) -> None:
        super().__init__()
        self.experts = experts

    def __call__(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Float32 [N, D] -> float32 [N, D]."""
        del training
        return self.experts(x)
