"""The parts of an export by name: each is built, saved and compared with the source on its own."""

from collections.abc import Mapping

from hub_export.models.encoder_part import EncoderPart
from hub_export.models.part import Part
from hub_export.models.preprocessor_part import PreprocessorPart
from hub_export.models.text_embedding_part import TextEmbeddingPart

PARTS: Mapping[str, type[Part]] = {
    "encoder": EncoderPart,
    "preprocessor": PreprocessorPart,
    "text_embedding": TextEmbeddingPart,
}
