"""How RoPE is stretched to longer rows than a model was first trained on.

Each kind makes other frequencies, and YaRN also other lengths of turned vectors. They are those of
`transformers`, of which `dynamic` and `longrope` are left out: theirs depend on the longest row of
a batch.
"""

import abc
import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from encoders.core.errors import ConfigError

Floats = npt.NDArray[np.float32]


class Scaling(abc.ABC):
    """Makes frequencies of wavelengths, in the order of the source: far positions turn many times.

    Attributes:
        length: what queries and keys are multiplied by.
    """

    length: float = 1.0

    @abc.abstractmethod
    def __call__(self, wavelengths: Floats, theta: float) -> Floats:
        """Float32 [K / 2], rising from 1 by powers of `theta` -> float32 [K / 2]."""


@dataclasses.dataclass(frozen=True)
class Plain(Scaling):
    """Stretches nothing."""

    def __call__(self, wavelengths: Floats, theta: float) -> Floats:
        """Wavelengths to frequencies, float32 [K / 2]."""
        del theta
        return np.float32(1) / wavelengths


PLAIN = Plain()


@dataclasses.dataclass(frozen=True)
class Linear(Scaling):
    """Divides all positions by a factor (https://arxiv.org/abs/2306.15595)."""

    factor: float

    def __call__(self, wavelengths: Floats, theta: float) -> Floats:
        """Wavelengths to frequencies, float32 [K / 2]."""
        return PLAIN(wavelengths, theta) / np.float32(self.factor)


@dataclasses.dataclass(frozen=True)
class Llama3(Scaling):
    """Divides low frequencies alone, with a smooth passage (https://arxiv.org/abs/2407.21783)."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_max_position_embeddings: float

    def __call__(self, wavelengths: Floats, theta: float) -> Floats:
        """Wavelengths to frequencies, float32 [K / 2]."""
        plain, low, high = PLAIN(wavelengths, theta), self.low_freq_factor, self.high_freq_factor
        # torch divides a number by a tensor so: by its reciprocal.
        waves = np.float32(1) / plain * np.float32(2 * np.pi)
        turns = np.float32(1) / waves * np.float32(self.original_max_position_embeddings)
        kept = np.clip((turns - np.float32(low)) / np.float32(high - low), 0, 1)
        frequencies: Floats = (1 - kept) * plain / np.float32(self.factor) + kept * plain
        return frequencies


@dataclasses.dataclass(frozen=True)
class Yarn(Scaling):
    """Divides low frequencies alone, and lengthens the vectors (https://arxiv.org/abs/2309.00071).

    Its options have the names that `transformers` gives them.
    """

    factor: float
    original_max_position_embeddings: float
    attention_factor: float | None = None
    beta_fast: float | None = None
    beta_slow: float | None = None
    mscale: float | None = None
    mscale_all_dim: float | None = None
    truncate: bool = True

    @property
    def length(self) -> float:  # type: ignore[override]
        """What queries and keys are multiplied by."""
        if self.attention_factor is not None:
            return self.attention_factor
        if self.mscale and self.mscale_all_dim:
            return self._grown(self.mscale) / self._grown(self.mscale_all_dim)
        return self._grown(1.0)

    def __call__(self, wavelengths: Floats, theta: float) -> Floats:
        """Wavelengths to frequencies, float32 [K / 2]."""
        pairs = len(wavelengths)
        low = self._pair(self.beta_fast or 32.0, pairs, theta)
        high = self._pair(self.beta_slow or 1.0, pairs, theta)
        if self.truncate:
            low, high = math.floor(low), math.ceil(high)
        low, high = max(low, 0), min(high, 2 * pairs - 1)
        ramp = (np.arange(pairs, dtype=np.float32) - low) / (high - low or 0.001)
        kept = 1 - np.clip(ramp, 0, 1)
        divided = np.float32(1) / (np.float32(self.factor) * wavelengths)
        frequencies: Floats = divided * (1 - kept) + PLAIN(wavelengths, theta) * kept
        return frequencies

    def _grown(self, scale: float) -> float:
        return 1.0 if self.factor <= 1 else 0.1 * scale * math.log(self.factor) + 1.0

    def _pair(self, turns: float, pairs: int, theta: float) -> float:
        """The number of the pair that turns so often within the rows of the first training."""
        steps = math.log(self.original_max_position_embeddings / (turns * 2 * math.pi))
        return pairs * steps / math.log(theta)


_KINDS: Mapping[str, Callable[..., Scaling]] = {
    "default": Plain,
    "linear": Linear,
    "llama3": Llama3,
    "yarn": Yarn,
}
_ALSO_NAMED = "type"  # the kind, in older configurations


@dataclasses.dataclass(frozen=True)
class Rope:
    """What RoPE turns by.

    Attributes:
        theta: the base of the wavelengths.
        scaling: changes the frequencies.
    """

    theta: float
    scaling: Scaling = PLAIN


def read(parameters: Mapping[str, Any], theta: float, positions: int, option: str) -> Rope:
    """Reads an object of `rope_parameters`, or of `rope_scaling`.

    Args:
        parameters: the object.
        theta: the base where it has none.
        positions: those of the model, which stand for the rows of its first training where the
            object does not tell of these.
        option: names it in errors.

    Raises:
        ConfigError: the kind, or an option of it, is missing or not supported.
    """
    given = {key: value for key, value in parameters.items() if value is not None}
    named = given.pop(_ALSO_NAMED, "default")
    kind = given.pop("rope_type", named)
    found = given.pop("rope_theta", theta)
    if kind not in _KINDS:
        raise ConfigError(
            f"{option}: the rope_type {kind!r} is not supported; supported: {', '.join(_KINDS)}"
        )
    if not _is_number(found) or found < 1:
        raise ConfigError(f"{option}: expected a rope_theta of 1 or more, found {found!r}")
    made = _KINDS[kind]
    options = {each.name: each for each in dataclasses.fields(made)}  # type: ignore[arg-type]
    first = "original_max_position_embeddings"
    given |= {first: given.get(first, positions)} if first in options else {}
    needed = {name for name, each in options.items() if each.default is dataclasses.MISSING}
    if problems := [*sorted(needed - given.keys()), *sorted(given.keys() - options.keys())]:
        raise ConfigError(
            f"{option}: a rope_type {kind!r} has the options {', '.join(options) or 'none'}; "
            f"missing or beyond these: {', '.join(problems)}"
        )
    if wrong := [key for key, value in given.items() if not _fits(key, value)]:
        raise ConfigError(f"{option}: expected numbers above 0, found {parameters} at {wrong}")
    return Rope(float(found), made(**given))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _fits(key: str, value: Any) -> bool:
    return isinstance(value, bool) if key == "truncate" else _is_number(value) and value > 0
