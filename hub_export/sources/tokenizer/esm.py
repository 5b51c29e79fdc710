"""ESM's tokenizer, which runs in Python: a vocabulary of amino acids.

Wherever an entry of vocab.txt stands, it is a token, the longest first; what lies between, up to
the next whitespace, as Python has it, is one unknown token.
"""

import re
from typing import Any

from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from hub_export.sources.tokenizer.in_python import finish, whitespace

CLASSES = ("EsmTokenizer",)
NO_SPLITTING = (
    "special tokens that are text in a text (split_special_tokens in tokenizer_config.json, "
    "special_tokens_in_text=false) are not supported: for them, EsmTokenizer of transformers "
    "splits at whitespace alone, so that a sequence is one unknown token"
)


def built(source: Any) -> Tokenizer:
    """The same tokenizer, of the `tokenizers` library.

    Args:
        source: that of `transformers`.

    Raises:
        ValueError: it splits texts at whitespace alone.
    """
    if source.split_special_tokens:
        raise ValueError(f"{NO_SPLITTING}; say split_special_tokens: false there")
    tokenizer = Tokenizer(models.WordLevel(source.get_vocab(), unk_token=source.unk_token))
    entries = sorted(filter(None, source.all_tokens), key=len, reverse=True)
    pieces = Regex("|".join(map(re.escape, entries)))
    spaces = Regex(f"[{whitespace()}]")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(pieces, "isolated"), pre_tokenizers.Split(spaces, "removed")]
    )
    end = source.eos_token
    finish(tokenizer, source, end, pair=f"$B:1 {end}:1")
    return tokenizer
