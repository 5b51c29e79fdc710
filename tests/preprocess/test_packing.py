"""Packing against `enable_truncation` and `enable_padding` of the source."""

import itertools
import random

import pytest
import tensorflow as tf
from tokenizers import Tokenizer, processors

import preprocess
from tests import checkpoints
from tools.comparison import Comparison

_POST_PROCESSORS = {
    "bert": processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2)),
    "roberta": processors.RobertaProcessing(("[SEP]", 3), ("[CLS]", 2)),
    "template": processors.TemplateProcessing(
        single="$A:3 [SEP]:2",
        pair="[CLS] $A [SEP] [SEP] $B:4 [MASK]:5",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3), ("[MASK]", 4)],
    ),
}


def pairs(count: int = 300) -> list[tuple[str, str]]:
    draw = random.Random(2)
    texts = (
        " ".join(draw.choices("abcd", k=draw.choice([0, 1, 2, 3, 9, 20]))) for _ in range(count)
    )
    return [*zip(texts, texts, strict=True)]


@pytest.mark.parametrize("strategy", ["longest_first", "only_first", "only_second"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_truncation_and_padding_equal_the_source(strategy: str, side: str) -> None:
    other = {"left": "right", "right": "left"}[side]
    for (name, post_processor), padding in itertools.product(
        _POST_PROCESSORS.items(), (side, other)
    ):
        source: Tokenizer = checkpoints.wordpiece(checkpoints.PIECES)
        source.post_processor = post_processor
        source.enable_truncation(64, strategy=strategy, direction=side)
        source.enable_padding(direction=padding, pad_id=0, pad_token="[PAD]", pad_type_id=6)
        comparison = Comparison(source)
        least = comparison.special_tokens
        comparison.pairs(pairs(), [least, least + 1, least + 2, 12, 15])
        assert comparison.examples == [], name


def test_the_host_reads_and_packs() -> None:
    source = checkpoints.wordpiece(checkpoints.PIECES)
    made = preprocess.build(source, "[PAD]", None, seq_length=8, type_vocabulary=2)

    def rows(text: tf.Tensor) -> list[tf.Tensor]:
        return [*made.packer([preprocess.flat_segment(made.tokenizer.tokenize(text))], 8)]

    spec = tf.TensorSpec([None], tf.string)
    graph = tf.function(rows, autograph=False).get_concrete_function(spec).graph
    own = [node for node in graph.get_operations() if node.type not in ("Placeholder", "Identity")]
    elsewhere = [node.name for node in own if node.device != "/device:CPU:0"]
    assert len(own) > 100
    assert len(elsewhere) < 9, elsewhere
