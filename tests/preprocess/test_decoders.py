"""Decoders, on random rows of pieces that no text may give."""

import random

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from preprocess import UnsupportedTokenizerError
from tests import checkpoints
from tools import texts
from tools.comparison import Comparison

_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
_PIECES = ["▁", "▁a", "a▁b", " ", "  c ", "##d", "#", "e</w>", "</w>", "é", "日▁", "x"]
_ODD_BYTES = ["<0xc3>", "<0xa9>", "<0x+a>", "<0x-1>", "<0xag>", "<0x1>"]


def sequence(*parts: decoders.Decoder) -> decoders.Decoder:
    return decoders.Sequence([*parts])


def strip(left: int, right: int) -> decoders.Decoder:
    return decoders.Strip(content=" ", left=left, right=right)


_CASES = {
    "none": None,
    "WordPiece": decoders.WordPiece(),
    "WordPiece, no clean-up, no prefix": decoders.WordPiece(prefix="", cleanup=False),
    "Metaspace": decoders.Metaspace(),
    "Metaspace never": decoders.Metaspace(prepend_scheme="never"),
    "BPEDecoder": decoders.BPEDecoder(),
    "ByteLevel": decoders.ByteLevel(),
    "ByteLevel, Fuse, Replace": sequence(
        decoders.ByteLevel(), decoders.Fuse(), decoders.Replace("</w>", " \\1")
    ),
    # The source panics where it strips the end of an empty text.
    "Fuse, Strip": sequence(decoders.Fuse(), strip(2, 0)),
    "ByteFallback": sequence(decoders.ByteFallback(), decoders.Fuse()),
    "WordPiece, ByteFallback": sequence(decoders.WordPiece(), decoders.ByteFallback()),
    "Metaspace, ByteFallback": sequence(
        decoders.Replace("e", "▁<0x41>"), decoders.Metaspace(), decoders.ByteFallback()
    ),
    "Strip, Fuse": sequence(strip(1, 0), decoders.Fuse()),
    "Llama": sequence(
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), strip(1, 0)
    ),
}


def source(decoder: decoders.Decoder | None) -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = dict.fromkeys([*checkpoints.SPECIAL, *alphabet, *_PIECES, *_BYTES, *_ODD_BYTES])
    whole = Tokenizer(models.BPE({piece: id for id, piece in enumerate(pieces)}, []))
    if decoder is not None:
        whole.decoder = decoder
    whole.add_tokens([" added ", "▁more", "Ġĉ"])
    whole.add_special_tokens(["[CLS]", "[SEP]", "▁skipped"])
    return whole


@pytest.mark.parametrize("decoder", _CASES.values(), ids=_CASES.keys())
def test_decoding_equals_the_source(decoder: decoders.Decoder | None) -> None:
    comparison = Comparison(source(decoder))
    comparison.decoding(texts.id_rows(source(decoder), 3000, random.Random(1)))
    assert comparison.examples == []


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        (decoders.CTC(), "decoder of type CTC"),
        (sequence(strip(0, 1), decoders.Fuse()), "Strip of the end of pieces is not supported"),
        (sequence(decoders.Fuse(), decoders.ByteFallback()), "order Fuse, ByteFallback"),
        (sequence(decoders.ByteLevel(), decoders.Metaspace()), "order ByteLevel, Metaspace"),
    ],
)
def test_other_decoders_are_refused_by_name(decoder: decoders.Decoder, message: str) -> None:
    with pytest.raises(UnsupportedTokenizerError, match=message):
        Comparison(source(decoder))
