import numpy as np
import pytest
import torch
from transformers.activations import ACT2FN

from encoders.core.blocks.activations import ACTIVATIONS, activation
from encoders.core.errors import ConfigError


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_equals_transformers(name: str) -> None:
    x = np.linspace(-12, 12, 2001, dtype=np.float32)
    np.testing.assert_allclose(
        activation(name)(x), ACT2FN[name](torch.tensor(x)).numpy(), rtol=1e-6, atol=2e-6
    )


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ConfigError, match="'xielu'; supported: gelu"):
        activation("xielu")
