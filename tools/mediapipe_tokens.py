"""Counts the texts on which MediaPipe's tokenizer differs from a checkpoint's.

    python -m tools.mediapipe_tokens exported/NAME_text_embedding_mediapipe/1/tokenizer.json \
        --assets=FOLDER

Prints a line for each corpus of FOLDER: how many texts it has, and how many have other tokens as
they are, and when they are first brought into lower case without accents. MediaPipe itself is
asked: by a model of its own kind whose vector is the row of ids that it was given.
"""

import argparse
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf
from tokenizers import Tokenizer

from hub_export.litert.description import INPUTS
from hub_export.models.mediapipe import described
from hub_export.terminal import silenced
from tools import texts

LENGTH = 512
Ids = Callable[[str], list[int]]


def prepared(text: str) -> str:
    """Lower-cased, without accents: what MediaPipe leaves to the program that asks it.

    >>> prepared("L'Été")
    "l'ete"
    """
    decomposed = unicodedata.normalize("NFD", text.lower())
    return "".join(each for each in decomposed if unicodedata.category(each) != "Mn")


def echo() -> bytes:
    """A LiteRT file: ids, mask and type ids, int32 [1, S] -> float32 [1, S], -1 for padding."""

    @tf.function(input_signature=[tf.TensorSpec([1, LENGTH], tf.int32, name) for name in INPUTS])
    def serve(word_ids: tf.Tensor, mask: tf.Tensor, type_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"ids": tf.cast(word_ids * mask + mask - 1 + 0 * type_ids, tf.float32)}

    holder = tf.Module()
    with silenced(), tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(holder, folder, signatures={"serving_default": serve})
        content: bytes = tf.lite.TFLiteConverter.from_saved_model(folder).convert()
    return content


@contextmanager
def opened(source: Tokenizer) -> Iterator[Ids]:
    """MediaPipe's tokenizer with the vocabulary of the source: text -> ids, up to LENGTH.

    Raises:
        ImportError: MediaPipe is not installed.
    """
    from mediapipe.tasks.python.text import TextEmbedder  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "echo.tflite")
        file.write_bytes(described(echo(), "echo", source))
        with TextEmbedder.create_from_model_path(str(file)) as task:

            def ids(text: str) -> list[int]:
                found = task.embed(text).embeddings[0].embedding
                return [int(each) for each in found if each >= 0]

            yield ids


def differing(ids: Ids, source: Tokenizer, lines: Sequence[str]) -> int:
    """How many texts have other tokens than in the source, which cuts at LENGTH."""
    rows = source.encode_batch(lines)
    return sum(ids(line) != row.ids for line, row in zip(lines, rows, strict=True))


def main() -> None:
    """Prints the lines."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("--assets", type=Path, required=True)
    options = parser.parse_args()
    source = Tokenizer.from_file(str(options.tokenizer))
    source.no_padding()
    source.enable_truncation(LENGTH)
    with opened(source) as ids:
        for name, lines in texts.corpora(options.assets).items():
            plain = differing(ids, source, lines)
            ready = differing(lambda text: ids(prepared(text)), source, lines)
            print(f"{name}: {len(lines):,} texts, {plain:,} differ, prepared {ready:,}")


if __name__ == "__main__":
    main()
