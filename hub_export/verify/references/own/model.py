"""What they have in common: how they are called, as models of `transformers` are, and attention."""

import abc
import types
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import nn

Layer = Any
"""The modules of a layer, by name."""


class Outputs(NamedTuple):
    """Of a batch, by the names of `transformers`.

    Attributes:
        last_hidden_state: [B, S, D].
        pooler_output: [B, D], or None without a pooler.
        hidden_states: what the first layer gets and what each gives, [B, S, D] each.
        attentions: the weights of each layer, [B, H, S, S].
    """

    last_hidden_state: torch.Tensor
    pooler_output: torch.Tensor | None
    hidden_states: list[torch.Tensor]
    attentions: list[torch.Tensor]


class Model(nn.Module, abc.ABC):
    """An encoder.

    Attributes:
        usual: the options' values where a configuration leaves them out.
        config: the options.
        embeddings: `word_embeddings` and what else vectors are made of.
        pooler: `dense`, of the first token; None without one.
    """

    usual: ClassVar[Mapping[str, Any]]
    embeddings: nn.ModuleDict
    pooler: nn.ModuleDict | None

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.config = types.SimpleNamespace(**{**self.usual, **config})
        self.pooler = None

    @property
    def base_model(self) -> "Model":
        """Itself: it has no head."""
        return self

    def get_input_embeddings(self) -> nn.Module:
        """The word embedding."""
        return self.embeddings["word_embeddings"]

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        **wanted: bool,
    ) -> Outputs:
        """Encodes a batch: ids, int [B, S], or vectors, [B, S, D]; a mask, int [B, S]; types."""
        del wanted  # all is given always
        x = self.get_input_embeddings()(input_ids) if inputs_embeds is None else inputs_embeds
        rows, length, _ = x.shape
        if token_type_ids is None:
            token_type_ids = torch.zeros([rows, length], dtype=torch.long)
        real = torch.ones([rows, length]) if attention_mask is None else attention_mask
        masked = torch.zeros(rows, length, dtype=x.dtype)
        masked = masked.masked_fill(real == 0, torch.finfo(x.dtype).min)
        bias = masked[:, None, None] + self.bias(length).to(x.dtype)
        states, attentions = [self.embed(x, token_type_ids)], list[torch.Tensor]()
        for layer in self.layers():
            state, weights = self.compute(layer, states[-1], bias)
            states.append(state)
            attentions.append(weights)
        pooled = None
        if self.pooler is not None:
            pooled = torch.tanh(self.pooler["dense"](states[-1][:, 0]))
        return Outputs(states[-1], pooled, states, attentions)

    def bias(self, length: int) -> torch.Tensor:
        """What is added to the scores of each layer beside the mask, [H or 1, S or 1, S or 1]."""
        del length
        return torch.zeros([1, 1, 1])

    @abc.abstractmethod
    def embed(self, x: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        """What the first layer gets, made of vectors of words, [B, S, D], and types, [B, S]."""

    @abc.abstractmethod
    def layers(self) -> Iterable[Layer]:
        """The layers in their order."""

    @abc.abstractmethod
    def compute(
        self, layer: Layer, x: torch.Tensor, bias: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What a layer makes of [B, S, D], and the weights of its attention, [B, H, S, S]."""


def split(x: torch.Tensor, heads: int) -> torch.Tensor:
    """[B, S, D] -> [B, H, S, K]."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """[B, H, S, K] thrice -> the sums of values, [B, S, D], and the weights, [B, H, S, S]."""
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    weights = (scores + bias).softmax(-1)
    return (weights @ value).transpose(1, 2).flatten(-2), weights
