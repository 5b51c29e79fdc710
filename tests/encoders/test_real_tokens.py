"""The layout of real tokens against the padded one, and groups against one batch."""

import numpy as np
import pytest
import tensorflow as tf

from encoders.core.layout.groups import by_length
from encoders.core.layout.layout import Padded
from encoders.core.layout.real_tokens import RealTokens

MASK = tf.constant([[1, 1, 0, 0, 0], [1, 0, 1, 1, 0], [0, 1, 1, 0, 0]])


def grid(*shape: int) -> tf.Tensor:
    return tf.reshape(tf.range(np.prod(shape), dtype=tf.float32) + 1, shape)


def test_there_and_back() -> None:
    layout, x = RealTokens(MASK), grid(3, 5, 2)
    tokens = layout.to_tokens(x)
    assert tokens.shape == [8, 2]  # 7 real ones, and the first of the last row
    masked = x * tf.cast(MASK, tf.float32)[..., tf.newaxis]
    np.testing.assert_array_equal(layout.to_batch(tokens), masked[:, :4])


def test_heads_there_and_back() -> None:
    layout, padded = RealTokens(MASK), Padded(MASK[:, :4])
    x = grid(3, 4, 3, 2)
    tokens = layout.to_tokens(x)
    heads = layout.to_heads(tokens)
    real = np.broadcast_to(MASK[:, np.newaxis, :4, np.newaxis], heads.shape) == 1
    np.testing.assert_array_equal(
        heads.numpy()[real], padded.to_heads(padded.to_tokens(x)).numpy()[real]
    )
    np.testing.assert_array_equal(layout.from_heads(heads), tokens)


def test_positions_are_those_of_the_row() -> None:
    assert RealTokens(MASK).positions.numpy().tolist() == [0, 1, 0, 2, 3, 0, 1, 2]


def test_first_position_is_there_even_if_masked() -> None:
    layout = RealTokens(MASK)
    np.testing.assert_array_equal(layout.first(layout.to_tokens(grid(3, 5))), [1, 6, 11])
    assert layout.real.numpy()[:, 0].tolist() == [1, 1, 1, 1, 1, 0, 1, 1]


def test_row_of_padding_attends_to_its_first_position() -> None:
    layout = RealTokens(tf.constant([[0, 0], [1, 1]]))
    assert (layout.bias.numpy()[0, 0, 0] == 0).tolist() == [True, False]


@pytest.mark.parametrize("tokens", [1, 7, 40, 10_000])
@pytest.mark.parametrize("rows", [0, 1, 50])
def test_groups_change_nothing(rows: int, tokens: int) -> None:
    draw = np.random.default_rng(rows)
    ids = draw.integers(0, 99, (rows, 70)).astype(np.int32)
    mask = (np.arange(70) < draw.integers(0, 71, (rows, 1))).astype(np.int32)

    def compute(ids: tf.Tensor, mask: tf.Tensor, types: tf.Tensor) -> list[tf.Tensor]:
        return [ids * mask + types, tf.reduce_sum(ids * mask, axis=1)]

    found = by_length(compute, ids, mask, mask, tokens)
    np.testing.assert_array_equal(found[0], ids * mask + mask)
    np.testing.assert_array_equal(found[1], (ids * mask).sum(axis=1))


def test_rows_of_one_group_are_alike_in_length() -> None:
    lengths = np.array([5, 120, 9, 300, 65, 7])
    mask = (np.arange(300) < lengths[:, np.newaxis]).astype(np.int32)

    def longest(ids: tf.Tensor, mask: tf.Tensor, types: tf.Tensor) -> list[tf.Tensor]:
        del ids, types
        ends = tf.reduce_max(tf.reduce_sum(mask, axis=1))
        return [tf.fill([tf.shape(mask)[0]], ends)]

    [found] = by_length(longest, mask, mask, mask)
    assert found.numpy().tolist() == [9, 120, 9, 300, 120, 9]


def test_the_host_plans() -> None:
    """What says which token goes where is computed there; tokens themselves go anywhere."""

    def moved(x: tf.Tensor) -> tf.Tensor:
        layout = RealTokens(MASK)
        return layout.from_heads(layout.to_heads(layout.to_tokens(x)))

    graph = tf.function(moved, autograph=False).get_concrete_function(grid(3, 5, 3, 2)).graph
    placed = dict[str, set[str]]()
    for node in graph.get_operations():
        placed.setdefault(node.type, set()).add(node.device)
    for each in ("Where", "Cumsum", "Max", "AddV2", "FloorDiv"):
        assert placed[each] == {"/device:CPU:0"}, each
    assert placed["GatherV2"] == {"/device:CPU:0", ""}
