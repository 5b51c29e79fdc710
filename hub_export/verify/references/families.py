"""What models of `transformers` do otherwise than the rest of them, by family."""

import functools
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from hub_export.verify.closeness import Floats

_MASKS = "masks_of_rows"
"""The attribute of a model in which its masks are noted."""


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
