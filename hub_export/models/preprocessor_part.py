"""The preprocessor as a part of an export."""

from pathlib import Path

import tensorflow as tf

import preprocess
from hub_export import contract
from hub_export.errors import ExportError
from hub_export.models.part import Part, Settings, write
from hub_export.models.preprocessor import PreprocessorModel
from hub_export.models.tokenizing import compiled, source_tokenizer, types
from hub_export.publish.report import Check
from hub_export.sources.checkpoint import Checkpoint
from hub_export.terminal import Progress
from hub_export.verify import tokens, transformers_tokens


class PreprocessorPart(Part):
    """The preprocessor."""

    def __init__(self, checkpoint: Checkpoint, settings: Settings) -> None:
        """Reads configuration and tokenizer.

        Raises:
            SourceError: the vocabulary does not fit the encoder.
        """
        super().__init__(checkpoint, settings)
        self._tokenizer = source_tokenizer(checkpoint, settings, self.size)

    @property
    def folder(self) -> str:
        return f"{self.settings.name}_preprocess"

    def save(self, path: Path) -> None:
        preprocessor = compiled(
            self.checkpoint, self.settings, self.size, self._tokenizer, self._seq_length
        )
        shortest = preprocessor.packer.special_tokens(contract.MOST_SEGMENTS)
        if not shortest <= self._seq_length <= self.size.positions:
            raise ExportError(
                f"seq_length must be from {shortest} (the special tokens of "
                f"{contract.MOST_SEGMENTS} segments) to {self.size.positions} (the positions of "
                f"the encoder), not {self._seq_length}"
            )
        if self._ties:
            self._note_engine("not compared with the source")
        write(PreprocessorModel(preprocessor), path)

    def verify(self, path: Path, progress: Progress) -> list[Check]:
        model = tf.saved_model.load(str(path))
        checks = tokens.verify(model, self._tokenizer, types(self.size), progress, self._ties)
        if self._ties:
            self._note_engine(tokens.summary(checks))
        return [*checks, *transformers_tokens.compare(self.checkpoint, self._tokenizer)]

    def _note_engine(self, compared: str) -> None:
        self.notes[contract.ENGINE] = f"{self.settings.tokenizer_engine} engine: {compared}"

    @property
    def _ties(self) -> bool:
        return self.settings.tokenizer_engine != preprocess.EXACT

    @property
    def _seq_length(self) -> int:
        return self.settings.seq_length or min(contract.SEQ_LENGTH, self.size.positions)
