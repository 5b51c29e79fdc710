"""Comparing what an encoder gives and takes by option: embeddings, attentions, vectors, head masks.

`transformers` has no head masks any longer: what each head adds is multiplied there.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from encoders import Architecture
from hub_export import contract
from hub_export.contract import ATTENTIONS, EMBEDDED, EMBEDS, HEAD_MASK, SEQUENCE, VECTORS
from hub_export.terminal import Progress
from hub_export.verify import outputs, samples
from hub_export.verify.checks import Check
from hub_export.verify.closeness import Closeness, Floats
from hub_export.verify.outputs import Road, Sample
from hub_export.verify.source import Source

# What `transformers` calls the output layers of attention, where checkpoints do otherwise.
_OUTPUTS = {"nomic_bert": "layers.{layer}.self_attn.o_proj"}


def ask(source: Source) -> list[Sample]:
    """Batches; of each what the source gives, by the name of the option."""
    session, model = source.session, source.model
    draw, found = np.random.default_rng(samples.SEED), []
    layer = _output(session.architecture, session.config)
    for ids, mask, type_ids in samples.batches(session.size):
        inputs, wanted = contract.inputs(ids, mask, type_ids), dict[str, Any]()
        plain = model.inside(ids, mask, type_ids, attentions=True)
        if EMBEDDED in session.inside:
            wanted[EMBEDDED] = plain.embedded
        if ATTENTIONS in session.inside:
            wanted |= contract.flat({ATTENTIONS: [_real(each, mask) for each in plain.attentions]})
        if EMBEDS in session.inside:
            vectors = draw.uniform(0.5, 1.5, (*ids.shape, 1)).astype(np.float32)
            vectors = vectors * model.vectors(ids)
            inputs[VECTORS] = vectors
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
    """Compares what a loaded encoder gives and takes by option."""
    names = answers[0].wanted.keys()
    roads = [Road(lambda inputs: _asked(model, inputs, names))]
    if EMBEDDED in names:
        roads.append(Road(lambda inputs: _served(model, inputs), _real_rows))
    worst = outputs.distances(progress.over("verifying options", answers), roads, closeness)
    return [outputs.check(f"numbers, {name}", worst[name], closeness) for name in worst]


def _asked(model: Any, inputs: Mapping[str, Any], names: Any) -> Mapping[str, Any]:
    """What the model gives for each name that is wanted."""
    usual = {name: inputs[name] for name in contract.input_specs()}
    plain = contract.flat(model(usual))
    found = {
        name: _real(each, usual[contract.MASK]) if name.startswith(ATTENTIONS) else each
        for name, each in plain.items()
        if name in names
    }
    if HEAD_MASK in names:
        found[HEAD_MASK] = model({**usual, HEAD_MASK: inputs[HEAD_MASK]})[SEQUENCE]
    if EMBEDS in names:
        vectors = {VECTORS: inputs[VECTORS], **usual}
        del vectors[contract.WORD_IDS]
        found[EMBEDS] = model.embeds(vectors)[SEQUENCE]
    return found


def _served(model: Any, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the signature gives."""
    usual = {name: inputs[name] for name in contract.input_specs()}
    return {EMBEDDED: model.signatures[contract.LAYERS](**usual)[EMBEDDED]}


def _real_rows(sample: Sample) -> Mapping[str, Floats]:
    """What is right there: zeros at padding."""
    mask = sample.inputs[contract.MASK][..., np.newaxis]
    return {EMBEDDED: sample.wanted[EMBEDDED] * (mask != 0)}


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
