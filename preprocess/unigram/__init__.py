"""Unigram (https://arxiv.org/abs/1804.10959): SentencePiece's tokenizer, of ALBERT and XLM-R.

Each word becomes the pieces whose scores (log probabilities) have the highest sum.
"""

import functools

from preprocess.source.components import Component, require
from preprocess.tokenizer.tokenizer import TokenizerKind
from preprocess.unigram.model import UnigramModel
from preprocess.unigram.sentencepiece_op import SentencePiece
from preprocess.unigram.viterbi import Viterbi

_OPTIONS = {"Unigram": ("unk_id", "vocab", "byte_fallback")}


def compile(engine: type[UnigramModel], tokenizer: Component) -> UnigramModel:
    """Compiles the model of a serialised tokenizer.

    Raises:
        UnsupportedTokenizerError: an option, or the vocabulary, cannot be followed.
    """
    model = require("model", tokenizer["model"], _OPTIONS)
    vocabulary = [(piece, score) for piece, score in model["vocab"]]
    return engine(vocabulary, model["unk_id"], model["byte_fallback"])


KIND = TokenizerKind(
    "Unigram",
    functools.partial(compile, Viterbi),
    others={"fast": functools.partial(compile, SentencePiece)},
)
