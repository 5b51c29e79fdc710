"""What tokenizers that run in Python have in common, whatever their vocabulary is."""

import re
import sys
from typing import Any

from tokenizers import Tokenizer, processors


def finish(tokenizer: Tokenizer, source: Any, end: str, pair: str) -> None:
    """Gives a tokenizer the added tokens of its source, and what that packs texts with.

    Args:
        tokenizer: of the same vocabulary.
        source: that of `transformers`.
        end: the token behind a text; in front stands the `cls_token`.
        pair: what follows the first text and its end, in the words of TemplateProcessing.
    """
    known, start = source.get_vocab(), source.cls_token
    single = f"{start} $A {end}"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=single,
        pair=f"{single} {pair}",
        special_tokens=[(each, known[each]) for each in (start, end)],
    )
    added = source.added_tokens_decoder.values()
    tokenizer.add_tokens([each for each in added if not each.special])
    tokenizer.add_special_tokens([each for each in added if each.special])


def whitespace() -> str:
    """What `\\s` matches in Python."""
    return "".join(re.findall(r"\s", "".join(map(chr, range(sys.maxunicode + 1)))))
