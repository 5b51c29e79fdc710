"""Engines that trade exactness for speed, and how they are asked for."""

import random

import pytest
import tensorflow as tf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

import preprocess
from preprocess import UnsupportedTokenizerError
from preprocess.unigram.sentencepiece_op import SentencePiece
from preprocess.unigram.viterbi import Viterbi

Vocabulary = list[tuple[str, float]]

BYTES = [(f"<0x{byte:02X}>", -9.0) for byte in range(256)]


def vocabulary(draw: random.Random) -> Vocabulary:
    """Scores on the grid, whose sums are exact in float32 and in float64."""
    pieces = {"".join(draw.choices("abé▁漢😀", k=draw.randint(1, 4))) for _ in range(60)}
    scores = [-draw.randint(1, 1 << 19) / (1 << 16) for _ in pieces]
    return [("<unk>", 0.0), *zip(sorted(pieces), scores, strict=True)]


def words(draw: random.Random) -> list[str]:
    parts = [*("abé▁漢" * 9), "x", "ÿ", "🚀", "\0", "\U0010fffe", "<unk>", "<0x41>"]
    return ["".join(draw.choices(parts, k=draw.choice([0, 1, 3, 9]))) for _ in range(500)]


def found(engine: Viterbi | SentencePiece, texts: list[str]) -> list[list[list[list[int]]]]:
    return [each.to_list() for each in engine.tokenize_with_offsets(tf.constant(texts))]


@pytest.mark.parametrize("seed", range(6))
def test_fast_unigram_equals_the_exact_one_where_sums_are_exact(seed: int) -> None:
    draw = random.Random(seed)
    pieces = vocabulary(draw) + BYTES * (seed % 2)
    options = pieces, 0, draw.random() < 0.5
    texts = words(draw)
    assert found(SentencePiece(*options), texts) == found(Viterbi(*options), texts)


@pytest.mark.parametrize("piece", ["a\0b", "\U0010fffe"])
def test_pieces_that_sentencepiece_cannot_have(piece: str) -> None:
    with pytest.raises(UnsupportedTokenizerError, match="engine fast"):
        SentencePiece([("<unk>", 0.0), (piece, -1.0)], 0, False)


def source(model: models.Model) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.Fuse()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A", pair="$A $B")
    return tokenizer


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"), "WordPiece have no .* exact$"),
        (models.BPE({"a": 0}, []), "BPE have no engine fast; they have: exact$"),
        (models.Unigram([("<unk>", 0.0), ("a", -1.0)], 0), "no engine .*: exact, fast$"),
    ],
)
def test_an_engine_that_a_kind_does_not_have(model: models.Model, message: str) -> None:
    engine = "other" if isinstance(model, models.Unigram) else "fast"
    with pytest.raises(UnsupportedTokenizerError, match=message):
        preprocess.build(source(model), "a", None, 8, 2, engine=engine)
