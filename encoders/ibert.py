"""I-BERT (https://arxiv.org/abs/2101.01321) before it is quantised: RoBERTa.

Its integer form (`quant_mode`) is not supported: what it computes are integers, and another graph.
"""

import dataclasses
from typing import ClassVar

from encoders import bert, roberta
from encoders.core.architecture import Architecture
from encoders.core.config import TokenId


@dataclasses.dataclass(frozen=True)
class IBertConfig(roberta.RobertaConfig):
    """Options of `transformers.IBertConfig` that change what is computed."""

    vocab_size: int = 30522
    pad_token_id: TokenId = 1

    fixed: ClassVar = {**roberta.RobertaConfig.fixed, "quant_mode": False}
    ignored: ClassVar = ("classifier_dropout", "force_dequant")

    def check(self) -> None:
        super().check()
        bert.check_gelu(self)


_RANGES = r"(act_scaling_factor|fc_scaling_factor|weight_scaling_factor|x_max|x_min|shift)"

TABLE = dataclasses.replace(
    roberta.TABLE,
    prefix="ibert.",
    buffers={
        **roberta.TABLE.buffers,
        rf".*\.({_RANGES}|(bias|weight)_integer)": "of the integer form",
    },
)

ARCHITECTURE = Architecture(("ibert",), IBertConfig, roberta.build, TABLE)
