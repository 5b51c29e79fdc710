"""What an encoder computes on the way, against transformers: embeddings, attentions, head masks."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch
import transformers

from encoders import ConfigError, RealTokens, TokenById, architectures
from hub_export.verify.references.families import channels_of, factors_of, settled, weights_of
from tests import checkpoints

IDS = np.array([[2, 9, 8, 7, 12, 3], [2, 30, 3, 1, 1, 1], [2, 5, 6, 7, 3, 1]], np.int32)
MODULES = {
    **dict.fromkeys(("gte", "jina_embeddings_v3", "nomic_bert"), "layers.{layer}.self_attn.o_proj"),
    "xlnet": "layer.{layer}.rel_attn.heads",
}
"""What `transformers` calls the output layers of attention, where checkpoints do otherwise."""
MASK = (IDS != 1).astype(np.int32)


@pytest.fixture(params=checkpoints.in_transformers(), scope="module")
def both(request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, str]:
    """An encoder, the model in torch, and its `model_type`."""
    folder = tmp_path_factory.mktemp("source")
    checkpoints.save_model(folder, request.param, pad_token_id=1)
    loads = getattr(transformers, architectures()[request.param].reference)
    model = loads.from_pretrained(folder, attn_implementation="eager").eval()
    return checkpoints.built(folder)[0], settled(model), request.param


def asked(model: Any, **inputs: Any) -> Any:
    with torch.inference_mode():
        named = {name: torch.tensor(np.asarray(each)) for name, each in inputs.items()}
        mask = torch.tensor(MASK)
        return model(
            **named, attention_mask=mask, output_hidden_states=True, output_attentions=True
        )


def has_heads(encoder: Any) -> bool:
    return encoder.dimensions.heads > 0


def close(found: Any, wanted: Any) -> None:
    scale = max(1.0, float(np.abs(wanted).max()))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * scale)


def test_embeddings_and_attentions(both: Any) -> None:
    encoder, model, _ = both
    wanted = asked(model, input_ids=IDS)
    found = encoder.inside(tf.constant(IDS), tf.constant(MASK))
    close(found.embedded, wanted.hidden_states[0])
    theirs = wanted.attentions or ()
    assert len(found.attentions) == len(theirs) == encoder.dimensions.layers * has_heads(encoder)
    real = MASK[:, np.newaxis, :, np.newaxis] != 0  # what padding attends to means nothing
    for ours, each in zip(found.attentions, theirs, strict=True):
        close(ours * real, weights_of(model, each).numpy() * real)
    packed = encoder.inside(tf.constant(IDS), tf.constant(MASK), arrange=RealTokens)
    close(packed.embedded, wanted.hidden_states[0].numpy() * MASK[..., np.newaxis])


def test_vectors_instead_of_words(both: Any) -> None:
    """`inputs_embeds`, and the gradient that attribution methods need."""
    encoder, model, _ = both
    if isinstance(encoder.token, TokenById):
        with pytest.raises(ConfigError, match="vectors in the place of ids have none"):
            encoder(tf.zeros([*IDS.shape, encoder.dimensions.width]), tf.constant(MASK))
        return
    vectors = np.array(encoder.embeddings.word.table)[IDS] * 1.5
    theirs = torch.tensor(vectors, requires_grad=True)
    mask = torch.tensor(MASK)
    wanted = model(inputs_embeds=theirs, attention_mask=mask).last_hidden_state * mask[..., None]
    (wanted**3).sum().backward()
    ours = tf.constant(vectors)
    with tf.GradientTape() as tape:
        tape.watch(ours)
        found = encoder(ours, tf.constant(MASK)).sequence * MASK[..., None].astype(np.float32)
        loss = tf.reduce_sum(found**3)
    close(found, wanted.detach().numpy())
    close(tape.gradient(loss, ours), theirs.grad.numpy())


def test_head_masks(both: Any) -> None:
    """A head's weights times a number are its part of what the output layer gets, times it."""
    encoder, model, model_type = both
    if not has_heads(encoder):
        assert model_type == "fnet"
        return
    table = architectures()[model_type].table
    dimensions = encoder.dimensions
    masks = np.random.default_rng(2).uniform(0, 1, [dimensions.layers, dimensions.heads])
    [row] = (each for each in table.rows if each.target.endswith("attention.output.kernel"))
    name = MODULES.get(model_type, row.sources[0].removesuffix(".weight"))
    factors, channels = iter(factors_of(model, masks)), channels_of(model)

    def masked(_: Any, inputs: Any) -> Any:
        values = inputs[0].movedim(channels, -1)
        each = torch.tensor(next(factors), dtype=torch.float32)[:, None]
        parts = values.reshape(*values.shape[:-1], len(each), -1)
        return ((parts * each).reshape(values.shape).movedim(-1, channels),)

    fields = {"group": 0, "block": 0}
    modules = {model.get_submodule(name.format(layer=at, **fields)) for at in range(len(masks))}
    hooks = [module.register_forward_pre_hook(masked) for module in modules]
    wanted = asked(model, input_ids=IDS).last_hidden_state.numpy() * MASK[..., None]
    for hook in hooks:
        hook.remove()
    head_mask = tf.constant(masks, tf.float32)
    found = encoder.inside(tf.constant(IDS), tf.constant(MASK), head_mask=head_mask)
    close(found.encoded.sequence * MASK[..., None], wanted)
    plain = encoder(tf.constant(IDS), tf.constant(MASK)).sequence
    assert np.abs(plain - found.encoded.sequence).max() > 1e-2
