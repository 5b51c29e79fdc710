"""What can be wrong with a source model, as typed errors."""


class EncoderError(ValueError):
    """Base of every error that this package raises about a source model."""


class ConfigError(EncoderError):
    """The configuration asks for something that the encoder does not compute."""


class WeightsError(EncoderError):
    """The tensors do not fill the encoder exactly."""
