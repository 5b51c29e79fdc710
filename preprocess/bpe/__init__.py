"""Byte-pair encoding (https://arxiv.org/abs/1508.07909): the tokenizer of RoBERTa and ModernBERT.

The symbols of each word, bytes or characters, are merged pair by pair, in the order in which the
pairs were learned.
"""

from preprocess.bpe.merges import Merges
from preprocess.source.components import Component, require
from preprocess.text.pre_tokenizers import is_byte_level
from preprocess.tokenizer.tokenizer import TokenizerKind

_OPTIONS = {
    "BPE": (
        "byte_fallback",
        "continuing_subword_prefix",
        "dropout",
        "end_of_word_suffix",
        "fuse_unk",
        "ignore_merges",
        "merges",
        "unk_token",
        "vocab",
    )
}


def compile(tokenizer: Component) -> Merges:
    """Compiles the model of a serialised tokenizer.

    Raises:
        UnsupportedTokenizerError: an option cannot be followed exactly.
        VocabularyError: the unknown token is needed, and not in the vocabulary.
    """
    model = require("model", tokenizer["model"], _OPTIONS)
    return Merges(model, is_byte_level(tokenizer["pre_tokenizer"]), tokenizer.get("numbers"))


KIND = TokenizerKind("BPE", compile, byte_level=True)
