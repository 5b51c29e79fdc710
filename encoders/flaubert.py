"""FlauBERT (https://arxiv.org/abs/1912.05372): XLM for French, its norms before the parts or after.

Where they are before them (`pre_norm`), nothing normalises the output of the last block. Layers
that training left out (`layerdrop`) are all there otherwise.
"""

import dataclasses
from typing import ClassVar

from encoders import xlm
from encoders.core.architecture import Architecture
from encoders.core.blocks.blocks import PreNormBlock
from encoders.core.encoder import Encoder


@dataclasses.dataclass(frozen=True)
class FlaubertConfig(xlm.XLMConfig):
    """Options of `transformers.FlaubertConfig` that change what is computed."""

    pre_norm: bool = False

    ignored: ClassVar[tuple[str, ...]] = (*xlm.XLMConfig.ignored, "layerdrop")


class FlaubertBlock(xlm.ZeroPadding, PreNormBlock):
    """A block whose output is zero for padding."""


def build(config: FlaubertConfig) -> Encoder:
    """The encoder, its variables declared."""
    if config.pre_norm:
        return xlm.encoder_of(config, FlaubertBlock)
    return xlm.encoder_of(config, xlm.XLMBlock)


ARCHITECTURE = Architecture(("flaubert",), FlaubertConfig, build, xlm.TABLE)
