"""Zero-shot classification by a classifier of NLI (https://arxiv.org/abs/1909.00161)."""

from collections.abc import Callable

import tensorflow as tf

from encoders import HeadedEncoder
from hub_export.contract import LOGITS
from hub_export.models.task import ZeroShot
from hub_export.models.texts import computing, packing
from preprocess import Preprocessor


def judging(
    preprocessor: Preprocessor, headed: HeadedEncoder, task: ZeroShot
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """A function of texts, string [B], and labels, string [C], to logits, float32 [B, C, 2].

    The logits are those of contradiction and entailment. Where a row is too long, the text is cut.
    """
    before, _, behind = task.template.partition("{}")
    logits = computing(packing(preprocessor.shortening(0)), headed, LOGITS)

    def judge(text: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        texts, count = tf.size(text), tf.size(labels)
        claims = tf.tile(tf.strings.join([before, labels, behind]), [texts])
        found = logits(False, tf.repeat(text, count), claims)
        chosen = tf.gather(found, [task.contradiction, task.entailment], axis=1)
        return tf.reshape(chosen, [texts, count, 2])

    return judge


def scores(logits: tf.Tensor, is_multi_label: bool) -> tf.Tensor:
    """float32 [B, C, 2] -> float32 [B, C].

    Args:
        logits: of contradiction and entailment.
        is_multi_label: whether each label stands by itself, as a single one always does.
    """
    alone = tf.nn.softmax(logits)[..., 1]
    if is_multi_label:
        return alone
    return tf.where(tf.equal(tf.shape(logits)[1], 1), alone, tf.nn.softmax(logits[..., 1]))
