"""The encoder as the root of a SavedModel."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from encoders import (
    Encoder,
    FillMask,
    RealTokens,
    TokenById,
    TokenOfRow,
    by_length,
    first_token,
    last_token,
)
from hub_export import contract
from hub_export.contract import (
    ATTENTIONS,
    DEFAULT,
    EMBEDDED,
    EMBEDS,
    HEAD_MASK,
    INPUTS_EMBEDS,
    LAYERS,
    MASK,
    POOLED,
    SEQUENCE,
    TYPE_IDS,
    WORD_IDS,
    Tensors,
)
from hub_export.models import signatures
from hub_export.models.masked_lm import MaskedLanguageModel
from hub_export.models.product import OfRows, Product
from hub_export.models.session import Session
from hub_export.settings import ENCODER

Specs = Mapping[str, tf.TensorSpec]
Call = Callable[..., Tensors]


class EncoderModel(tf.train.Checkpoint):
    """Wraps an encoder so that it keeps the contract of `hub_export.contract`.

    The encoder is traced once for training, once for inference, and once for the signatures, which
    compute nothing for padding. Whatever a consumer calls is a thin function around one of these,
    which keeps the SavedModel small and quick to load.
    """

    def __init__(
        self, encoder: Encoder, masked: FillMask | None = None, extras: Collection[str] = ()
    ) -> None:
        """Traces it.

        Args:
            encoder: the encoder.
            masked: a head for masked tokens, which becomes `mlm`.
            extras: what it gives and takes beside the rest, some of `settings.INSIDE`.
        """
        super().__init__(encoder=encoder)
        self._extras = extras
        self.variables = list(encoder.variables)
        self.trainable_variables = list(encoder.trainable_variables)
        self.regularization_losses: list[tf.Tensor] = []
        call = self._calling(contract.input_specs())
        self.__call__ = tf.function(call, autograph=False)
        self.serve = tf.function(lambda inputs: call(inputs), autograph=False)
        self.serve_training = tf.function(lambda inputs: call(inputs, True), autograph=False)
        for types in (True, False):
            specs = contract.input_specs(types)
            self._trace_call(self.__call__, specs)
            for each in self._variants(specs):
                self.serve.get_concrete_function(each)
                self.serve_training.get_concrete_function(each)
        if masked is not None:
            of_types = map(contract.input_specs, (True, False))
            variants = [each for specs in of_types for each in self._variants(specs)]
            self.mlm = MaskedLanguageModel(encoder, masked, call, variants)
        if EMBEDS in self._extras:
            self.embeds = tf.function(self._calling(self._of_vectors()), autograph=False)
            for types in (True, False):
                self._trace_call(self.embeds, self._of_vectors(types))

    def serving(self) -> dict[str, tf.types.experimental.PolymorphicFunction]:
        """The signatures, with the flat names that TF Serving needs."""
        specs = contract.input_specs()
        body = self._trace(specs, arrange=RealTokens)
        extra = [EMBEDDED] if EMBEDDED in self._extras else []

        def default(*inputs: tf.Tensor) -> Tensors:
            def compute(*rows: tf.Tensor) -> list[tf.Tensor]:
                found = body(*rows)
                return [found[POOLED], found[SEQUENCE]]

            pooled, sequence = by_length(compute, *_alike(*inputs))
            return {POOLED: pooled, SEQUENCE: sequence, DEFAULT: pooled}

        def layers(*inputs: tf.Tensor) -> Tensors:
            def compute(*rows: tf.Tensor) -> list[tf.Tensor]:
                found = body(*rows)
                return [*found[LAYERS], *(found[name] for name in extra)]

            found = by_length(compute, *_alike(*inputs))
            count = len(found) - len(extra)
            extras = dict(zip(extra, found[count:], strict=True))
            return contract.flat({LAYERS: found[:count], **extras})

        served: dict[str, tuple[Callable[..., Tensors], Specs]] = {
            contract.SERVING: (default, specs),
            LAYERS: (layers, specs),
        }
        if ATTENTIONS in self._extras:
            served[ATTENTIONS] = (self._serving_extra(self.__call__, [ATTENTIONS]), specs)
        if EMBEDS in self._extras:
            names = [POOLED, SEQUENCE, DEFAULT]
            served[EMBEDS] = (self._serving_extra(self.embeds, names), self._of_vectors())
        return signatures.checked(
            {name: (function, [*specs.values()]) for name, (function, specs) in served.items()}
        )

    def _serving_extra(self, function: Any, names: Sequence[str]) -> Callable[..., Tensors]:
        """A signature that gives some outputs of a call."""

        def serve(words: tf.Tensor, *others: tf.Tensor) -> Tensors:
            name = INPUTS_EMBEDS if words.dtype.is_floating else WORD_IDS
            found = function(dict(zip((name, MASK, TYPE_IDS), (words, *others), strict=True)))
            return contract.flat({name: found[name] for name in names})

        return serve

    def _calling(self, specs: Specs) -> Call:
        """From inputs of these names, the first of which are the words, to the outputs."""
        bodies = {training: self._trace(specs, training=training) for training in (False, True)}
        words, *_ = specs

        def call(inputs: Tensors, training: bool = False) -> Tensors:
            mask = inputs[MASK]
            row = [inputs[words], mask, inputs.get(TYPE_IDS, tf.zeros_like(mask))]
            if HEAD_MASK in self._extras:
                row.append(inputs.get(HEAD_MASK, tf.ones(self._heads())))
            found: Tensors = bodies[training](*row)
            return found

        return call

    def _trace(self, specs: Specs, **options: Any) -> tf.types.experimental.ConcreteFunction:
        """The encoder as a concrete function: saving traces every other one anew."""

        def body(*row: tf.Tensor) -> Tensors:
            words, mask, type_ids, *head_mask = row
            named = dict(zip(["head_mask"], head_mask, strict=False))
            inside = self.encoder.inside(words, mask, type_ids, **named, **options)
            found = contract.outputs(*inside.encoded)
            if EMBEDDED in self._extras:
                found[EMBEDDED] = inside.embedded
            if ATTENTIONS in self._extras:
                found[ATTENTIONS] = inside.attentions
            return found

        row = [*specs.values()]
        if HEAD_MASK in self._extras and "arrange" not in options:
            row.append(self._head_masks())
        return tf.function(body, autograph=False).get_concrete_function(*row)

    def _trace_call(self, function: Any, specs: Specs) -> None:
        """Traces a call in training and not, with and without what is optional."""
        for each in self._variants(specs):
            for training in (False, True):
                function.get_concrete_function(each, training=training)

    def _variants(self, specs: Specs) -> Iterator[Specs]:
        """Inputs without head masks and, by option, with them."""
        yield specs
        if HEAD_MASK in self._extras:
            yield {**specs, HEAD_MASK: self._head_masks()}

    def _head_masks(self) -> tf.TensorSpec:
        """A row for each attention."""
        return tf.TensorSpec(self._heads(), tf.float32, HEAD_MASK)

    def _heads(self) -> list[int]:
        """How many attentions there are, and how many heads each has."""
        if not hasattr(self, "_attentions"):
            one = tf.zeros([1, 1], tf.int32)
            self._attentions = len(self.encoder.inside(one, one + 1).attentions)
        return [self._attentions, self.encoder.dimensions.heads]

    def _of_vectors(self, types: bool = True) -> Specs:
        """The inputs of `embeds`."""
        width = self.encoder.embeddings.word.table.shape[1]
        vectors = tf.TensorSpec([None, None, width], tf.float32, INPUTS_EMBEDS)
        _, *others = contract.input_specs(types).items()
        return {INPUTS_EMBEDS: vectors, **dict(others)}


def _alike(word_ids: tf.Tensor, *others: tf.Tensor) -> list[tf.Tensor]:
    """The inputs of a signature, unless their shapes differ: rows without a mask would get lost."""
    shape = tf.shape(word_ids)
    checks = [
        tf.debugging.Assert(
            tf.reduce_all(tf.equal(tf.shape(each), shape)),
            [f"{name}: the shape", tf.shape(each), f"is not that of {WORD_IDS}", shape],
        )
        for name, each in zip((MASK, TYPE_IDS), others, strict=True)
    ]
    with tf.control_dependencies(checks):
        return [tf.identity(each) for each in (word_ids, *others)]


_USAGE = (
    f"Takes a dict of int32 [batch, length] `{WORD_IDS}`, `{MASK}` and, if wanted, `{TYPE_IDS}`. "
    f"Gives `{POOLED}` [batch, width], `{SEQUENCE}` [batch, length, width] and `{LAYERS}`, a list "
    "of the outputs of each block."
)


def product(session: Session) -> Product | None:
    """The encoder of a session; nothing where there is none."""
    if session.checkpoint.is_static:
        return None

    def notes() -> dict[str, Any]:
        encoder, filled = session.built
        taken = session.head_tensors if session.has_mlm else ()
        unused = {**filled.unused, **session.checkpoint.unused}
        unused = {name: reason for name, reason in unused.items() if name not in taken}
        return {POOLED: _pooled(encoder), "unused_tensors": unused}

    size = session.size

    def build() -> EncoderModel:
        head = session.head[0] if session.has_mlm else None
        masked = head if isinstance(head, FillMask) else None
        return EncoderModel(session.built[0], masked, session.inside)

    return Product(
        ENCODER,
        f"{session.settings.name}_L-{size.layers}_H-{size.width}_A-{size.heads}",
        _USAGE,
        build,
        notes,
        size.positions,
        lambda: of_rows(session.built[0]),
    )


def of_rows(encoder: Encoder) -> OfRows:
    """What an encoder computes of rows of tokens, for copies."""

    def compute(*row: tf.Tensor) -> Tensors:
        found = encoder(*row)
        return {POOLED: found.pooled, SEQUENCE: found.sequence}

    return OfRows(encoder, compute, by_token=[SEQUENCE])


_TOKENS: Mapping[TokenOfRow, str] = {
    first_token: "the first token's vector",
    last_token: "the last token's vector, padding aside",
}


def _word_of(token: TokenOfRow) -> str:
    """Which token's vector it is, in words."""
    if not isinstance(token, TokenById):
        return _TOKENS[token]
    which = "the highest id" if token.id is None else f"id {token.id}"
    return f"the vector of a row's first token of {which}, padding aside"


def _pooled(encoder: Encoder) -> str:
    """What the encoder's pooled output is, in words."""
    if encoder.pooler is None:
        return _word_of(encoder.token)
    if not np.any(encoder.pooler.dense.bias):
        # `transformers` starts from zeros; no training leaves every one of them as it was.
        return "the output of the pooler, whose bias is zero: it has probably not been trained"
    return "the pooler's output"
