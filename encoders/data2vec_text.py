"""Data2Vec for text (https://arxiv.org/abs/2202.03555): RoBERTa, trained to predict vectors."""

import dataclasses

from encoders import roberta
from encoders.core.architecture import Architecture


@dataclasses.dataclass(frozen=True)
class Data2VecTextConfig(roberta.RobertaConfig):
    """Options of `transformers.Data2VecTextConfig` that change what is computed."""

    vocab_size: int = 30522


TABLE = dataclasses.replace(roberta.TABLE, prefix="data2vec_text.")

ARCHITECTURE = Architecture(("data2vec-text",), Data2VecTextConfig, roberta.build, TABLE)
