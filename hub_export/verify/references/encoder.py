"""The source's encoder in torch, to compare an export's numbers with."""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from encoders import (
    Dimensions,
    Encoded,
    Inside,
    TokenById,
    TokenOfRow,
    architectures,
    first_token,
    last_token,
)
from hub_export.errors import SourceError
from hub_export.sources.checkpoint import Checkpoint
from hub_export.verify.closeness import Floats
from hub_export.verify.references.families import channels_of, factors_of, settled, weights_of
from hub_export.verify.references.loading import computed, loaded

Ids = npt.NDArray[np.int32]
Places = npt.NDArray[np.int64]

# What loads a folder -> what loads tensors.
_CLASSES = {
    "AutoModel": "MODEL_MAPPING",
    "AutoModelForTextEncoding": "MODEL_FOR_TEXT_ENCODING_MAPPING",
}


def loaded_encoder(checkpoint: Checkpoint, pooler: bool) -> Any:
    """The encoder of a checkpoint in `transformers`, or ours where that has none; see `loaded`.

    Raises:
        SourceError: `transformers` refuses the checkpoint.
    """
    automatic = architectures()[checkpoint.config["model_type"]].reference
    if not automatic:
        from hub_export.verify.references.own import models  # noqa: PLC0415

        return models.load(checkpoint, pooler)
    return loaded(checkpoint, pooler, automatic, _CLASSES[automatic])


_LEAST_MARGIN, _MOST_TURNS = 1e-5, 20
"""Of probabilities of experts, ten times what roundings change; how often other ids are tried."""


def _first(words: Ids | Floats, mask: Ids) -> Places:
    """The place of the first position, int64 [B]."""
    del words
    return np.zeros(len(mask), np.int64)


def _last(words: Ids | Floats, mask: Ids) -> Places:
    """The place of the last real token, int64 [B]; 0 where there is none."""
    del words
    places: Places = (np.arange(mask.shape[1]) * (mask != 0)).max(axis=1)
    return places


def _by_id(id: int | None, words: Ids | Floats, mask: Ids) -> Places:
    """The place of the first real token of an id, or of the highest one, int64 [B].

    CLIP's code looks at padding as well: no row that a tokenizer pads has a token there that it
    would take.
    """
    real: Ids = np.where(mask != 0, words, -1)
    return real.argmax(axis=1) if id is None else (real == id).argmax(axis=1)


_PLACES: Mapping[TokenOfRow, Callable[[Ids | Floats, Ids], Places]] = {
    first_token: _first,
    last_token: _last,
}


class Reference:
    """The checkpoint's encoder in torch, float32, inference mode."""

    def __init__(
        self, model: Any, size: Dimensions, pooler: bool, token: TokenOfRow = first_token
    ) -> None:
        """Takes it.

        Args:
            model: that of `transformers`.
            size: the encoder's sizes.
            pooler: whether the checkpoint has one; torch makes one up where it has not.
            token: which token of a row is the pooled output without one.
        """
        self._model, self._size, self._pooler = settled(model.eval()), size, pooler
        self._place = (
            functools.partial(_by_id, token.id) if isinstance(token, TokenById) else _PLACES[token]
        )

    @classmethod
    def load(
        cls,
        checkpoint: Checkpoint,
        size: Dimensions,
        pooler: bool,
        token: TokenOfRow = first_token,
    ) -> "Reference":
        """Loads the model of a checkpoint; arguments are those of the class.

        Raises:
            SourceError: `transformers` refuses the checkpoint.
        """
        return cls(loaded_encoder(checkpoint, pooler), size, pooler, token)

    def __call__(self, word_ids: Ids, mask: Ids, type_ids: Ids) -> Encoded:
        """int32 [B, S] each -> the encoder's outputs, as numpy arrays."""
        return self.inside(word_ids, mask, type_ids).encoded

    def doubtful(self, word_ids: Ids, mask: Ids, type_ids: Ids) -> npt.NDArray[np.bool_]:
        """Which rows hang on a rounding, bool [B]: a token's last expert has a rival as probable.

        Whichever of the two computes, the other one would be as right, and gives something else.
        """
        return doubtful(self._model, self, word_ids, mask, type_ids)

    def certain(self, word_ids: Ids, mask: Ids, type_ids: Ids) -> tuple[Ids, Ids, Ids]:
        """The same batch; the ids of rows that hang on a rounding are turned until none does.

        Raises:
            SourceError: some do, however they are turned.
        """
        for _ in range(_MOST_TURNS):
            doubtful = self.doubtful(word_ids, mask, type_ids)
            if not doubtful.any():
                return word_ids, mask, type_ids
            word_ids = np.where(doubtful[:, np.newaxis], np.roll(word_ids, 1, axis=1), word_ids)
        raise SourceError(
            f"{doubtful.sum()} of {len(doubtful)} rows hang on a rounding between two experts in "
            f"each of {_MOST_TURNS} orders of their ids, so that no numbers can be compared; are "
            "the weights of a router all the same? Say verify=none to export without comparing"
        )

    def vectors(self, word_ids: Ids) -> Floats:
        """Those of the word embedding: int32 [B, S] -> float32 [B, S, E]."""
        import torch  # noqa: PLC0415

        with torch.inference_mode():
            found: Floats = self._model.get_input_embeddings()(torch.tensor(word_ids)).numpy()
        return found

    def inside(
        self, words: Ids | Floats, mask: Ids, type_ids: Ids, attentions: bool = False
    ) -> Inside:
        """The same with what is computed on the way, as numpy arrays.

        Args:
            words: ids, int32 [B, S], or vectors in their place, float32 [B, S, E].
            mask: int32 [B, S].
            type_ids: int32 [B, S].
            attentions: whether the weights of attention are wanted.

        Raises:
            SourceError: the source's code cannot compute them.
        """
        rows = rows_of(words, mask, type_ids if self._size.types else None)
        wanted = {"output_hidden_states": True, "output_attentions": attentions}
        result = computed(self._model, **rows, **wanted)
        # The first is the embeddings' output; of a layer that repeats blocks, each is there.
        embedded, *states = result.hidden_states
        repeats = len(states) // self._size.layers
        layers = [state.numpy() for state in states[repeats - 1 :: repeats]]
        layers[-1:] = [result.last_hidden_state.numpy()]  # of CLIP, the other one lacks the norm
        if self._pooler:
            pooled = result.pooler_output.numpy()
        else:
            pooled = layers[-1][np.arange(len(mask)), self._place(words, mask)]
        weights = [weights_of(self._model, each).numpy() for each in result.attentions or ()]
        return Inside(Encoded(pooled, layers[-1], layers), embedded.numpy(), weights)

    @contextmanager
    def heads_masked(self, layer: str, head_mask: Floats) -> Iterator[None]:
        """Multiplies what each head adds to the output of its attention.

        Args:
            layer: the name of the attention's output layer, with `{layer}` for its number.
            head_mask: float32 [A, H]; of A attentions, in the order in which they are computed.
        """
        import torch  # noqa: PLC0415

        from hub_export.verify.references.adapters import modules  # noqa: PLC0415

        channels, head_mask = channels_of(self._model), factors_of(self._model, head_mask)
        left = iter(torch.tensor(head_mask)[:, :, None])

        def masked(_: Any, inputs: Any) -> Any:
            values = inputs[0].movedim(channels, -1)
            heads = values.unflatten(-1, (head_mask.shape[1], -1))
            return ((heads * next(left)).flatten(-2).movedim(-1, channels),)

        found = modules(self._model, layer)
        hooks = [module.register_forward_pre_hook(masked) for module in found]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


def doubtful(
    encoder: Any, compute: Callable[..., Any], word_ids: Ids, mask: Ids, type_ids: Ids
) -> npt.NDArray[np.bool_]:
    """Which rows hang on a rounding, bool [B]; see `Reference.doubtful`.

    Args:
        encoder: the model that tells.
        compute: computes rows with it.
        word_ids: int32 [B, S].
        mask: int32 [B, S].
        type_ids: int32 [B, S].
    """
    found = np.zeros(len(mask), bool)
    if not hasattr(encoder, "margins"):
        return found
    compute(word_ids, mask, type_ids)
    for margin in encoder.margins:
        found |= ((margin.numpy() < _LEAST_MARGIN) & (mask != 0)).any(axis=1)
    return found


def rows_of(words: Ids | Floats, mask: Ids, type_ids: Ids | None) -> dict[str, Any]:
    """The inputs of a model of `transformers`."""
    import torch  # noqa: PLC0415

    name = "input_ids" if words.ndim == mask.ndim else "inputs_embeds"
    named = {name: words, "attention_mask": mask, "token_type_ids": type_ids}
    return {name: torch.tensor(each) for name, each in named.items() if each is not None}
