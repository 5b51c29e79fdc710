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
from hub_export.models.product import OfRows, Product
from hub_export.models.session import Session
from hub_export.settings import ENCODER, FLOAT16, FLOAT32
from hub_export.sources.tokenizer import files
from hub_export.terminal import silenced

LENGTHS = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
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
        session = self.session
        most = session.size.positions if self.of.name == ENCODER else session.plan.max_length
        asked = session.settings.litert_length or LENGTHS[-1]
        return min(most, asked)

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """[B, S] of each signature."""
        lengths = [*(each for each in LENGTHS if each < self.longest), self.longest]
        short = [(TOGETHER, length) for length in lengths if length <= SHORT]
        return [*((1, length) for length in lengths), *short]

    @property
    def signatures(self) -> Mapping[str, tuple[int, int]]:
        """Name -> [B, S] of its inputs."""
        return {description.signature(*shape): shape for shape in self.shapes}

    def save(self, path: Path) -> None:
        """Converts the product, and writes the files of `litert.description`.

        Raises:
            ExportError: an operation of it has no counterpart, or (TargetError) there is no room.
        """
        assert self.of.rows is not None
        rows = self.of.rows()
        path.mkdir()
        try:
            self._describe(rows, path)
            for precision, content in self._made(rows, self.session.settings.litert, path):
                (path / description.model_file(precision)).write_bytes(content)
        except OSError as error:
            raise TargetError(f"{path.parent}: the copy cannot be written: {error}") from error

    def notes(self) -> Mapping[str, Any]:
        """What a user should know of it."""
        return {"longest": self.longest, "precisions": [*self.session.settings.litert]}

    def _describe(self, rows: OfRows, path: Path) -> None:
        session, reading = self.session, None
        if self.of.name != ENCODER:
            reading = self._reading(path / description.TOKENIZER, rows.pairs)
        size = session.size
        found = Description(
            self.of.name,
            size.padding,
            size.types,
            self.shapes,
            rows.by_token,
            reading,
            rows.labels,
            self.any_length,
        )
        found.write(path)

    def _reading(self, file: Path, pairs: bool) -> Reading:
        """How texts are read, by the tokenizer that is written to the file."""
        session = self.session
        plan, tokenizer = session.plan, session.tokenizer
        _write(tokenizer, session.checkpoint.tokenizer_file, file)
        with plan.applied(tokenizer) as lowers:
            side = (tokenizer.truncation or {})["direction"]
        return Reading(
            prompt=plan.prompt,
            max_length=self.longest,
            truncation_side=side,
            lower_case=lowers,
            special_tokens_in_text=not tokenizer.encode_special_tokens,
            pairs=pairs,
        )

    def _made(
        self, rows: OfRows, precisions: Sequence[str], room: Path
    ) -> Iterator[tuple[str, bytes]]:
        """The file of each precision, made by way of a SavedModel in a folder of the room."""
        with tempfile.TemporaryDirectory(dir=room) as folder:
            self._trace(rows, Path(folder))
            for precision in precisions:
                yield precision, self._converted(Path(folder), precision)

    def _trace(self, rows: OfRows, folder: Path) -> None:
        """Saves a SavedModel with these signatures."""
        signatures = {
            name: tf.function(
                functools.partial(_computed, rows),
                autograph=False,
                input_signature=_specs(count, None if self.any_length else length),
            )
            for name, (count, length) in self.signatures.items()
        }
        holder = tf.Module()
        holder.module = rows.module
        tf.saved_model.save(holder, str(folder), signatures=signatures)

    def _converted(self, folder: Path, precision: str) -> bytes:
        names = [*self.signatures]
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=names)
        if precision != FLOAT32:  # by default int8 weights, as their dynamic range asks
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == FLOAT16:
            converter.target_spec.supported_types = [tf.float16]
        try:
            with silenced():
                content: bytes = converter.convert()
        except Exception as error:  # its own errors have no common base
            raise ExportError(self._refused(str(error))) from error
        return content

    def _refused(self, message: str) -> str:
        found = sorted({*_MISSING.findall(message)})
        why = f"it has no {', '.join(found)}" if found else f"its converter says: {message:.500}"
        model_type = self.session.checkpoint.config.get("model_type")
        return f"{self.kind} cannot compute the {self.of.name} of this {model_type}: {why}"


def _computed(rows: OfRows, *inputs: tf.Tensor) -> Tensors:
    return dict(rows.compute(*inputs))


def _specs(rows: int, length: int | None) -> list[tf.TensorSpec]:
    return [tf.TensorSpec([rows, length], tf.int32, name) for name in description.INPUTS]


def _write(tokenizer: Tokenizer, source: Path, file: Path) -> None:
    """Writes a tokenizer: the source's own file, if that says the same.

    The library reads some numbers of what it has written itself with another last bit, by which
    ties between pieces of the same score would be broken otherwise.
    """
    own = source.name == files.TOKENIZER and source.is_file()
    if own and _content(Tokenizer.from_file(str(source))) == _content(tokenizer):
        file.write_bytes(source.read_bytes())
    else:
        tokenizer.save(str(file))


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
                "litert: there are copies of the encoder, the text embedding and a text "
                f"classification, but exported is {', '.join(each.name for each in products)}"
            )
        yield from found
