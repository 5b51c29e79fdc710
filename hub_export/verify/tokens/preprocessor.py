"""Comparing an exported preprocessor with the source tokenizer."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tokenizers import Tokenizer

from hub_export.sources.tokenizer.files import restored, unpacked
from hub_export.terminal import Progress
from hub_export.verify import samples
from hub_export.verify.checks import Check
from hub_export.verify.loaded import Preprocessor
from hub_export.verify.samples import Amount
from hub_export.verify.tokens import ids, offsets, packing

_CODEPOINTS, _ENTRIES = "tokens, every codepoint", "tokens, every vocabulary entry"
_AWKWARD, _RANDOM = "tokens, awkward strings", "tokens, fuzz strings"
_TOKENS = (_CODEPOINTS, _ENTRIES, _AWKWARD, _RANDOM)


def compare(
    model: Any,
    source: Tokenizer,
    types: int,
    progress: Progress,
    amount: Amount = samples.WHOLE,
    ties: bool = False,
    scripts: bool = False,
) -> list[Check]:
    """Compares a loaded preprocessor with its source: each check must find no difference.

    Where ties are allowed, the tokens of one text in a thousand may differ, over all checks, if
    they have the score of the source's. Texts that do are counted, and left out of the comparison
    of offsets and packed texts.

    Args:
        model: the loaded SavedModel.
        source: the tokenizer; its truncation and padding are how the preprocessor packs.
        types: number of type ids that the encoder knows; the source's are cut to it.
        progress: told of every text.
        amount: how much to compare.
        ties: whether the preprocessor may differ where two ways to cut a word are as good as equal.
        scripts: whether to count what is compared of each script.
    """
    with unpacked(source):
        texts, unreached = _texts(source, amount)
    tie = ids.of_scores(source) if ties else ids.never
    total = sum(map(len, texts.values())) + 2 * amount.pairs * len(packing.lengths(source))
    loaded = Preprocessor(model)
    with progress.bar("verifying tokens", total) as advance:
        with unpacked(source):
            checks, tied = ids.compare(loaded, source, texts, tie, advance, scripts)
            checks = [_reached(check, unreached) for check in checks]
            checks.append(ids.entries(loaded, source))
            awkward, fuzz = (
                [text for text in each if text not in tied]
                for each in (texts[_AWKWARD], texts[_RANDOM])
            )
            drawn = fuzz[: 2 * amount.pairs]
            batches = [[*awkward, *drawn], *map(list, samples.EDGES)]
            checks.append(offsets.compare(loaded, source, batches))
        pairs = list(zip(drawn[::2], drawn[1::2], strict=True))
        with restored(source):
            checks.append(packing.compare(loaded, source, pairs, types, advance))
    return checks


def _texts(source: Tokenizer, amount: Amount) -> tuple[Mapping[str, Sequence[str]], int]:
    """What is compared -> texts; and how many entries of the vocabulary none of them gives."""
    numbers = sorted(source.get_vocab().values())
    pieces = [source.decode([id], skip_special_tokens=False) for id in numbers]
    special = [token.content for token in source.get_added_tokens_decoder().values()]
    reaching, unreached = samples.vocabulary(source)
    texts = {
        _CODEPOINTS: list(samples.codepoints(amount.step)),
        _ENTRIES: reaching,
        _AWKWARD: samples.AWKWARD,
        _RANDOM: list(samples.fuzz(pieces, special, amount.fuzz)),
    }
    return texts, unreached


def _reached(check: Check, unreached: int) -> Check:
    """Adds to the check of the vocabulary how many entries no text has given."""
    if check.subject != _ENTRIES:
        return check
    figures = {**check.figures, "never_produced": unreached}
    words = f"{check.found}; no text gives {unreached:,} of the entries"
    return dataclasses.replace(check, found=words, figures=figures)


def summary(checks: Iterable[Check]) -> str:
    """How many texts differ, over all checks of tokens."""
    tokens = [check.figures for check in checks if check.subject in _TOKENS]
    differ, compared = (sum(each[key] for each in tokens) for key in ("differences", "compared"))
    return f"{differ:,} of {compared:,} texts differ from the source"
