"""What stands on an encoder for a task, as https://arxiv.org/abs/1810.04805 has it (section 3).

One layer: of the pooler's vector for texts, of each token's for tokens and answers. For masks, a
layer with an activation and a norm, and products with the vectors of all words.
"""

from collections.abc import Callable, Mapping

import torch
from torch.nn import functional

from hub_export.settings import (
    FILL_MASK,
    QUESTION_ANSWERING,
    TEXT_CLASSIFICATION,
    TOKEN_CLASSIFICATION,
)
from hub_export.verify.references.own.model import Model, Outputs

_NORMS = ("transform.LayerNorm", "transform.layer_norm")
"""What checkpoints call the norm of the head for masks."""

Weights = Mapping[str, torch.Tensor]
Found = Mapping[str, torch.Tensor]


class Headed:
    """An encoder with a head on it.

    Attributes:
        base_model: the encoder.
    """

    def __init__(self, encoder: Model, task: str, weights: Weights) -> None:
        """Takes its parts.

        Args:
            encoder: with a pooler, where texts are classified.
            task: what the head is for.
            weights: the head's, by their names in checkpoints.
        """
        self.base_model = encoder.eval()
        self._compute, self._weights = _HEADS[task], weights

    def eval(self) -> "Headed":
        """Itself: it has no dropout."""
        return self

    def __call__(self, **rows: torch.Tensor) -> Found:
        """The outputs for a batch, by name."""
        return self._compute(self.base_model, self.base_model(**rows), self._weights)


def _of_texts(encoder: Model, found: Outputs, weights: Weights) -> Found:
    """The logits of texts, [B, C]; a pooler that the encoder has not is the head's."""
    del encoder
    pooled = found.pooler_output
    if pooled is None:
        pooled = torch.tanh(_linear(weights, "pooler.dense", found.last_hidden_state[:, 0]))
    return {"logits": _linear(weights, "classifier", pooled)}


def _of_tokens(encoder: Model, found: Outputs, weights: Weights) -> Found:
    """The logits of tokens, [B, S, C]."""
    del encoder
    return {"logits": _linear(weights, "classifier", found.last_hidden_state)}


def _of_answers(encoder: Model, found: Outputs, weights: Weights) -> Found:
    """The logits of an answer's first and last token, [B, S] each."""
    del encoder
    start, end = _linear(weights, "qa_outputs", found.last_hidden_state).unbind(-1)
    return {"start_logits": start, "end_logits": end}


def _of_masks(encoder: Model, found: Outputs, weights: Weights) -> Found:
    """The logits of words, [B, S, V]; the words' vectors are the encoder's, or stored again."""
    of = "cls.predictions"
    x = functional.gelu(_linear(weights, f"{of}.transform.dense", found.last_hidden_state))
    norm = next(each for each in _NORMS if f"{of}.{each}.weight" in weights)
    scale, shift = (weights[f"{of}.{norm}.{name}"] for name in ("weight", "bias"))
    x = functional.layer_norm(x, x.shape[-1:], scale, shift, encoder.config.layer_norm_eps)
    words = encoder.embeddings["word_embeddings"].weight
    bias = weights.get(f"{of}.decoder.bias", weights.get(f"{of}.bias"))
    return {"logits": functional.linear(x, weights.get(f"{of}.decoder.weight", words), bias)}


_HEADS: Mapping[str, Callable[[Model, Outputs, Weights], Found]] = {
    TEXT_CLASSIFICATION: _of_texts,
    TOKEN_CLASSIFICATION: _of_tokens,
    QUESTION_ANSWERING: _of_answers,
    FILL_MASK: _of_masks,
}


def _linear(weights: Weights, name: str, x: torch.Tensor) -> torch.Tensor:
    return functional.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])
