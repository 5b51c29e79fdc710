"""Which row of the position table, or which bucket, a token gets."""

import numpy as np
import pytest
import tensorflow as tf
import torch
from transformers.models.mpnet import modeling_mpnet
from transformers.models.roberta.modeling_roberta import RobertaEmbeddings
from transformers.models.t5.modeling_t5 import T5Attention

from encoders.core.attention.relative import buckets
from encoders.core.blocks.embeddings import after_padding, in_row
from encoders.core.layout.layout import Padded

IDS = np.array([[7, 8, 3, 9, 3, 3], [3, 7, 7, 8, 9, 9], [5, 5, 5, 5, 5, 5]], np.int32)


def test_places_are_counted_as_in_transformers_whatever_the_mask_says() -> None:
    expected = RobertaEmbeddings.create_position_ids_from_input_ids(torch.tensor(IDS), 3)
    for mask in (np.ones_like(IDS), np.zeros_like(IDS)):
        found = after_padding(3)(tf.constant(IDS), Padded(tf.constant(mask)))
        np.testing.assert_array_equal(found, expected.numpy().reshape(-1))
    assert found.numpy()[:6].tolist() == [4, 5, 3, 6, 3, 3]


def test_padding_at_the_end_may_have_any_id() -> None:
    other, real = IDS.copy(), np.arange(6) < [[5], [4], [1]]
    other[~real] = 0
    places = [
        after_padding(3)(tf.constant(ids), Padded(tf.constant(real * 1))) for ids in (IDS, other)
    ]
    np.testing.assert_array_equal(places[0][real.reshape(-1)], places[1][real.reshape(-1)])


def test_places_in_a_row_do_not_depend_on_the_ids() -> None:
    found = in_row(tf.constant(IDS), Padded(tf.ones_like(IDS)))
    assert found.numpy().tolist() == [0, 1, 2, 3, 4, 5] * 3


def test_buckets_are_those_of_transformers() -> None:
    offsets = np.arange(-3000, 3001)
    expected = modeling_mpnet.MPNetEncoder.relative_position_bucket(torch.tensor(offsets))
    np.testing.assert_array_equal(buckets(offsets), expected.numpy())


@pytest.mark.parametrize(
    ("count", "farthest"), [(32, 128), (4, 2), (5, 2), (7, 9), (20, 100), (64, 512), (48, 1000)]
)
def test_buckets_are_those_of_t5(count: int, farthest: int) -> None:
    """For every number of buckets, and at every border between two."""
    offsets = np.arange(-1500, 1501)
    expected = T5Attention._relative_position_bucket(torch.tensor(offsets), True, count, farthest)
    np.testing.assert_array_equal(buckets(offsets, count, farthest), expected.numpy())
    near = np.clip(offsets, -farthest, farthest)
    np.testing.assert_array_equal(buckets(near, count, farthest), expected.numpy())
