"""Comparing what an encoder gives and takes by option: embeddings, attentions, vectors, head masks.

`transformers` has no head masks any longer: what each head adds is multiplied there.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from encoders import Architecture
from hub_export import contract
from hub_export.contract import (
    ATTENTIONS,
    EMBEDDED,
    EMBEDS,
    HEAD_MASK,
    INPUTS_EMBEDS,
    POSITIONS,
    SEQUENCE,
)
from hub_export.terminal import Progress
from hub_export.verify import outputs, samples
from hub_export.verify.checks import Check
from hub_export.verify.closeness import Closeness, Floats
from hub_export.verify.outputs import Road, Sample
from hub_export.verify.source import Source

# What `transformers` calls the output layers of attention, where checkpoints do otherwise.
_OUTPUTS = {
    **dict.fromkeys(("gte", "jina_embeddings_v3", "nomic_bert"), "layers.{layer}.self_attn.o_proj"),
    "xlnet": "layer.{layer}.rel_attn.heads",
}


def ask(source: Source) -> list[Sample]:
    """Batches; of each what the source gives, by the name of the option."""
    session, model = source.session, source.model
    draw, found = np.random.default_rng(samples.SEED), []
    layer = _output(session.architecture, session.config)
    for batch in samples.batches(session.size):
        ids, mask, type_ids = model.certain(*batch)
        inputs, wanted = contract.inputs(ids, mask, type_ids), dict[str, Any]()
        plain = model.inside(ids, mask, type_ids, attentions=True)
        if EMBEDDED in session.inside:
            wanted[EMBEDDED] = plain.embedded
        if ATTENTIONS in session.inside:
            wanted |= contract.flat({ATTENTIONS: [_real(each, mask) for each in plain.attentions]})
        if EMBEDS in session.inside:
            vectors = draw.uniform(0.5, 1.5, (*ids.shape, 1)).astype(np.float32)
            vectors = vectors * model.vectors(ids)
            inputs[INPUTS_EMBEDS] = vectors
            wanted[EMBEDS] = model.inside(vectors, mask, type_ids).encoded.sequence
        if HEAD_MASK in session.inside:
            shape = len(plain.attentions), session.size.heads
            inputs[HEAD_MASK] = draw.uniform(0, 1, shape).astype(np.float32)
            with model.heads_masked(layer, inputs[HEAD_MASK]):
                wanted[HEAD_MASK] = model(ids, mask, type_ids).sequence
        found.append(Sample(inputs, wanted))
    return found


def compare(
    model: Any, answers: Sequence[Sample], closeness: Closeness, progress: Progress
) -> list[Check]:
    """Compares what a loaded encoder gives and takes by option, by call and by signature."""
    names = answers[0].wanted.keys()
    roads = [
        Road(lambda inputs: _asked(model, inputs, names)),
        Road(lambda inputs: _served(model, inputs, names), _real_rows),
    ]
    if HEAD_MASK in names:
        roads += [Road(functools.partial(_masked, each)) for each in _taking_masks(model)]
    worst = outputs.distances(progress.over("verifying options", answers), roads, closeness)
    return [outputs.check(f"numbers, {name}", worst[name], closeness) for name in worst]


def _asked(model: Any, inputs: Mapping[str, Any], names: Any) -> Mapping[str, Any]:
    """What the model gives for each name that is wanted."""
    usual = _usual(inputs)
    found = _named(contract.flat(model(usual)), names, usual[contract.MASK])
    if EMBEDS in names:
        found[EMBEDS] = model.embeds(_of_vectors(inputs))[SEQUENCE]
    return found


def _served(model: Any, inputs: Mapping[str, Any], names: Any) -> Mapping[str, Any]:
    """What the signatures give."""
    usual, signatures, found = _usual(inputs), model.signatures, dict[str, Any]()
    for name in (contract.LAYERS, ATTENTIONS):
        if name in signatures:
            found |= _named(signatures[name](**usual), names, usual[contract.MASK])
    if EMBEDS in names:
        found[EMBEDS] = signatures[EMBEDS](**_of_vectors(inputs))[SEQUENCE]
    return found


def _taking_masks(model: Any) -> list[Callable[[Any], Any]]:
    """What takes head masks."""
    functions = [model, model.serve]
    if hasattr(model, "mlm"):
        functions.append(lambda inputs: model.mlm({**inputs, POSITIONS: _first(inputs)}))
    return functions


def _masked(function: Callable[[Any], Any], inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    return {HEAD_MASK: function({**_usual(inputs), HEAD_MASK: inputs[HEAD_MASK]})[SEQUENCE]}


def _first(inputs: Mapping[str, Any]) -> samples.Ids:
    """The first position of each row, int32 [B, 1]."""
    return np.zeros([len(inputs[contract.MASK]), 1], np.int32)


def _usual(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs without those of options."""
    return {name: inputs[name] for name in contract.input_specs()}


def _of_vectors(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of `embeds`."""
    usual = _usual(inputs)
    del usual[contract.WORD_IDS]
    return {INPUTS_EMBEDS: inputs[INPUTS_EMBEDS], **usual}


def _named(found: Mapping[str, Any], names: Any, mask: samples.Ids) -> dict[str, Any]:
    """Those of the names that are compared; attentions without those of padding."""
    return {
        name: _real(each, mask) if name.startswith(ATTENTIONS) else each
        for name, each in found.items()
        if name in names
    }


def _real_rows(sample: Sample) -> Mapping[str, Floats]:
    """What is right by signature: zeros at padding, where that computes nothing for it."""
    if EMBEDDED not in sample.wanted:
        return sample.wanted
    mask = sample.inputs[contract.MASK][..., np.newaxis]
    return {**sample.wanted, EMBEDDED: sample.wanted[EMBEDDED] * (mask != 0)}


def _real(weights: Any, mask: samples.Ids) -> Floats:
    """Weights [B, H, S, S] without those of padding, which mean nothing."""
    real: Floats = np.asarray(weights) * (mask[:, np.newaxis, :, np.newaxis] != 0)
    return real


def _output(architecture: Architecture, config: Mapping[str, Any]) -> str:
    """What `transformers` calls the output layer of an attention, its numbers in braces."""
    [row] = (
        row for row in architecture.table.rows if row.target.endswith("attention.output.kernel")
    )
    return _OUTPUTS.get(str(config["model_type"]), row.sources[0].removesuffix(".weight"))
