"""The metadata by which MediaPipe's tasks find their way in a LiteRT file.

A flatbuffer in the file's own metadata says what inputs and outputs are, and which files the
tokenizer and the labels stand in; these follow the file as a zip archive. The schema is MediaPipe's
`metadata_schema.fbs` (https://github.com/google-ai-edge/mediapipe/tree/master/mediapipe/tasks/metadata).
"""

import enum
import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers

NAME = "TFLITE_METADATA"
VOCABULARY, LABELS = "vocab.txt", "labels.txt"
_IDENTIFIER, _PARSER = b"M001", "1.1.0"

Fields = Mapping[enum.IntEnum, Any]
"""The fields of a table: a text, a number of one byte, a table, or a list of tables."""


class _Model(enum.IntEnum):
    NAME = 0
    GRAPHS = 3
    PARSER = 7


class _Graph(enum.IntEnum):
    INPUTS = 2
    OUTPUTS = 3
    INPUT_STEPS = 5


class _Tensor(enum.IntEnum):
    NAME = 0
    FILES = 6


class _Step(enum.IntEnum):
    OPTIONS_TYPE = 0
    OPTIONS = 1


class _BertTokenizer(enum.IntEnum):
    VOCABULARY = 0


class _File(enum.IntEnum):
    NAME = 0
    TYPE = 2


_LABELS_OF_AXIS, _VOCABULARY, _BERT_TOKENIZER = 2, 5, 4  # AssociatedFileType, ProcessUnitOptions


def metadata(name: str, inputs: Sequence[str], outputs: Sequence[str], labelled: bool) -> bytes:
    """Describes a model that reads tokens of BERT's WordPiece.

    Args:
        name: of the model.
        inputs: what MediaPipe calls each, in the graph's order: `ids`, `mask`, `segment_ids`.
        outputs: what to call each, in the graph's order.
        labelled: whether the columns of the outputs have labels.
    """
    vocabulary = {_File.NAME: VOCABULARY, _File.TYPE: _VOCABULARY}
    labels = {_File.NAME: LABELS, _File.TYPE: _LABELS_OF_AXIS}
    step = {
        _Step.OPTIONS_TYPE: _BERT_TOKENIZER,
        _Step.OPTIONS: {_BertTokenizer.VOCABULARY: [vocabulary]},
    }
    files = {_Tensor.FILES: [labels]} if labelled else {}
    graph = {
        _Graph.INPUTS: [{_Tensor.NAME: each} for each in inputs],
        _Graph.OUTPUTS: [{_Tensor.NAME: each, **files} for each in outputs],
        _Graph.INPUT_STEPS: [step],
    }
    builder = flatbuffers.Builder()
    root = _table(builder, {_Model.NAME: name, _Model.GRAPHS: [graph], _Model.PARSER: _PARSER})
    builder.Finish(root, file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def followed_by(content: bytes, files: Mapping[str, str]) -> bytes:
    """A LiteRT file with these files, name -> text, behind it."""
    whole = io.BytesIO()
    whole.write(content)
    with zipfile.ZipFile(whole, "a") as archive:
        for name, text in files.items():  # without the time of day: the same export, the same bytes
            archive.writestr(zipfile.ZipInfo(name), text)
    return whole.getvalue()


def _table(builder: flatbuffers.Builder, fields: Fields) -> int:
    """Writes a table behind what it refers to; gives its place."""
    values = {slot: _value(builder, each) for slot, each in fields.items()}
    builder.StartObject(max(fields) + 1)
    for slot, value in values.items():
        if isinstance(fields[slot], int):
            builder.PrependUint8Slot(slot, value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, value, 0)
    place: int = builder.EndObject()
    return place


def _value(builder: flatbuffers.Builder, value: Any) -> int:
    """A number as it is; anything else is written, and its place given."""
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, Mapping):
        return _table(builder, value)
    places = [_table(builder, each) for each in value]
    builder.StartVector(4, len(places), 4)
    for place in reversed(places):
        builder.PrependUOffsetTRelative(place)
    return int(builder.EndVector())
