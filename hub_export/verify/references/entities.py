"""The pipeline of `transformers` for token classification, of logits that are there already."""

import types
import warnings
from collections.abc import Sequence

import numpy as np

from hub_export.models.session import Session
from hub_export.verify.closeness import Floats


class EntityReference:
    """What the pipeline of `transformers` makes of logits, with the tokenizer of a session."""

    def __init__(self, session: Session) -> None:
        """Takes what the pipeline asks its tokenizer and its model for; it loads neither."""
        from transformers.pipelines import token_classification  # noqa: PLC0415

        task, tokenizer = session.task, session.tokenizer
        assert task is not None
        self._strategies = token_classification.AggregationStrategy
        self._pipeline = object.__new__(token_classification.TokenClassificationPipeline)
        self._pipeline.tokenizer = types.SimpleNamespace(
            _tokenizer=tokenizer,
            unk_token_id=session.tokenization.unknown,
            convert_ids_to_tokens=tokenizer.id_to_token,
            convert_tokens_to_string=" ".join,
        )
        config = types.SimpleNamespace(id2label=dict(enumerate(task.labels)))
        self._pipeline.model = types.SimpleNamespace(config=config)

    def __call__(
        self,
        aggregation: str,
        logits: Floats,
        text: str,
        ids: Sequence[int],
        places: Sequence[tuple[int, int]],
        is_special: Sequence[int],
    ) -> list[tuple[str, int, int, float]]:
        """Label, start, end (in characters) and score of each entity of a text.

        Args:
            aggregation: one of those of the pipeline.
            logits: float32 [S, C].
            text: the text.
            ids: of its S tokens, special ones included.
            places: where each stands in the text, in characters.
            is_special: whether packing adds it.
        """
        import torch  # noqa: PLC0415

        row = {"input_ids": ids, "special_tokens_mask": is_special, "logits": logits}
        output = {name: torch.tensor(np.array(each))[None] for name, each in row.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # for each token of a tokenizer without words
            found = self._pipeline.postprocess(
                [{**output, "sentence": text, "offset_mapping": [places]}],
                aggregation_strategy=self._strategies(aggregation),
            )
        return [
            (
                each.get("entity_group", each.get("entity")),
                each["start"],
                each["end"],
                each["score"],
            )
            for each in found
        ]
