"""PhoBERT's and BERTweet's tokenizers, which run in Python: fastBPE's bpe.codes and vocab.txt.

The last symbol of a word ends with `</w>` while symbols are merged. In the vocabulary a piece ends
with `@@` where its word goes on; what is not in it is the unknown token. A word is all up to the
next whitespace, as Python has it, and takes the end of its line along.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from hub_export.litert.renumbered import Renumbered
from hub_export.sources.tokenizer.in_python import finish, whitespace

CODES, VOCABULARY = "bpe.codes", "vocab.txt"
CLASSES = ("BertweetTokenizer", "PhobertTokenizer")
_END, _GOES_ON = "</w>", "@@"


def built(source: Any) -> Tokenizer:
    """The same tokenizer, of the `tokenizers` library.

    Args:
        source: that of `transformers`.

    Raises:
        ValueError: it normalises tweets, or an added token has an id beyond the vocabulary.
    """
    if getattr(source, "normalization", False):
        raise ValueError(
            "normalization: true is not supported: it rewrites tweets in Python, by rules for "
            "users, links, emoji and English; say false in tokenizer_config.json and normalise "
            "texts before, or say parts=encoder"
        )
    known = source.get_vocab()
    for id, token in source.added_tokens_decoder.items():
        if id >= len(known):
            raise ValueError(
                f"the added token {token.content!r} has the id {id}, beyond a vocabulary of "
                f"{len(known)}; give it the next id that is free"
            )
    # A pair that is listed twice stands at its first place, and has its last rank.
    ranked = sorted(source.bpe_ranks, key=source.bpe_ranks.get)
    merges = [pair for pair in ranked if len(pair) == 2]
    ids, numbers = _numbered(source, merges, known)
    tokenizer = Tokenizer(
        models.BPE(ids, merges, unk_token=source.unk_token, end_of_word_suffix=_END)
    )
    words = Regex(f"[^{whitespace()}]+\\n?")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(words, "removed", invert=True)
    tokenizer.decoder = decoders.BPEDecoder(_END)
    end = source.sep_token
    finish(tokenizer, source, end, pair=f"{end} $B {end}")
    return cast(Tokenizer, Renumbered(tokenizer, numbers))


def _numbered(
    source: Any, merges: list[tuple[str, str]], known: Mapping[str, int]
) -> tuple[dict[str, int], list[int]]:
    """Symbol -> id in the model, and of each of these ids the one in the vocabulary.

    The two differ where a symbol is not in the vocabulary, or another one has the same piece.
    """
    unknown, size = known[source.unk_token], max(known.values()) + 1
    ids = {token.content: id for id, token in source.added_tokens_decoder.items()}
    taken, others = {*ids.values()}, list[int]()
    for symbol in dict.fromkeys(_symbols(merges, source.encoder)):
        id = known.get(_piece(symbol), unknown)
        if id in taken or id == unknown:
            ids[symbol] = size + len(others)
            others.append(id)
        else:
            ids[symbol] = id
            taken.add(id)
    return ids, [*range(size), *others]


def _symbols(merges: list[tuple[str, str]], vocabulary: Mapping[str, int]) -> Iterator[str]:
    """All that may be merged, or be left."""
    for piece in vocabulary:
        goes_on = piece.endswith(_GOES_ON) and piece != _GOES_ON
        yield piece.removesuffix(_GOES_ON) if goes_on else piece + _END
    for left, right in merges:
        yield from (left, right, left + right)


def _piece(symbol: str) -> str:
    """What the vocabulary calls a symbol."""
    return symbol.removesuffix(_END) if symbol.endswith(_END) else symbol + _GOES_ON
