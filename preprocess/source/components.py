"""Reading a serialised tokenizer under guard: what is not known by name is refused."""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from tokenizers import Tokenizer as Source
from tokenizers.decoders import Decoder
from tokenizers.normalizers import Normalizer
from tokenizers.pre_tokenizers import PreTokenizer

from preprocess.source.errors import UnsupportedTokenizerError

Component = Mapping[str, Any]

_EMPTY_MODEL = {"type": "BPE", "vocab": {}, "merges": []}


def serialised(source: Source) -> Component:
    """The `tokenizer.json` of a tokenizer, every option written out."""
    read: Component = json.loads(source.to_str())
    return read


def require(
    place: str, component: Component | None, known: Mapping[str, Collection[str]]
) -> Component:
    """Returns the component if its type and all its options are among the `known`.

    Args:
        place: what the component is, such as `normalizer`.
        component: its serialised form, or None where the tokenizer has none.
        known: supported type -> names of its options.

    Raises:
        UnsupportedTokenizerError: names the type or the options that are not supported.
    """
    kind = component["type"] if component else "none"
    if component is None or kind not in known:
        raise UnsupportedTokenizerError(
            f"{place} of type {kind} is not supported; supported: {', '.join(known)}"
        )
    unknown = sorted(component.keys() - known[kind] - {"type"})
    if unknown:
        raise UnsupportedTokenizerError(
            f"{place} {kind} has options that are not supported: {', '.join(unknown)}"
        )
    return component


def flatten(component: Component | None, parts: str) -> Iterator[Component]:
    """The members of a component, sequences within sequences written out in order.

    Args:
        component: a serialised component, or None.
        parts: what a Sequence calls its members, such as `normalizers`.
    """
    if component is None:
        return
    if component["type"] != "Sequence":
        yield component
        return
    for part in component[parts]:
        yield from flatten(part, parts)


def normalizer(component: Component) -> Normalizer:
    """A normalizer by itself, to be asked what it does."""
    return _alone(normalizer=component).normalizer


def pre_tokenizer(component: Component) -> PreTokenizer:
    """A pre-tokenizer by itself, to be asked what it does."""
    return _alone(pre_tokenizer=component).pre_tokenizer


def decoder(component: Component) -> Decoder:
    """A decoder by itself, to be asked what it does."""
    return _alone(decoder=component).decoder


def _alone(**parts: Component) -> Source:
    return Source.from_str(json.dumps({"version": "1.0", "model": _EMPTY_MODEL, **parts}))
