"""Post-processors: the special tokens and type ids around one, two or more segments."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

from tokenizers import Tokenizer as Source

from preprocess.source.components import Component, flatten, require
from preprocess.source.errors import UnsupportedTokenizerError, VocabularyError

_KNOWN: Mapping[str, tuple[str, ...]] = {
    "BertProcessing": ("sep", "cls"),
    "ByteLevel": ("add_prefix_space", "trim_offsets", "use_regex"),
    "RobertaProcessing": ("sep", "cls", "trim_offsets", "add_prefix_space"),
    "TemplateProcessing": ("single", "pair", "special_tokens"),
}


@dataclasses.dataclass(frozen=True)
class Piece:
    """One part of a packed row: a special token, or a segment.

    Attributes:
        id: the special token's id, or None for a segment.
        type_id: the type id of all its positions.
    """

    id: int | None
    type_id: int


Pieces = tuple[Piece, ...]


@dataclasses.dataclass(frozen=True)
class Template:
    """The pieces of a row of one segment, and of two."""

    single: Pieces
    pair: Pieces

    def pieces(self, segments: int) -> Pieces:
        """The pieces of a row of any number of segments.

        From the third segment on, the pair continues as it began: what stands between its
        segments is repeated, and the type ids grow by the same step.

        >>> bert = Template((Piece(1, 0), Piece(None, 0), Piece(2, 0)),
        ...     (Piece(1, 0), Piece(None, 0), Piece(2, 0), Piece(None, 1), Piece(2, 1)))
        >>> [(piece.id, piece.type_id) for piece in bert.pieces(3)]
        [(1, 0), (None, 0), (2, 0), (None, 1), (2, 1), (None, 2), (2, 2)]
        """
        if segments == 1:
            return self.single
        first, second = (at for at, piece in enumerate(self.pair) if piece.id is None)
        step = self.pair[second].type_id - self.pair[first].type_id
        repeated, last = self.pair[first:second], self.pair[second:]
        middle = [
            Piece(piece.id, piece.type_id + step * time)
            for time in range(segments - 1)
            for piece in repeated
        ]
        end = [Piece(piece.id, piece.type_id + step * (segments - 2)) for piece in last]
        return (*self.pair[:first], *middle, *end)


def read(source: Source, tokenizer: Component) -> Template:
    """Reads the post-processor of a serialised tokenizer.

    Raises:
        UnsupportedTokenizerError: it is of a kind, or a form, that is not supported.
        VocabularyError: a special token is missing, or has another id in the vocabulary.
    """
    parts = [
        require("post-processor", part, _KNOWN)
        for part in flatten(tokenizer["post_processor"], "processors")
    ]
    # ByteLevel has to do with offsets only.
    framing = [part for part in parts if part["type"] != "ByteLevel"]
    if len(framing) > 1:
        names = ", ".join(part["type"] for part in framing)
        raise UnsupportedTokenizerError(f"post-processors {names} are not supported together")
    template, specials = _READERS[framing[0]["type"]](framing[0]) if framing else (_PLAIN, [])
    for token, id in specials:
        if source.token_to_id(token) != id:
            raise VocabularyError(
                f"the post-processor puts {token!r} under id {id}, the vocabulary has it under "
                f"{source.token_to_id(token)}"
            )
    if [sum(p.id is None for p in pieces) for pieces in (template.single, template.pair)] != [1, 2]:
        raise UnsupportedTokenizerError("post-processor: expected $A once, then $A $B once each")
    return template


Special = tuple[str, int]


def _bert(component: Component) -> tuple[Template, list[Special]]:
    cls, sep = component["cls"], component["sep"]
    single = (Piece(cls[1], 0), _SEGMENT, Piece(sep[1], 0))
    return Template(single, (*single, Piece(None, 1), Piece(sep[1], 1))), [cls, sep]


def _roberta(component: Component) -> tuple[Template, list[Special]]:
    cls, sep = component["cls"], component["sep"]
    single = (Piece(cls[1], 0), _SEGMENT, Piece(sep[1], 0))
    return Template(single, (*single, Piece(sep[1], 0), _SEGMENT, Piece(sep[1], 0))), [cls, sep]


def _template(component: Component) -> tuple[Template, list[Special]]:
    entries = component["special_tokens"].values()
    specials = [each for e in entries for each in zip(e["tokens"], e["ids"], strict=True)]
    return Template(*(tuple(_pieces(component, x)) for x in ("single", "pair"))), specials


def _pieces(component: Component, which: str) -> Iterator[Piece]:
    order: Sequence[str] = [
        entry["Sequence"]["id"] for entry in component[which] if "Sequence" in entry
    ]
    if list(order) != sorted(order):
        raise UnsupportedTokenizerError(f"post-processor: segments in the order {list(order)}")
    for entry in component[which]:
        if "Sequence" in entry:
            yield Piece(None, entry["Sequence"]["type_id"])
        else:
            special = entry["SpecialToken"]
            for id in _ids(component, which, special["id"]):
                yield Piece(id, special["type_id"])


def _ids(component: Component, which: str, token: str) -> Sequence[int]:
    known = component["special_tokens"]
    if token not in known:
        raise VocabularyError(
            f"post-processor: {which} names the token {token!r}, but special_tokens has "
            f"{', '.join(map(repr, known)) or 'none'}; add an entry with its ids"
        )
    ids: Sequence[int] = known[token]["ids"]
    return ids


_SEGMENT = Piece(None, 0)
_PLAIN = Template((_SEGMENT,), (_SEGMENT, Piece(None, 1)))
_READERS: Mapping[str, Callable[[Component], tuple[Template, list[Special]]]] = {
    "BertProcessing": _bert,
    "RobertaProcessing": _roberta,
    "TemplateProcessing": _template,
}
