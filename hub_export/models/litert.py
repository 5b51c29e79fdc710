"""LiteRT copies of an export's models, which take rows of tokens of fixed lengths.

The converter of TensorFlow (https://ai.google.dev/edge/litert/models/convert_tf) makes a file for
each precision, of built-in operations alone. Its signatures share the weights, which are stored
once. With fixed shapes, XNNPACK computes all that there is.
"""

import dataclasses
import functools
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import tensorflow as tf
from tokenizers import Tokenizer

from hub_export.contract import Tensors
from hub_export.errors import ExportError, TargetError
from hub_export.litert import description, interpreters
from hub_export.litert.description import Description, Reading
from hub_export.litert.renumbered import Renumbered
from hub_export.models.product import OfRows, Product
from hub_export.models.session import Session
from hub_export.settings import ENCODER, FLOAT16, FLOAT32
from hub_export.sources.tokenizer.names import TOKENIZER
from hub_export.terminal import silenced

Shape = tuple[int, int]
"""[B, S] of a signature."""
LENGTHS = (8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
"""Of rows, as far as the longest one needs them."""
TOGETHER, SHORT = 8, 32
"""Of rows up to SHORT tokens, TOGETHER ones take a third less time than one by one."""
_MISSING = re.compile(r"'(tf\.\w+)' op is neither a custom op nor a flex op")


@dataclasses.dataclass(frozen=True)
class LiteRtCopy:
    """The copy of a product, to be.

    Attributes:
        kind: what it is called in a report.
        suffix: how its folder's name ends.
        any_length: whether a signature takes shorter rows, too.
    """

    session: Session
    of: Product
    kind: ClassVar[str] = "LiteRT"
    suffix: ClassVar[str] = "_litert"
    any_length: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """Where its notes are in a report."""
        return self.of.name + self.suffix

    @property
    def folder(self) -> str:
        """What it is called in the output folder."""
        return self.of.folder + self.suffix

    @property
    def longest(self) -> int:
        """The longest row."""
        return min(self.of.longest, self.session.settings.litert_length or LENGTHS[-1])

    def _shapes(self, rows: OfRows) -> list[Shape]:
        """[B, S] of each signature.

        Raises:
            ExportError: rows that must not be padded are longer than the longest.
        """
        if over := [each for each in rows.lengths if each > self.longest]:
            raise ExportError(
                f"litert_length: expected {max(over)} or more, as the {self.of.name} fills rows up "
                f"to that, found {self.longest}"
            )
        usual = (each for each in LENGTHS if each < self.longest)
        lengths = sorted({*usual, *rows.lengths, self.longest})
        short = [(TOGETHER, length) for length in lengths if length <= SHORT]
        return [*((1, length) for length in lengths), *short]

    def save(self, path: Path) -> None:
        """Converts the product, and writes the files of `litert.description`.

        Raises:
            ExportError: an operation of it has no counterpart, or (TargetError) there is no room.
        """
        assert self.of.rows is not None
        rows = self.of.rows()
        shapes = self._shapes(rows)
        path.mkdir()
        try:
            self._describe(rows, shapes, path)
            signatures = {description.signature(*shape): shape for shape in shapes}
            for precision, content in self._made(rows, signatures, self.precisions, path):
                (path / description.model_file(precision)).write_bytes(content)
        except OSError as error:
            raise TargetError(f"{path.parent}: the copy cannot be written: {error}") from error

    @property
    def precisions(self) -> Sequence[str]:
        """What its weights are stored as, a file each."""
        return self.session.settings.litert

    def notes(self) -> Mapping[str, Any]:
        """What a user should know of it."""
        return {"longest": self.longest, "precisions": [*self.precisions]}

    def _describe(self, rows: OfRows, shapes: Sequence[Shape], path: Path) -> None:
        session, reading = self.session, None
        if self.of.name != ENCODER:
            reading = self._reading(path / description.TOKENIZER, rows)
        size = session.size
        found = Description(
            self.of.name,
            size.padding,
            size.types,
            shapes,
            rows.by_token,
            reading,
            rows.labels,
            rows.options,
            self.any_length,
        )
        found.write(path)

    def _reading(self, file: Path, rows: OfRows) -> Reading:
        """How texts are read, by the tokenizer that is written to the file."""
        session = self.session
        plan, tokenizer = session.plan, session.tokenizer
        _write(tokenizer, session.checkpoint.tokenizer_file, file)
        with plan.applied(tokenizer) as lowers:
            side = (tokenizer.truncation or {})["direction"]
        return Reading(
            prompt=rows.prompt,
            max_length=self.longest,
            truncation_side=side,
            lower_case=lowers,
            special_tokens_in_text=not tokenizer.encode_special_tokens,
            pairs=rows.pairs,
            cuts=self.longest < self.of.longest,
            numbers=numbers_of(tokenizer),
        )

    def _made(
        self,
        rows: OfRows,
        signatures: Mapping[str, Shape],
        precisions: Sequence[str],
        room: Path,
    ) -> Iterator[tuple[str, bytes]]:
        """The file of each precision, made by way of a SavedModel in a folder of the room."""
        shapes = {
            name: (count, None if self.any_length else length)
            for name, (count, length) in signatures.items()
        }
        with tempfile.TemporaryDirectory(dir=room) as folder:
            trace(rows, shapes, Path(folder))
            for precision in precisions:
                yield precision, self._converted(Path(folder), [*signatures], precision)

    def _converted(self, folder: Path, names: Sequence[str], precision: str) -> bytes:
        try:
            return converted(folder, names, precision)
        except ExportError as error:
            model_type = self.session.checkpoint.config.get("model_type")
            raise ExportError(
                f"{self.kind} cannot compute the {self.of.name} of this {model_type}: {error}"
            ) from error


def trace(rows: OfRows, shapes: Mapping[str, tuple[int, int | None]], folder: Path) -> None:
    """Saves a SavedModel whose signatures, by their names, take inputs of these shapes."""
    signatures = {
        name: tf.function(
            functools.partial(_computed, rows), autograph=False, input_signature=_specs(shape)
        )
        for name, shape in shapes.items()
    }
    holder = tf.Module()
    holder.module = rows.module
    tf.saved_model.save(holder, str(folder), signatures=signatures)


def converted(folder: Path, names: Sequence[str], precision: str) -> bytes:
    """What `trace` has saved, for LiteRT, with the signatures of these names.

    Raises:
        ExportError: an operation has no counterpart.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[*names])
    if precision != FLOAT32:  # by default int8 weights, as their dynamic range asks
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == FLOAT16:
        converter.target_spec.supported_types = [tf.float16]
    try:
        with silenced():
            content: bytes = converter.convert()
    except Exception as error:  # its own errors have no common base
        found = sorted({*_MISSING.findall(str(error))})
        why = f"it has no {', '.join(found)}" if found else f"its converter says: {error!s:.500}"
        raise ExportError(why) from error
    return content


def _computed(rows: OfRows, *inputs: tf.Tensor) -> Tensors:
    return dict(rows.compute(*inputs))


def _specs(shape: tuple[int, int | None]) -> list[tf.TensorSpec]:
    return [tf.TensorSpec(shape, tf.int32, name) for name in description.INPUTS]


def _write(tokenizer: Tokenizer, source: Path, file: Path) -> None:
    """Writes a tokenizer: the source's own file, if that says the same.

    The library reads some numbers of what it has written itself with another last bit, by which
    ties between pieces of the same score would be broken otherwise.
    """
    own = source.name == TOKENIZER and source.is_file()
    if own and _content(Tokenizer.from_file(str(source))) == _content(tokenizer):
        file.write_bytes(source.read_bytes())
    else:
        tokenizer.save(str(file))


def numbers_of(tokenizer: Tokenizer) -> Mapping[str, int]:
    """What its ids stand for that a tokenizer.json has no place for."""
    if not isinstance(tokenizer, Renumbered):
        return {}
    return {str(id): number for id, number in enumerate(tokenizer.numbers) if id != number}


def _content(tokenizer: Tokenizer) -> Mapping[str, Any]:
    """What it says of tokens."""
    found: dict[str, Any] = json.loads(tokenizer.to_str())
    return {key: each for key, each in found.items() if key not in ("truncation", "padding")}


def copies(session: Session, products: Sequence[Product]) -> Iterator[LiteRtCopy]:
    """Those of an export's models that are asked for.

    Raises:
        ExportError: LiteRT is not installed, or there are none of what is exported.
    """
    if session.settings.litert:
        interpreters.interpreter()
        found = [LiteRtCopy(session, each) for each in products if each.rows is not None]
        if not found:
            raise ExportError(
                "litert: there are copies of the encoder, the text embedding and the models of "
                f"tasks, but exported is {', '.join(each.name for each in products)}"
            )
        yield from found
