"""Pooling beside sentence-transformers' own, on random vectors."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch
from sentence_transformers.sentence_transformer.modules import Pooling as Wanted

from encoders import MODES, ConfigError, Pooling

ALL = tuple(MODES)


def batch(left: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Vectors with large negative values and rows of 1 to 9 tokens, padding at one side."""
    draw = np.random.default_rng(3)
    sequence = draw.normal(-3, 2, (9, 9, 5)).astype(np.float32)
    mask = np.tril(np.ones((9, 9), np.int32))
    return sequence, mask[:, ::-1].copy() if left else mask


def wanted(modes: Any, sequence: np.ndarray, mask: np.ndarray, prompt: int) -> np.ndarray:
    features: dict[str, Any] = {
        "token_embeddings": torch.tensor(sequence),
        "attention_mask": torch.tensor(mask),
        "prompt_length": prompt,
    }
    pooling = Wanted(sequence.shape[-1], pooling_mode=modes, include_prompt=False)
    pooled: np.ndarray = pooling(features)["sentence_embedding"].numpy()
    return pooled


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("modes", [*ALL, ("lasttoken", "cls"), ALL], ids=str)
def test_every_mode(modes: Any, left: bool) -> None:
    names = (modes,) if isinstance(modes, str) else modes
    sequence, mask = batch(left)
    found = Pooling(names)(tf.constant(sequence), tf.constant(mask))
    np.testing.assert_allclose(found, wanted(modes, sequence, mask, 0), rtol=0, atol=1e-5)


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("mode", ALL)
def test_a_prompt_takes_no_part(mode: str, left: bool) -> None:
    sequence, mask = (each[4:] for each in batch(left))
    found = Pooling([mode], prompt=4)(tf.constant(sequence), tf.constant(mask))
    np.testing.assert_allclose(found, wanted(mode, sequence, mask, 4), rtol=0, atol=1e-5)


@pytest.mark.parametrize("mode", ALL)
def test_rows_without_a_token_that_takes_part_are_finite(mode: str) -> None:
    sequence, mask = (each[:4] for each in batch())
    found = Pooling([mode], prompt=4)(tf.constant(sequence), tf.constant(mask)).numpy()
    if mode == "max":  # sentence-transformers gives minus infinity here
        np.testing.assert_array_equal(found, 0)
    else:
        np.testing.assert_allclose(found, wanted(mode, sequence, mask, 4), rtol=0, atol=1e-5)


def test_padding_has_no_effect() -> None:
    sequence, mask = batch()
    longer = np.pad(sequence, ((0, 0), (0, 3), (0, 0)), constant_values=1e3)
    found = Pooling(ALL)(tf.constant(longer), tf.constant(np.pad(mask, ((0, 0), (0, 3)))))
    np.testing.assert_allclose(
        found, Pooling(ALL)(tf.constant(sequence), tf.constant(mask)), atol=1e-6
    )


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"unknown pooling \['median'\]; supported: cls, max"):
        Pooling(["mean", "median"])
