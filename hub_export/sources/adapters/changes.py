"""What each kind of adapter makes of a weight [out, in], in float32.

- LoRA (https://arxiv.org/abs/2106.09685): W becomes W + s * B A, with s = alpha / r, or
  alpha / sqrt(r) where the adapter is rank-stabilised (https://arxiv.org/abs/2312.03732).
- DoRA (https://arxiv.org/abs/2402.09353): the rows of that sum get the lengths m that were learned.
- LoHa (https://arxiv.org/abs/2108.06098): W + s * (A1 B1) * (A2 B2), element by element.
- VeRA (https://arxiv.org/abs/2310.11454): W + diag(b) B diag(d) A; all layers share A and B.
- OFT (https://arxiv.org/abs/2306.07280): W times a rotation of each block of inputs, of a
  skew-symmetric matrix by Cayley's transform, or by the first terms of its Neumann series.
- IA3 (https://arxiv.org/abs/2205.05638): what a layer gives, or what it gets, is multiplied by l.
- Tokens that were trained have their own rows of an embedding.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Parts = Mapping[str, np.ndarray]
SHARED = ("vera_A", "vera_B")
"""Tensors of all layers."""


class UnfitError(ValueError):
    """The shapes of parts do not go together, or not with the weight."""


@dataclasses.dataclass(frozen=True)
class Given:
    """What an adapter says of one of its modules.

    Attributes:
        module: its name.
        alpha: of LoRA and LoHa.
        config: the adapter's options.
        shared: the tensors of all layers.
    """

    module: str
    alpha: float
    config: Mapping[str, Any]
    shared: Parts

    def scale(self, rank: int) -> float:
        """What a product of matrices of a rank is multiplied by."""
        return self.alpha / (math.sqrt(rank) if self.config.get("use_rslora") else rank)

    def tokens(self) -> object:
        """Which rows of an embedding were trained."""
        asked = self.config.get("trainable_token_indices")
        if not isinstance(asked, dict):
            return asked
        return next((each for name, each in asked.items() if self.module.endswith(name)), None)


@dataclasses.dataclass(frozen=True)
class Kind:
    """What is done to a weight that has tensors of these names.

    Attributes:
        needed: the last parts of their names.
        change: makes the new weight of the old one.
        optional: those that may be missing.
        of_bias: makes the new bias of the old one; None where it stays.
    """

    needed: tuple[str, ...]
    change: Callable[[np.ndarray, Parts, Given], np.ndarray]
    optional: tuple[str, ...] = ()
    of_bias: Callable[[np.ndarray, Parts], np.ndarray] | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.needed, *self.optional)


def _fit(condition: bool) -> None:
    if not condition:
        raise UnfitError


def _product(b: np.ndarray, a: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """B A: [out, r], [r, in] -> [out, in]."""
    _fit(a.ndim == b.ndim == 2 and 0 < len(a) == b.shape[1])
    _fit((len(b), a.shape[1]) == shape)
    made: np.ndarray = b @ a
    return made


def _low_rank(weight: np.ndarray, parts: Parts, given: Given) -> np.ndarray:
    a, b = parts["lora_A"], parts["lora_B"]
    product = _product(b, a, weight.shape)
    total: np.ndarray = weight + np.float32(given.scale(len(a))) * product
    if (lengths := parts.get("lora_magnitude_vector")) is None:
        return total
    _fit(lengths.shape == total.shape[:1])
    return total * (lengths / np.linalg.norm(total, axis=1))[:, np.newaxis]


def _low_rank_embedding(weight: np.ndarray, parts: Parts, given: Given) -> np.ndarray:
    a, b = parts["lora_embedding_A"], parts["lora_embedding_B"]
    _fit("lora_magnitude_vector" not in parts)
    product = _product(b, a, weight.shape[::-1])
    return weight + np.float32(given.scale(len(a))) * product.T


def _hadamard(weight: np.ndarray, parts: Parts, given: Given) -> np.ndarray:
    first, second = (
        _product(parts[f"hada_w{at}_a"], parts[f"hada_w{at}_b"], weight.shape) for at in (1, 2)
    )
    return weight + np.float32(given.scale(len(parts["hada_w1_b"]))) * (first * second)


def _vectors(weight: np.ndarray, parts: Parts, given: Given) -> np.ndarray:
    b, d = parts["vera_lambda_b"], parts["vera_lambda_d"]
    outputs, inputs = weight.shape
    first, second = given.shared["vera_A"][:, :inputs], given.shared["vera_B"][:outputs]
    _fit(d.shape == first.shape[:1] and b.shape == second.shape[:1])
    return weight + _product(b[:, np.newaxis] * second, d[:, np.newaxis] * first, weight.shape)


def _rotated(weight: np.ndarray, parts: Parts, given: Given) -> np.ndarray:
    learned = parts["oft_R"]
    outputs, inputs = weight.shape
    _fit(learned.ndim == 2)
    size = (1 + math.isqrt(1 + 8 * learned.shape[1])) // 2
    _fit(size * (size - 1) // 2 == learned.shape[1])
    skew = np.zeros((len(learned), size, size), np.float32)
    rows, columns = np.triu_indices(size, 1)
    skew[:, rows, columns] = learned
    skew -= skew.transpose(0, 2, 1)
    if given.config.get("coft"):
        skew = _constrained(skew, given.config["eps"])
    turns = _cayley(skew, given.config)
    count = inputs // size
    _fit(count * size == inputs and len(turns) in (1, count))
    blocks = weight.reshape(outputs, count, size).transpose(1, 0, 2)
    turned = blocks @ turns.transpose(0, 2, 1)
    made: np.ndarray = turned.transpose(1, 0, 2).reshape(weight.shape)
    return made


def _constrained(skew: np.ndarray, epsilon: float) -> np.ndarray:
    """Matrices that are no larger than COFT allows."""
    most = epsilon / math.sqrt(len(skew))
    norms = np.linalg.norm(skew, axis=(1, 2), keepdims=True)
    return np.where(norms <= most, skew, most * skew / np.maximum(norms, most))


def _cayley(skew: np.ndarray, config: Mapping[str, Any]) -> np.ndarray:
    """(I - Q) (I + Q)^-1 as PEFT has it, exact or by the terms of a series: [n, b, b]."""
    one = np.eye(skew.shape[-1], dtype=np.float32)
    if not config.get("use_cayley_neumann"):
        solved = np.linalg.solve((one + skew).transpose(0, 2, 1), (one - skew).transpose(0, 2, 1))
        turned: np.ndarray = solved.transpose(0, 2, 1)
        return turned
    terms = int(config["num_cayley_neumann_terms"])
    # As PEFT adds them: three are as many as four, and the last of more than two counts once.
    factors = [1, 2][:terms] if terms < 3 else [1, *[2] * (max(terms, 4) - 2), 1]
    power, total = np.broadcast_to(one, skew.shape), np.zeros_like(skew)
    for factor in factors:
        total = total + np.float32(factor) * power
        power = power @ skew
    return total


def _scaled(weight: np.ndarray, parts: Parts, given: Given) -> np.ndarray:
    del given
    factors = parts["ia3_l"]
    _fit(factors.shape in ((len(weight), 1), (1, weight.shape[1])))
    return weight * factors


def _scaled_bias(bias: np.ndarray, parts: Parts) -> np.ndarray:
    factors = parts["ia3_l"]
    if factors.shape == (len(bias), 1):
        return bias * factors[:, 0]
    _fit(len(factors) == 1)  # of inputs
    return bias


def _tokens(weight: np.ndarray, parts: Parts, given: Given) -> np.ndarray:
    rows, indices = parts["token_adapter.trainable_tokens_delta"], given.tokens()
    if not isinstance(indices, list) or rows.shape != (len(indices), weight.shape[1]):
        raise UnfitError
    _fit(all(isinstance(each, int) and 0 <= each < len(weight) for each in indices))
    made = weight.copy()
    made[indices] = rows
    return made


KINDS = (
    Kind(("lora_A", "lora_B"), _low_rank, ("lora_magnitude_vector",)),
    Kind(("lora_embedding_A", "lora_embedding_B"), _low_rank_embedding, ("lora_magnitude_vector",)),
    Kind(("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"), _hadamard),
    Kind(("vera_lambda_b", "vera_lambda_d"), _vectors),
    Kind(("oft_R",), _rotated),
    Kind(("ia3_l",), _scaled, of_bias=_scaled_bias),
    Kind(("token_adapter.trainable_tokens_delta",), _tokens),
)
"""In the order in which they change a weight that has several."""
