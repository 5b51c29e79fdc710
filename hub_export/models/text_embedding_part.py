"""The text embedding as a part of an export."""

from pathlib import Path

import tensorflow as tf

from encoders import Embedder, Pooling
from hub_export import contract
from hub_export.errors import SourceError
from hub_export.models import embedding_plan, text_tokenizer
from hub_export.models.part import Part, Settings, naming, not_compared, write
from hub_export.models.text import TextEmbeddingModel
from hub_export.models.text_heads import heads
from hub_export.models.tokenizing import compiled, source_tokenizer
from hub_export.publish.report import Check
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.formats import torch_files
from hub_export.terminal import Progress
from hub_export.verify import embeddings
from hub_export.verify.composed import Source


class TextEmbeddingPart(Part):
    """Strings to vectors in one model."""

    def __init__(self, checkpoint: Checkpoint, settings: Settings) -> None:
        """Reads configuration, tokenizer and modules.

        Raises:
            SourceError: something is not supported, or the vocabulary does not fit the encoder.
            ExportError: the user asks for something that the checkpoint does not have.
        """
        super().__init__(checkpoint, settings)
        self._tokenizer = source_tokenizer(checkpoint, settings, self.size)
        try:
            self._plan = embedding_plan.plan(checkpoint, settings, self.size)
        except SourceError as error:
            raise SourceError(
                f"{error}; to leave the text embedding out, say --export=encoder,preprocessor"
            ) from error
        text_tokenizer.set_up(self._tokenizer, self._plan)
        self.notes = {contract.EMBEDDING: self._plan.words()}

    @property
    def folder(self) -> str:
        return f"{self.settings.name}_text_embedding"

    def save(self, path: Path) -> None:
        plan = self._plan
        preprocessor = compiled(
            self.checkpoint, self.settings, self.size, self._tokenizer, plan.max_length
        )
        shortest = preprocessor.packer.special_tokens(1 + plan.pairs)
        if plan.max_length < shortest:
            raise SourceError(
                f"{self.checkpoint.config_file}: rows of {plan.max_length} tokens have no room for "
                f"{shortest} special tokens"
            )
        write(TextEmbeddingModel(preprocessor, self._embedder(), plan.prompt, plan.pairs), path)

    def _embedder(self) -> Embedder:
        plan = self._plan
        with naming(self.checkpoint.weights_file):
            encoder, _ = self.build()
        self._pooler = encoder.pooler is not None
        behind = heads(plan.modules, plan.weights)
        if plan.pooling is None:
            return Embedder(encoder, None, behind)
        skipped = text_tokenizer.prompt_tokens(plan, self._tokenizer)
        return Embedder(encoder, Pooling(plan.pooling.modes, skipped), behind)

    def verify(self, path: Path, progress: Progress) -> list[Check]:
        if not torch_files.available():
            return [not_compared("vectors")]
        source = Source(self.checkpoint, self._plan, self.size, self._tokenizer, self._pooler)
        answers = embeddings.expected(source, progress)
        model = tf.saved_model.load(str(path))
        return embeddings.verify(model, answers, self.closeness, progress)
