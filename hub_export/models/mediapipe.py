"""Copies for MediaPipe's tasks on phones and in browsers: `TextEmbedder` and `TextClassifier`.

A file has one graph, which takes one row of any length, for MediaPipe neither chooses among
signatures nor cuts a row whose length is free: the graph does. MediaPipe tokenizes by itself, by
BERT's WordPiece (mediapipe/tasks/cc/text/tokenizers/bert_tokenizer.cc). It lower-cases ASCII
letters and leaves accents, so that some texts have other tokens than in the source.
"""

import dataclasses
import string
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import tensorflow as tf
from tokenizers import Tokenizer, models

from hub_export.contract import MASK, TYPE_IDS, WORD_IDS, Tensors
from hub_export.errors import ExportError
from hub_export.litert import description
from hub_export.litert.names import PROBABILITIES
from hub_export.models import mediapipe_metadata
from hub_export.models.litert import LiteRtCopy, Shape
from hub_export.models.litert_file import LiteRtFile
from hub_export.models.product import OfRows, Product
from hub_export.models.session import Session
from hub_export.settings import TEXT_CLASSIFICATION, TEXT_EMBEDDING, product_of

TASKS = {TEXT_EMBEDDING: "TextEmbedder", product_of(TEXT_CLASSIFICATION): "TextClassifier"}
"""The products that MediaPipe has a task for, and the task."""
_INPUTS = {WORD_IDS: "ids", MASK: "mask", TYPE_IDS: "segment_ids"}
_FRAME, _UNKNOWN, _PREFIX = ["[CLS]", "[SEP]"], "[UNK]", "##"


@dataclasses.dataclass(frozen=True)
class MediaPipeCopy(LiteRtCopy):
    """The copy of a product for MediaPipe, to be."""

    kind: ClassVar[str] = "MediaPipe"
    suffix: ClassVar[str] = "_mediapipe"
    any_length: ClassVar[bool] = True

    def _shapes(self, rows: OfRows) -> list[Shape]:
        """One row."""
        del rows
        return [(1, self.longest)]

    def _made(
        self,
        rows: OfRows,
        signatures: Mapping[str, Shape],
        precisions: Sequence[str],
        room: Path,
    ) -> Iterator[tuple[str, bytes]]:
        def compute(*inputs: tf.Tensor) -> Tensors:
            return rows.compute(*(_cut(each, self.longest) for each in inputs))

        cut = dataclasses.replace(rows, compute=compute)
        for precision, content in super()._made(cut, signatures, precisions, room):
            yield precision, described(content, self.folder, self.session.tokenizer, rows.labels)


def described(content: bytes, name: str, tokenizer: Tokenizer, labels: Sequence[str] = ()) -> bytes:
    """A LiteRT file with what MediaPipe's tasks ask of it.

    Args:
        content: a file with one signature, of the inputs of an encoder, int32 [1, S] each.
        name: of the model.
        tokenizer: whose vocabulary MediaPipe is to cut words by.
        labels: what the columns of the outputs stand for.
    """
    file = LiteRtFile(content)
    file.put_first(PROBABILITIES)
    inputs = [_INPUTS[each.name] for each in file.inputs]
    outputs = [each.name for each in file.outputs]
    about = mediapipe_metadata.metadata(name, inputs, outputs, bool(labels))
    file.add(mediapipe_metadata.NAME, about)
    found: dict[str, int] = tokenizer.get_vocab()
    entries = "".join(f"{each}\n" for each in sorted(found, key=found.__getitem__))
    files = {mediapipe_metadata.VOCABULARY: entries}
    if labels:
        files[mediapipe_metadata.LABELS] = description.lines(labels)
    return mediapipe_metadata.followed_by(file.content(), files)


def _cut(values: tf.Tensor, longest: int) -> tf.Tensor:
    """Cuts int32 [1, S] before the last token, [SEP], as the tokenizer would: [1, S'].

    MediaPipe does not cut rows whose length is free.
    """
    return tf.concat([values[:, :-1][:, : longest - 1], values[:, -1:]], axis=1)


def copies(session: Session, products: Sequence[Product]) -> Iterator[MediaPipeCopy]:
    """Those of an export's models that are asked for.

    Raises:
        ExportError: MediaPipe reads none of what is exported, or other tokens than the checkpoint.
    """
    if session.settings.mediapipe:
        found = [MediaPipeCopy(session, each) for each in products if each.name in TASKS]
        if not found:
            raise ExportError(
                f"mediapipe: reads {' and '.join(TASKS)}, but exported is "
                f"{', '.join(each.name for each in products)}"
            )
        if unlike := [*_unlike(session)]:
            raise ExportError(
                f"mediapipe: cannot read texts as {session.checkpoint.tokenizer_file} does: "
                f"{'; '.join(unlike)}; leave the option out: LiteRT copies read them exactly, by "
                "hub_export.litert"
            )
        yield from found


def _unlike(session: Session) -> Iterator[str]:
    """What the checkpoint asks for that MediaPipe's tokenizer does not do."""
    plan, tokenizer = session.plan, session.tokenizer
    small, capital = (" ".join(each) for each in (string.ascii_lowercase, string.ascii_uppercase))
    with plan.applied(tokenizer):
        empty, lower, upper = (tokenizer.encode(each) for each in ("", small, capital))
        side = (tokenizer.truncation or {})["direction"]
    model, entries = tokenizer.model, tokenizer.get_vocab()
    if not isinstance(model, models.WordPiece):
        yield f"it cuts words by WordPiece, here it is {type(model).__name__}"
    elif (model.continuing_subword_prefix, model.unk_token) != (_PREFIX, _UNKNOWN):
        found = f"{model.continuing_subword_prefix!r} and {model.unk_token!r}"
        yield f"the prefix of pieces is {_PREFIX!r}, the unknown token {_UNKNOWN!r}, here {found}"
    if empty.tokens != _FRAME:
        yield f"an empty text is {' '.join(_FRAME)}, here {' '.join(empty.tokens) or 'nothing'}"
    if lower.ids != upper.ids:
        yield "it lower-cases every text, here case counts"
    if any(lower.type_ids):
        yield "type ids are 0, here they are not"
    if side != "right":
        yield f"long texts are cut on the right, here on the {side}"
    if plan.prompt:
        yield f"it puts nothing before a text, here it is {plan.prompt!r}"
    if sorted(entries.values()) != [*range(len(entries))] or any("\n" in each for each in entries):
        yield "a vocabulary has a line for each id, here some have none, or more"
