"""The source's encoder in torch, to compare an export's numbers with."""

import functools
import types
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
from hub_export.verify.references.loading import loaded

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

_MASKS = "masks_of_rows"
"""The attribute of a model in which its masks are noted."""


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
        found = np.zeros(len(mask), bool)
        if not hasattr(self._model, "margins"):
            return found
        self(word_ids, mask, type_ids)
        for margin in self._model.margins:
            found |= ((margin.numpy() < _LEAST_MARGIN) & (mask != 0)).any(axis=1)
        return found

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
        """
        import torch  # noqa: PLC0415

        rows = rows_of(words, mask, type_ids if self._size.types else None)
        with torch.inference_mode():
            result = self._model(**rows, output_hidden_states=True, output_attentions=attentions)
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


def rows_of(words: Ids | Floats, mask: Ids, type_ids: Ids | None) -> dict[str, Any]:
    """The inputs of a model of `transformers`."""
    import torch  # noqa: PLC0415

    name = "input_ids" if words.ndim == mask.ndim else "inputs_embeds"
    named = {name: words, "attention_mask": mask, "token_type_ids": type_ids}
    return {name: torch.tensor(each) for name, each in named.items() if each is not None}


def settled(model: Any) -> Any:
    """The model, made to compute each row as it does alone.

    BigBird's otherwise changes its attention, and loses its weights, at the first call. Of XLM and
    FlauBERT, type ids are languages; their code would look words up by them.
    MobileBERT's, ConvBERT's and Nyströmformer's take padding for the neighbour of a row's last
    token, and FNet's takes it for tokens.
    """
    kind = model.config.model_type
    if kind == "big_bird":
        model.base_model.set_attention_type("original_full")
    if kind == "mobilebert":
        model.base_model.register_forward_pre_hook(_without_padding, with_kwargs=True)
    if kind == "convbert":
        _convolve_without_padding(model.base_model)
    if kind == "nystromformer":
        _convolve_values_without_padding(model.base_model)
    if kind == "fnet":
        _transform_without_padding(model)
    if kind == "xlnet":
        _show_heads(model.base_model)
    if kind in ("flaubert", "xlm"):
        model.base_model.register_forward_pre_hook(_languages, with_kwargs=True)
    if kind == "flaubert" and model.config.pre_norm:
        _keep_nothing(model.base_model)
    return model


def _without_padding(model: Any, arguments: Any, named: dict[str, Any]) -> Any:
    """Vectors of words in the place of ids, zeros behind the last token of each row."""
    named = {**dict(zip(("input_ids", "attention_mask"), arguments, strict=False)), **named}
    vectors, mask = named.pop("inputs_embeds", None), named["attention_mask"]
    words = named.pop("input_ids", None)
    vectors = model.get_input_embeddings()(words) if vectors is None else vectors
    real = mask.flip(1).cumsum(1).flip(1) > 0
    return (), {**named, "inputs_embeds": vectors * real[..., None]}


def _convolve_without_padding(model: Any) -> None:
    """Has what ConvBERT convolves be zero for padding."""
    masks = _masks_of(model)

    def before(_: Any, inputs: Any) -> Any:
        return (inputs[0] * masks[0][:, None],)

    def behind(_: Any, inputs: Any, output: Any) -> Any:
        return output * masks[0][..., None]

    for layer in model.encoder.layer:
        layer.attention.self.key_conv_attn_layer.register_forward_pre_hook(before)
        layer.attention.self.conv_out_layer.register_forward_hook(behind)


def _convolve_values_without_padding(model: Any) -> None:
    """Has the values that Nyströmformer convolves be zero for padding."""
    masks = _masks_of(model)

    def before(_: Any, inputs: Any) -> Any:
        return (inputs[0] * masks[0][:, None, :, None],)

    for layer in model.encoder.layer:
        layer.attention.self.conv.register_forward_pre_hook(before)


def _transform_without_padding(model: Any) -> None:
    """Has FNet transform each row as long as it is, zero where its mask has holes.

    Its heads do not hand the mask on; a model that they stand on is done once.
    """
    is_done, masks = hasattr(model.base_model, _MASKS), _masks_of(model)
    if is_done:
        return

    def alone(x: Any, transform: Any) -> Any:
        import torch  # noqa: PLC0415

        found = torch.zeros_like(x)
        for row, mask in enumerate(masks[0]):
            length = int(mask.nonzero().max()) + 1 if mask.any() else 0
            real = x[row : row + 1, :length] * mask[:length, None]
            if length:
                found[row, :length] = transform(real.float())[0].real
        return found

    for layer in model.base_model.encoder.layer:
        own = layer.fourier.self
        own.fourier_transform = functools.partial(alone, transform=own.fourier_transform)


def _masks_of(model: Any) -> list[Any]:
    """A list that holds the mask that the model was called with, [B, S], while it computes."""
    base = model.base_model
    masks: list[Any] = getattr(base, _MASKS, [])
    setattr(base, _MASKS, masks)

    def note(_: Any, arguments: Any, named: dict[str, Any]) -> None:
        given = [named["attention_mask"]] if "attention_mask" in named else arguments[1:2]
        masks[:] = [mask.flatten(0, -2) for mask in given] or masks

    model.register_forward_pre_hook(note, with_kwargs=True)
    return masks


def _show_heads(model: Any) -> None:
    """Has what XLNet's heads give pass through a module, as that of others does."""
    import torch  # noqa: PLC0415

    def post_attention(self: Any, inputs: Any, heads: Any, residual: bool = True) -> Any:
        heads = self.heads(heads.flatten(-2)).view_as(heads)
        return type(self).post_attention(self, inputs, heads, residual)

    for layer in model.layer:
        layer.rel_attn.heads = torch.nn.Identity()
        layer.rel_attn.post_attention = types.MethodType(post_attention, layer.rel_attn)


def _languages(_: Any, arguments: Any, named: dict[str, Any]) -> Any:
    """Type ids as the ids of languages."""
    types = named.get("token_type_ids")
    return arguments, {**named, "token_type_ids": None, "langs": types}


class _NoCache:
    """Stands for what FlauBERT, where its norms come first, still takes for a list of caches."""

    def get_seq_length(self) -> int:
        return 0

    def __getitem__(self, layer: int) -> None:
        return None


def _keep_nothing(model: Any) -> None:
    """Has FlauBERT compute, and give its attentions, where its norms come first.

    `transformers` 5 fails there, at the list of caches and at weights that it has not asked for.
    """

    def adding(**further: Any) -> Callable[..., Any]:
        return lambda _, arguments, named: (arguments, {**named, **further})

    model.register_forward_pre_hook(adding(cache=_NoCache()), with_kwargs=True)
    for attention in model.attentions:
        attention.register_forward_pre_hook(adding(output_attentions=True), with_kwargs=True)


def channels_of(model: Any) -> int:
    """The axis of what the output layer of an attention gets that its heads lie along."""
    return 1 if model.config.model_type == "squeezebert" else -1


def factors_of(model: Any, head_mask: Floats) -> Floats:
    """What all that the output layer of an attention gets is multiplied by, by head.

    Of ConvBERT, the heads of convolution stand behind those of attention.
    """
    is_half = model.config.model_type == "convbert"
    return np.concatenate([head_mask, np.ones_like(head_mask)], 1) if is_half else head_mask


def weights_of(model: Any, attention: Any) -> Any:
    """The weights of an attention, [B, H, S, S], of what a model gives as its attentions."""
    kind = model.config.model_type
    if kind == "squeezebert":  # what the weights are made of
        return attention.softmax(-1)
    return _spread(attention) if kind == "longformer" else attention


def _spread(weights: Any) -> Any:
    """Those of the keys around each query, [B, H, S, 2 * R + 1] -> of all keys, [B, H, S, S]."""
    import torch  # noqa: PLC0415

    last = weights.shape[-1] - 1
    places = torch.arange(weights.shape[2])
    at = places - places[:, None] + last // 2
    found = weights.gather(-1, at.clamp(0, last).expand(*weights.shape[:3], len(places)))
    return found * ((at >= 0) & (at <= last))
