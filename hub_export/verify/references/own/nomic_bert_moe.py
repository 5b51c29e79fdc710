"""Nomic BERT with a mixture of experts, written from https://arxiv.org/abs/2502.07972.

BERT with rotary positions (https://arxiv.org/abs/2104.09864), which in every n-th layer has experts
in the place of the feed-forward part. The names and shapes of tensors are those of MegaBlocks
(https://arxiv.org/abs/2211.15841).
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from hub_export.verify.references.own.model import Layer, Model, attend, split


class NomicBertMoe(Model):
    """The encoder.

    Attributes:
        margins: of each layer of experts, by how much the last expert of a token that was chosen is
            more probable than the first that was not, [B, S].
    """

    usual: ClassVar[Mapping[str, Any]] = {
        "vocab_size": 250048,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
        "pad_token_id": 1,
        "num_experts": 8,
        "moe_top_k": 2,
        "moe_every_n_layers": 2,
        "rope_parameters": {"rope_theta": 10000.0},
    }

    def __init__(self, config: Mapping[str, Any], pooler: bool) -> None:
        super().__init__(config)
        del pooler  # it has none
        of = self.config
        width = of.hidden_size
        self.embeddings = nn.ModuleDict(
            {
                "word_embeddings": nn.Embedding(of.vocab_size, width, of.pad_token_id),
                "token_type_embeddings": nn.Embedding(of.type_vocab_size, width),
            }
        )
        self.emb_ln = nn.LayerNorm(width, of.layer_norm_eps)
        layers = nn.ModuleList(self._layer(at) for at in range(of.num_hidden_layers))
        self.encoder = nn.ModuleDict({"layers": layers})
        self.margins = list[torch.Tensor]()

    def _layer(self, number: int) -> nn.ModuleDict:
        of = self.config
        width, inner, epsilon = of.hidden_size, of.intermediate_size, of.layer_norm_eps
        mlp = nn.ModuleDict({"fc1": nn.Linear(width, inner), "fc2": nn.Linear(inner, width)})
        if number % of.moe_every_n_layers == 1:
            router = nn.ModuleDict({"layer": nn.Linear(width, of.num_experts, bias=False)})
            mlp = nn.ModuleDict({"router": router, "experts": _Experts(width, inner, of)})
        attention = {"Wqkv": nn.Linear(width, 3 * width), "out_proj": nn.Linear(width, width)}
        norms = {name: nn.LayerNorm(width, epsilon) for name in ("norm1", "norm2")}
        return nn.ModuleDict({"attn": nn.ModuleDict(attention), "mlp": mlp, **norms})

    def embed(self, x: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        """What the first layer gets, [B, S, D]."""
        self.margins = []
        normed: torch.Tensor = self.emb_ln(x + self.embeddings["token_type_embeddings"](types))
        return normed

    def layers(self) -> Iterable[Layer]:
        """The layers in their order."""
        layers: Iterable[Layer] = self.encoder["layers"]
        return layers

    def compute(
        self, layer: Layer, x: torch.Tensor, bias: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What a layer makes of [B, S, D], and the weights of its attention, [B, H, S, S]."""
        attention, heads = layer["attn"], self.config.num_attention_heads
        projected = attention["Wqkv"](x).chunk(3, dim=-1)
        query, key, value = (split(each, heads) for each in projected)
        theta = self.config.rope_parameters["rope_theta"]
        summed, weights = attend(_turned(query, theta), _turned(key, theta), value, bias)
        x = layer["norm1"](attention["out_proj"](summed) + x)
        mlp = layer["mlp"]
        fed = self._mixed(mlp, x) if "router" in mlp else _fed(mlp, x)
        return layer["norm2"](fed + x), weights

    def _mixed(self, mlp: Layer, x: torch.Tensor) -> torch.Tensor:
        """What the experts make of [B, S, D], by probabilities that do not sum to one."""
        chosen = self.config.moe_top_k
        probabilities = mlp["router"]["layer"](x).float().softmax(-1)
        best = probabilities.topk(min(chosen + 1, probabilities.shape[-1]))
        if chosen < probabilities.shape[-1]:
            self.margins.append(best.values[..., chosen - 1] - best.values[..., chosen])
        mixed = mlp["experts"].bias.expand_as(x)
        for place in range(chosen):
            probability, expert = (each[..., place] for each in best)
            mixed = mixed + mlp["experts"](x, expert) * probability[..., None].to(x.dtype)
        return mixed


class _Experts(nn.Module):
    def __init__(self, width: int, inner: int, of: Any) -> None:
        super().__init__()
        shape = of.num_experts * inner, width
        self.mlp = nn.ParameterDict({name: torch.zeros(shape) for name in ("w1", "w2")})
        self.bias = nn.Parameter(torch.zeros(width))
        self.count = of.num_experts

    def forward(self, x: torch.Tensor, expert: torch.Tensor) -> torch.Tensor:
        """[B, S, D], and which one computes for each, int [B, S] -> [B, S, D]."""
        first, second = (self.mlp[name].unflatten(0, (self.count, -1)) for name in ("w1", "w2"))
        both = zip(first, second, strict=True)
        made = torch.stack([functional.gelu(x @ one.T) @ other for one, other in both])
        places = expert[None, ..., None].expand(1, *x.shape)
        return made.gather(0, places)[0]


def _fed(mlp: Layer, x: torch.Tensor) -> torch.Tensor:
    fed: torch.Tensor = mlp["fc2"](functional.gelu(mlp["fc1"](x)))
    return fed


def _turned(x: torch.Tensor, theta: float) -> torch.Tensor:
    """[B, H, S, K], each pair of elements K / 2 apart turned by an angle of its place."""
    _, _, length, width = x.shape
    # Rounded as the published model was trained: far positions turn many times.
    frequencies = 1.0 / theta ** (torch.arange(0, width, 2, dtype=torch.float32) / width)
    angles = torch.arange(length)[:, None] * frequencies
    cosine, sine = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
