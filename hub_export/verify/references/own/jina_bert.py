"""Jina BERT, written from https://arxiv.org/abs/2310.19923, section 3.

BERT, but scores fall with the distance of two tokens in either direction (ALiBi,
https://arxiv.org/abs/2108.12409), and the feed-forward part is gated by GELU
(https://arxiv.org/abs/2002.05202).
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from hub_export.verify.references.own.model import Layer, Model, attend, split


class JinaBert(Model):
    """The encoder."""

    usual: ClassVar[Mapping[str, Any]] = {
        "vocab_size": 30522,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
    }

    def __init__(self, config: Mapping[str, Any], pooler: bool) -> None:
        super().__init__(config)
        of = self.config
        width = of.hidden_size
        self.embeddings = nn.ModuleDict(
            {
                "word_embeddings": nn.Embedding(of.vocab_size, width, of.pad_token_id),
                "token_type_embeddings": nn.Embedding(of.type_vocab_size, width),
                "LayerNorm": nn.LayerNorm(width, of.layer_norm_eps),
            }
        )
        layers = nn.ModuleList(self._layer() for _ in range(of.num_hidden_layers))
        self.encoder = nn.ModuleDict({"layer": layers})
        self.pooler = nn.ModuleDict({"dense": nn.Linear(width, width)}) if pooler else None

    @property
    def _sizes(self) -> tuple[int, int, float]:
        """D, F and the norms' epsilon."""
        of = self.config
        return of.hidden_size, of.intermediate_size, of.layer_norm_eps

    def _layer(self) -> nn.ModuleDict:
        width, inner, epsilon = self._sizes
        projections = {name: nn.Linear(width, width) for name in ("query", "key", "value")}
        output = {"dense": nn.Linear(width, width), "LayerNorm": nn.LayerNorm(width, epsilon)}
        attention = {"self": nn.ModuleDict(projections), "output": nn.ModuleDict(output)}
        mlp = {
            "gated_layers": nn.Linear(width, 2 * inner, bias=False),
            "wo": nn.Linear(inner, width),
            "layernorm": nn.LayerNorm(width, epsilon),
        }
        return nn.ModuleDict({"attention": nn.ModuleDict(attention), "mlp": nn.ModuleDict(mlp)})

    def bias(self, length: int) -> torch.Tensor:
        """What falls with the distance, [H, S, S]."""
        places = torch.arange(length)
        distances = (places[:, None] - places).abs()
        slopes = torch.tensor(_slopes(self.config.num_attention_heads))
        return -slopes[:, None, None] * distances

    def embed(self, x: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        """What the first layer gets, [B, S, D]."""
        summed: torch.Tensor = x + self.embeddings["token_type_embeddings"](types)
        normed: torch.Tensor = self.embeddings["LayerNorm"](summed)
        return normed

    def layers(self) -> Iterable[Layer]:
        """The layers in their order."""
        layers: Iterable[Layer] = self.encoder["layer"]
        return layers

    def compute(
        self, layer: Layer, x: torch.Tensor, bias: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What a layer makes of [B, S, D], and the weights of its attention, [B, H, S, S]."""
        own, output, mlp = layer["attention"]["self"], layer["attention"]["output"], layer["mlp"]
        projected = (own[name](x) for name in ("query", "key", "value"))
        query, key, value = (split(each, self.config.num_attention_heads) for each in projected)
        summed, weights = attend(query, key, value, bias)
        x = output["LayerNorm"](output["dense"](summed) + x)
        gate, other = mlp["gated_layers"](x).chunk(2, dim=-1)
        return mlp["layernorm"](mlp["wo"](functional.gelu(gate) * other) + x), weights


class JinaBertQkPostNorm(JinaBert):
    """The same with normalised queries and keys, and a norm more behind the attention.

    No paper describes it; text-embeddings-inference does, in the layers of its `JinaCodeBertModel`
    (https://github.com/huggingface/text-embeddings-inference).
    """

    def _layer(self) -> nn.ModuleDict:
        width, inner, epsilon = self._sizes
        layer = super()._layer()
        for name in ("layer_norm_q", "layer_norm_k"):
            layer["attention"]["self"][name] = nn.LayerNorm(width, epsilon)
        for name in ("layer_norm_1", "layer_norm_2"):
            layer[name] = nn.LayerNorm(width, epsilon)
        mlp = {
            "up_gated_layer": nn.Linear(width, 2 * inner, bias=False),
            "down_layer": nn.Linear(inner, width),
        }
        layer["mlp"] = nn.ModuleDict(mlp)
        return layer

    def compute(
        self, layer: Layer, x: torch.Tensor, bias: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What a layer makes of [B, S, D], and the weights of its attention, [B, H, S, S]."""
        own, output, mlp = layer["attention"]["self"], layer["attention"]["output"], layer["mlp"]
        normed = own["layer_norm_q"](own["query"](x)), own["layer_norm_k"](own["key"](x))
        projected = (*normed, own["value"](x))
        query, key, value = (split(each, self.config.num_attention_heads) for each in projected)
        summed, weights = attend(query, key, value, bias)
        attended = output["LayerNorm"](output["dense"](summed) + x)
        x = layer["layer_norm_1"](x + attended)
        other, gate = mlp["up_gated_layer"](x).chunk(2, dim=-1)
        return layer["layer_norm_2"](x + mlp["down_layer"](other * functional.gelu(gate))), weights


def _slopes(heads: int) -> list[float]:
    """Those of each head, as the authors of ALiBi compute them for any number of heads."""
    power = 1
    while power * 2 <= heads:
        power *= 2
    series = _series(power)
    return series + _series(2 * power)[::2][: heads - power]


def _series(heads: int) -> list[float]:
    first = 2 ** (-8 / heads)
    return [first ** (head + 1) for head in range(heads)]
