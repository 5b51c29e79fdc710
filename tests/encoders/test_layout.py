import tensorflow as tf

from encoders.core.layout.layout import Padded


def test_what_blocks_share_is_computed_once() -> None:
    layouts, seen = [Padded(tf.ones([2, length], tf.int32)) for length in (3, 4)], []

    def part(layout: Padded) -> int:
        seen.append(layout)
        return int(layout.length)

    assert [layout.once(part) for layout in (*layouts, *layouts)] == [3, 4, 3, 4]
    assert seen == layouts


def test_real_tokens_are_told_from_padding() -> None:
    layout = Padded(tf.constant([[1, 0, 1], [0, 0, 0]]))
    assert layout.real.numpy().tolist() == [[1], [0], [1], [0], [0], [0]]
