"""Apache Beam: an export in `RunInference` and in `MLTransform`.

from apache_beam.ml.inference.base import RunInference
from hub_export.use.engines.beam import TextModelHandler

results = texts | RunInference(TextModelHandler("exported/..._text_embedding/1"))
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from apache_beam.ml.inference.base import ModelHandler, PredictionResult, RunInference
from apache_beam.ml.transforms.base import EmbeddingsManager, _TextEmbeddingHandler

from hub_export.contract import DEFAULT, ROW_SPLITS
from hub_export.errors import ExportError
from hub_export.use.corpora.answers import answers
from hub_export.use.models.portable import TextModel
from hub_export.use.models.signatures import choose, flat_outputs

_LEAST, _MOST = 128, 1024
"""Texts that the engine gives at once: of so many, those of similar length are asked together."""
Example = str | bytes | tuple[str | bytes, ...]
"""A text, or as many as the signature takes."""


class TextModelHandler(ModelHandler[Example, PredictionResult, TextModel]):
    """Asks an export about texts: a text embedding, or the model of a task that takes texts.

    A result's `inference` is the vector, float32 [D]; of other models, what `hub_predict` writes of
    a text. All threads of a process share one model.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        signature: str | None = None,
        batch_size: int = 128,
        threads: int | None = None,
        min_batch_size: int = _LEAST,
        max_batch_size: int = _MOST,
        **options: Any,
    ) -> None:
        """Loads nothing yet.

        Args:
            path: as `TextModel` has it, on the workers.
            signature: as `TextModel` has it.
            batch_size: texts that are computed together, those of similar length.
            threads: cores of a process; by default all. Where a machine has a process a core: 1.
            min_batch_size: the fewest texts that the engine gives at once.
            max_batch_size: the most.
            **options: those of `ModelHandler`, such as `large_model`: one model for all processes
                of a machine.

        Raises:
            ExportError: `batch_size` is less than one.
        """
        super().__init__(min_batch_size=min_batch_size, max_batch_size=max_batch_size, **options)
        self._model = TextModel(path, signature=signature, batch_size=batch_size, threads=threads)
        self._signature = signature

    def load_model(self) -> TextModel:
        """Loads it; raises SourceError where there is none."""
        _ = self._model.model.signatures
        return self._model

    def run_inference(
        self,
        batch: Sequence[Example],
        model: TextModel,
        inference_args: Mapping[str, Any] | None = None,
    ) -> Iterable[Any]:
        """Asks about texts; gives a PredictionResult for each."""
        return map(PredictionResult, batch, self.answered(batch, model))

    def validate_inference_args(self, inference_args: Mapping[str, Any] | None) -> None:
        """Raises ExportError where there are any: signatures take texts alone."""
        if inference_args:
            raise ExportError(f"inference_args: expected none, found {', '.join(inference_args)}")

    def get_num_bytes(self, batch: Sequence[Example]) -> int:
        """Those of the texts."""
        return sum(len(text) for each in batch for text in _texts(each))

    def get_metrics_namespace(self) -> str:
        """That of this project."""
        return "hub_export"

    def answered(self, batch: Sequence[Example], model: TextModel) -> Iterable[Any]:
        """What is said of each text."""
        outputs = model(*zip(*map(_texts, batch), strict=True))
        if outputs.keys() == {DEFAULT}:
            return outputs[DEFAULT]
        names = [name for name in outputs if name != ROW_SPLITS]
        return answers(outputs, names, _flat(model, self._signature, len(_texts(batch[0]))))


class TextEmbeddings(EmbeddingsManager):
    """Columns of texts become their vectors, lists of D numbers, in `MLTransform`.

    MLTransform(write_artifact_location=...).with_transform(TextEmbeddings(path, columns=["text"]))
    """

    def __init__(self, path: str | Path, *, threads: int | None = None, **options: Any) -> None:
        """Loads nothing yet.

        Args:
            path: of a text embedding, as `TextModel` has it, on the workers.
            threads: as `TextModelHandler` has it.
            **options: those of `EmbeddingsManager`, such as `columns`, `min_batch_size`,
                `large_model`.
        """
        super().__init__(**options)
        self._path, self._threads = str(path), threads

    def get_model_handler(self) -> "TextModelHandler":
        """What embeds."""
        return _Vectors(
            self._path,
            threads=self._threads,
            min_batch_size=self.min_batch_size or _LEAST,
            max_batch_size=self.max_batch_size or _MOST,
            large_model=self.large_model,
        )

    def get_ptransform_for_processing(self, **_: Any) -> RunInference:
        """What MLTransform applies."""
        return RunInference(
            model_handler=_TextEmbeddingHandler(self), inference_args=self.inference_args
        )


class _Vectors(TextModelHandler):
    """Gives vectors by themselves, as an EmbeddingsManager's handler does."""

    def run_inference(
        self,
        batch: Sequence[Example],
        model: TextModel,
        inference_args: Mapping[str, Any] | None = None,
    ) -> Iterable[Any]:
        return [found.tolist() for found in self.answered(batch, model)]


def _texts(example: Example) -> tuple[str | bytes, ...]:
    return example if isinstance(example, tuple) else (example,)


@functools.lru_cache
def _flat(model: TextModel, signature: str | None, count: int) -> list[str]:
    return flat_outputs(model.model, choose(model.model, signature, count, ()))
