"""What Google's BERT and ALBERT of TensorFlow 1 are in the words of `transformers`, as tables."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, normalizers

from encoders import SPLIT_OUTPUTS, TENSORFLOW, TORCH, Row, Rows
from hub_export.sources.formats.renaming import Fields
from hub_export.sources.tokenizer import sentencepiece, wordpiece

Config = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Family:
    """A kind of checkpoint.

    Attributes:
        model_type: the architecture in `transformers`.
        config: the file of its configuration, which tells it.
        rows: its tensors.
        fields: gives the values of the rows' fields, from its configuration.
        vocabulary: pattern of the file of its vocabulary.
        special_tokens: role -> token.
        tokenizer_model: the kind of its tokenizer in `tokenizers`.
        tokenizer: builds its tokenizer from that file, and whether it lower-cases.
        cased: whether that file is of a cased model.
        case_rule: how `cased` knows.
        notes: what a user should know of it.
    """

    model_type: str
    config: str
    rows: tuple[Row, ...]
    fields: Callable[[Config], Iterator[Fields]]
    vocabulary: str
    special_tokens: Mapping[str, str]
    tokenizer_model: str
    tokenizer: Callable[[Path, bool], Tokenizer]
    cased: Callable[[Path], bool]
    case_rule: str
    notes: tuple[str, ...] = ()


_ROWS = Rows(TORCH, TENSORFLOW, SPLIT_OUTPUTS)
_linear, _norm = _ROWS.linear, _ROWS.norm


def _layers(config: Config) -> Iterator[Fields]:
    yield from ({"layer": layer} for layer in range(config["num_hidden_layers"]))


def _shared_layers(config: Config) -> Iterator[Fields]:
    for group in range(config.get("num_hidden_groups", 1)):
        for inner in range(config.get("inner_group_num", 1)):
            yield {"group": group, "inner": inner}


def _bert_tokenizer(path: Path, lower: bool) -> Tokenizer:
    normalizer = normalizers.BertNormalizer(lowercase=lower)
    return wordpiece.build(path, normalizer, recognised=list(wordpiece.SPECIAL.values()))


def _albert_tokenizer(path: Path, lower: bool) -> Tokenizer:
    return sentencepiece.albert(path, sentencepiece.uncased() if lower else sentencepiece.cased())


_EMBEDDINGS = (
    *(
        row
        for name in ("word_embeddings", "position_embeddings", "token_type_embeddings")
        for row in _ROWS.embedding(f"embeddings.{name}", f"bert/embeddings/{name}")
    ),
    *_norm("embeddings.LayerNorm", "bert/embeddings/LayerNorm"),
)
_LAYER, _TF_LAYER = "encoder.layer.{layer}", "bert/encoder/layer_{layer}"
_SHARED = "encoder.albert_layer_groups.{group}.albert_layers.{inner}"
_TF_SHARED = "bert/encoder/transformer/group_{group}/inner_group_{inner}"
_PARTS = ("query", "key", "value")

_BERT = Family(
    "bert",
    "bert_config.json",
    (
        *_EMBEDDINGS,
        *(
            row
            for part in _PARTS
            for row in _linear(
                f"{_LAYER}.attention.self.{part}", f"{_TF_LAYER}/attention/self/{part}"
            )
        ),
        *_linear(f"{_LAYER}.attention.output.dense", f"{_TF_LAYER}/attention/output/dense"),
        *_norm(f"{_LAYER}.attention.output.LayerNorm", f"{_TF_LAYER}/attention/output/LayerNorm"),
        *_linear(f"{_LAYER}.intermediate.dense", f"{_TF_LAYER}/intermediate/dense"),
        *_linear(f"{_LAYER}.output.dense", f"{_TF_LAYER}/output/dense"),
        *_norm(f"{_LAYER}.output.LayerNorm", f"{_TF_LAYER}/output/LayerNorm"),
        *_linear("pooler.dense", "bert/pooler/dense", optional="pooler"),
    ),
    _layers,
    "vocab.txt",
    wordpiece.SPECIAL,
    "WordPiece",
    _bert_tokenizer,
    lambda path: wordpiece.is_cased(wordpiece.pieces(path)),
    "the vocabulary has an entry with a capital letter if, and only if, the model is cased",
)
_ALBERT = Family(
    "albert",
    "albert_config.json",
    (
        *_EMBEDDINGS,
        *_linear("encoder.embedding_hidden_mapping_in", "bert/encoder/embedding_hidden_mapping_in"),
        *(
            row
            for part in _PARTS
            for row in _linear(
                f"{_SHARED}.attention.{part}", f"{_TF_SHARED}/attention_1/self/{part}"
            )
        ),
        *_linear(f"{_SHARED}.attention.dense", f"{_TF_SHARED}/attention_1/output/dense"),
        *_norm(f"{_SHARED}.attention.LayerNorm", f"{_TF_SHARED}/LayerNorm"),
        *_linear(f"{_SHARED}.ffn", f"{_TF_SHARED}/ffn_1/intermediate/dense"),
        *_linear(f"{_SHARED}.ffn_output", f"{_TF_SHARED}/ffn_1/intermediate/output/dense"),
        *_norm(f"{_SHARED}.full_layer_layer_norm", f"{_TF_SHARED}/LayerNorm_1"),
        *_linear("pooler", "bert/pooler/dense", optional="pooler"),
    ),
    _shared_layers,
    "*.model",
    sentencepiece.ALBERT_SPECIAL,
    "Unigram",
    _albert_tokenizer,
    lambda path: False,
    "all models that Google published are uncased",
    (
        "Google's code splits the comma off a piece that ends in a digit and a comma, such as "
        "`▁2014,`. Neither the tokenizers of `transformers` nor this export do: with the "
        "vocabulary of Google's English models, 12 of 7,600 lines of news have other tokens.",
    ),
)
FAMILIES = (_BERT, _ALBERT)
