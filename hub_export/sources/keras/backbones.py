"""What keras-hub's backbones are in the words of `transformers`, as tables.

Activations and epsilons are no options of keras-hub's backbones: they stand here as their code has
them (keras-hub 0.32, `keras_hub/src/models/*/*_backbone.py`). The tensors' names are those of the
`.weights.h5` files, which Keras makes from classes and attributes.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from encoders import FLATTEN, KEEP, KERAS, SPLIT_INPUTS, SPLIT_OUTPUTS, TORCH, Change, Row, Rows
from hub_export.sources.formats.renaming import Fields

Config = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Backbone:
    """One of keras-hub's backbones.

    Attributes:
        model_type: the architecture in `transformers`.
        options: its options -> those of `transformers`.
        constants: what its code fixes.
        rows: its tensors.
        fields: gives the values of the rows' fields, a mapping for each layer, from its options.
        first_position: the row of the position table at which `transformers` begins to count.
        zeros: tensors that it does without -> the options that give their shape.
        notes: what its users should know.
        before: the layers with weights before the blocks, as Keras lists them: where those that
            have a kernel are in the file; the others are nameless.
        behind: those behind the blocks.
    """

    model_type: str
    options: Mapping[str, tuple[str, ...]]
    constants: Config
    rows: tuple[Row, ...]
    fields: Callable[[Config], Iterator[Fields]]
    first_position: int = 0
    zeros: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    before: tuple[str, ...] = ("",) * 4
    behind: tuple[str, ...] = ()

    def layers(self, options: Config) -> list[str]:
        """All layers with weights, in the order of Keras."""
        blocks = dict.fromkeys(str(each["block"]) for each in self.fields(options))
        parts = [f"layers/{block}/{part}" for block in blocks for part in _IN_BLOCK]
        return [*self.before, *parts, *self.behind]


_ROWS = Rows(TORCH, KERAS, SPLIT_OUTPUTS, FLATTEN)
_linear, _norm = _ROWS.linear, _ROWS.norm


def _table(target: str, source: str, change: Change = KEEP) -> tuple[Row, ...]:
    return _ROWS.embedding(target, f"layers/{source}", change)


def _block(names: Mapping[str, str]) -> tuple[Row, ...]:
    """The rows of a TransformerEncoder, from the names of its parts in `transformers`."""
    layer = "layers/{block}"
    attention = f"{layer}/_self_attention_layer"
    return (
        *(
            row
            for part in ("query", "key", "value")
            for row in _linear(names[part], f"{attention}/{part}_dense")
        ),
        *_linear(names["output"], f"{attention}/output_dense", kernel=SPLIT_INPUTS),
        *_norm(names["attention_norm"], f"{layer}/_self_attention_layer_norm"),
        *_linear(names["inner"], f"{layer}/_feedforward_intermediate_dense"),
        *_linear(names["outer"], f"{layer}/_feedforward_output_dense"),
        *_norm(names["norm"], f"{layer}/_feedforward_layer_norm"),
    )


_IN_BLOCK = (
    "",
    "_feedforward_output_dense",
    "_feedforward_intermediate_dense",
    "_feedforward_layer_norm",
    "_self_attention_layer_norm",
    "_self_attention_layer",
    *(f"_self_attention_layer/{part}_dense" for part in ("output", "value", "key", "query")),
)
"""A TransformerEncoder and its layers with weights: Keras lists the last ones first."""


def _numbered(index: int) -> str:
    return f"transformer_encoder_{index}" if index else "transformer_encoder"


def _layers(options: Config) -> Iterator[Fields]:
    for layer in range(options["num_layers"]):
        yield {"layer": layer, "block": _numbered(layer)}


def _shared_layers(options: Config) -> Iterator[Fields]:
    repetitions = options.get("num_inner_repetitions", 1)
    for group in range(options.get("num_groups", 1)):
        for inner in range(repetitions):
            block = _numbered(group * repetitions + inner)
            yield {"group": group, "inner": inner, "block": block}


_FAIRSEQ_FIRST = 2
_AFTER_PADDING = Change(lambda table: np.pad(table, ((_FAIRSEQ_FIRST, 0), (0, 0))))
_POST_NORM = "encoder.layer.{layer}"
_SHARED = "encoder.albert_layer_groups.{group}.albert_layers.{inner}"

_SIZES = {
    "vocabulary_size": ("vocab_size",),
    "num_layers": ("num_hidden_layers",),
    "num_heads": ("num_attention_heads",),
    "hidden_dim": ("hidden_size",),
    "intermediate_dim": ("intermediate_size",),
    "dropout": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
    "max_sequence_length": ("max_position_embeddings",),
}
_SEGMENTS = {"num_segments": ("type_vocab_size",)}

_BERT_BLOCK = _block(
    {
        **{part: f"{_POST_NORM}.attention.self.{part}" for part in ("query", "key", "value")},
        "output": f"{_POST_NORM}.attention.output.dense",
        "attention_norm": f"{_POST_NORM}.attention.output.LayerNorm",
        "inner": f"{_POST_NORM}.intermediate.dense",
        "outer": f"{_POST_NORM}.output.dense",
        "norm": f"{_POST_NORM}.output.LayerNorm",
    }
)
_SUMMED = (
    *_table("embeddings.word_embeddings", "reversible_embedding"),
    *_table("embeddings.position_embeddings", "position_embedding"),
    *_table("embeddings.token_type_embeddings", "embedding"),
    *_norm("embeddings.LayerNorm", "layers/layer_normalization"),
)

_BERT = Backbone(
    "bert",
    {**_SIZES, **_SEGMENTS},
    {"hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-12},
    (*_SUMMED, *_BERT_BLOCK, *_linear("pooler.dense", "layers/dense")),
    _layers,
    behind=("layers/dense",),
)

_DISTIL_BERT = Backbone(
    "distilbert",
    {
        "vocabulary_size": ("vocab_size",),
        "num_layers": ("n_layers",),
        "num_heads": ("n_heads",),
        "hidden_dim": ("dim",),
        "intermediate_dim": ("hidden_dim",),
        "dropout": ("dropout", "attention_dropout"),
        "max_sequence_length": ("max_position_embeddings",),
    },
    {"activation": "gelu"},
    (
        *_table("embeddings.word_embeddings", "token_and_position_embedding/token_embedding"),
        *_table(
            "embeddings.position_embeddings", "token_and_position_embedding/position_embedding"
        ),
        *_norm("embeddings.LayerNorm", "layers/layer_normalization"),
        *_block(
            {
                "query": "transformer.layer.{layer}.attention.q_lin",
                "key": "transformer.layer.{layer}.attention.k_lin",
                "value": "transformer.layer.{layer}.attention.v_lin",
                "output": "transformer.layer.{layer}.attention.out_lin",
                "attention_norm": "transformer.layer.{layer}.sa_layer_norm",
                "inner": "transformer.layer.{layer}.ffn.lin1",
                "outer": "transformer.layer.{layer}.ffn.lin2",
                "norm": "transformer.layer.{layer}.output_layer_norm",
            }
        ),
    ),
    _layers,
    notes=(
        "In training, keras-hub's backbone also drops out the output of attention; DistilBERT, "
        "and with it this encoder, does not.",
    ),
)

_ALBERT = Backbone(
    "albert",
    {
        **_SIZES,
        **_SEGMENTS,
        "embedding_dim": ("embedding_size",),
        "num_groups": ("num_hidden_groups",),
        "num_inner_repetitions": ("inner_group_num",),
    },
    {"hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-12},
    (
        *_SUMMED,
        *_linear("encoder.embedding_hidden_mapping_in", "layers/dense"),
        *_block(
            {
                **{part: f"{_SHARED}.attention.{part}" for part in ("query", "key", "value")},
                "output": f"{_SHARED}.attention.dense",
                "attention_norm": f"{_SHARED}.attention.LayerNorm",
                "inner": f"{_SHARED}.ffn",
                "outer": f"{_SHARED}.ffn_output",
                "norm": f"{_SHARED}.full_layer_layer_norm",
            }
        ),
        *_linear("pooler", "layers/dense_1"),
    ),
    _shared_layers,
    before=("", "", "", "", "layers/dense"),
    behind=("layers/dense_1",),
)

_ROBERTA = Backbone(
    "roberta",
    _SIZES,
    {"hidden_act": "gelu", "layer_norm_eps": 1e-5, "type_vocab_size": 1, "pad_token_id": 1},
    (
        *_table("embeddings.word_embeddings", "token_and_position_embedding/token_embedding"),
        *_table(
            "embeddings.position_embeddings",
            "token_and_position_embedding/position_embedding",
            _AFTER_PADDING,
        ),
        *_norm("embeddings.LayerNorm", "layers/layer_normalization"),
        *_BERT_BLOCK,
    ),
    _layers,
    first_position=_FAIRSEQ_FIRST,
    zeros={"embeddings.token_type_embeddings.weight": ("type_vocab_size", "hidden_size")},
    notes=(
        "keras-hub's backbone counts the positions of a row from its start. This encoder counts "
        "as fairseq does, without the padding token: the two differ where that token stands "
        "before the end of a text.",
    ),
)

BACKBONES: Mapping[str, Backbone] = {
    "BertBackbone": _BERT,
    "DistilBertBackbone": _DISTIL_BERT,
    "AlbertBackbone": _ALBERT,
    "RobertaBackbone": _ROBERTA,
    "XLMRobertaBackbone": dataclasses.replace(_ROBERTA, model_type="xlm-roberta"),
}
"""The backbones that can be read, by `class_name`."""
