"""ESM's tokenizer, which runs in Python: a vocabulary of amino acids.

Wherever an entry of vocab.txt stands, it is a token, the longest first; what lies between, up to
the next whitespace, as Python has it, is one unknown token.
"""

import re
from typing import Any

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

from hub_export.sources.tokenizer.fastbpe import whitespace

CLASSES = ("EsmTokenizer",)


def built(source: Any) -> Tokenizer:
    """The same tokenizer, of the `tokenizers` library.

    Args:
        source: that of `transformers`.
    """
    known = source.get_vocab()
    tokenizer = Tokenizer(models.WordLevel(known, unk_token=source.unk_token))
    entries = sorted(filter(None, source.all_tokens), key=len, reverse=True)
    pieces = Regex("|".join(map(re.escape, entries)))
    spaces = Regex(f"[{whitespace()}]")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(pieces, "isolated"), pre_tokenizers.Split(spaces, "removed")]
    )
    start, end = source.cls_token, source.eos_token
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        pair=f"{start} $A {end} $B {end}",
        special_tokens=[(each, known[each]) for each in (start, end)],
    )
    added = source.added_tokens_decoder.values()
    tokenizer.add_tokens([each for each in added if not each.special])
    tokenizer.add_special_tokens([each for each in added if each.special])
    return tokenizer
