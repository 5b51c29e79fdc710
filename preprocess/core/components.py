"""Reading a serialised tokenizer under guard: what is not known by name is refused."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from tokenizers import Tokenizer as Source

from preprocess.core.errors import UnsupportedTokenizerError

Component = Mapping[str, Any]


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
