"""RoBERTa (https://arxiv.org/abs/1907.11692), XLM-RoBERTa (1911.02116), CamemBERT (1911.03894).

BERT in which positions are counted from `pad_token_id + 1` on, so that the table has fewer usable
rows than `max_position_embeddings` (512 of 514). Published checkpoints have one token type. They
were trained without the pooler: it is missing, or as it was initialised.
"""

import dataclasses
from typing import Any, ClassVar

from encoders import bert
from encoders.core.architecture import Architecture
from encoders.core.blocks.blocks import PostNormBlock
from encoders.core.blocks.embeddings import Embeddings, after_padding
from encoders.core.blocks.layers import Embedding
from encoders.core.config import TokenId
from encoders.core.encoder import Encoder, Pooler
from encoders.core.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class RobertaConfig(bert.BertConfig):
    """Options of `transformers.RobertaConfig` that change what is computed.

    `transformers` has other defaults of `vocab_size` for XLM-RoBERTa and CamemBERT; a checkpoint
    that leaves it out does not fit the variables, and is refused.
    """

    vocab_size: int = 50265
    pad_token_id: TokenId = 1

    ignored: ClassVar[tuple[str, ...]] = ("classifier_dropout",)
    sizes: ClassVar = {"positions": "positions"}

    @property
    def positions(self) -> int:
        """How many tokens the position table has a row for."""
        return self.max_position_embeddings - self.padding - 1

    @property
    def padding(self) -> int:
        """The padding id; `check` has seen to it that there is one."""
        return self.pad_token_id or 0

    def check(self) -> None:
        super().check()
        if self.pad_token_id is None:
            raise ConfigError("pad_token_id: expected an id to count positions from, found None")
        if self.positions < 1:
            raise ConfigError(
                f"a max_position_embeddings of {self.max_position_embeddings} leaves no position "
                f"behind a pad_token_id of {self.pad_token_id}"
            )


TABLE = dataclasses.replace(bert.TABLE, prefix="roberta.")


def embeddings(config: RobertaConfig, **parts: Any) -> Embeddings:
    """The embeddings, their variables declared; `parts` are those that are not RoBERTa's."""
    positions, padding = config.max_position_embeddings, config.padding
    usual: dict[str, Any] = {
        "position": Embedding(positions, config.hidden_size, padding=padding),
        "places": after_padding(padding),
    }
    return bert.embeddings(config, Embeddings, **{**usual, **parts})


def build(config: RobertaConfig) -> Encoder:
    """The encoder, its variables declared."""
    blocks = bert.blocks(config, PostNormBlock)
    return Encoder(config.dimensions, embeddings(config), blocks, Pooler(config.hidden_size))


ARCHITECTURE = Architecture(("roberta", "xlm-roberta", "camembert"), RobertaConfig, build, TABLE)
