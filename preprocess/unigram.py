"""Unigram (https://arxiv.org/abs/1804.10959): SentencePiece's tokenizer, of ALBERT and XLM-R.

Each word becomes the pieces whose scores (log probabilities) have the highest sum.
"""

from preprocess.core.components import Component, require
from preprocess.core.tokenizer import Kind
from preprocess.core.viterbi import Viterbi

_OPTIONS = {"Unigram": ("unk_id", "vocab", "byte_fallback")}


def compile(tokenizer: Component) -> Viterbi:
    """Compiles the model of a serialised tokenizer.

    Raises:
        UnsupportedTokenizerError: an option, or the vocabulary, cannot be followed exactly.
    """
    model = require("model", tokenizer["model"], _OPTIONS)
    vocabulary = [(piece, score) for piece, score in model["vocab"]]
    return Viterbi(vocabulary, model["unk_id"], model["byte_fallback"])


KIND = Kind("Unigram", compile)
