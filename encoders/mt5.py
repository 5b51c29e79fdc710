"""mT5 (https://arxiv.org/abs/2010.11934): T5 1.1 for many languages, of other sizes."""

import dataclasses

from encoders import t5
from encoders.core.architecture import Architecture


@dataclasses.dataclass(frozen=True)
class MT5Config(t5.T5Config):
    """Options of `transformers.MT5Config` that change what is computed."""

    vocab_size: int = 250112
    d_ff: int = 1024
    num_layers: int = 8
    num_heads: int = 6
    feed_forward_proj: str = "gated-gelu"


ARCHITECTURE = Architecture(("mt5",), MT5Config, t5.build, t5.TABLE, t5.REFERENCE)
