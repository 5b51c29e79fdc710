"""The source in sentence-transformers."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from hub_export.errors import SourceError
from hub_export.models.session import Session
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.module_list import MODULES
from hub_export.verify.closeness import Floats
from hub_export.verify.references.encoder import Ids
from hub_export.verify.references.loading import CONFIG, quieten
from hub_export.verify.references.modules import module_of


def has_sentence_transformers() -> bool:
    """Whether sentence-transformers is installed."""
    return importlib.util.find_spec("sentence_transformers") is not None


@contextmanager
def _loading(folder: str) -> Iterator[None]:
    """Turns whatever sentence-transformers says of a folder into a SourceError."""
    quieten()
    try:
        yield
    except Exception as error:  # of any kind: the library has no base class of its own
        raise SourceError(
            f"{folder}: sentence-transformers cannot load the model to compare with: {error}"
        ) from error


def _in_sentence_transformers(kind: str, session: Session) -> Any:
    """The checkpoint as a class of sentence-transformers loads it.

    Raises:
        SourceError: sentence-transformers refuses it.
    """
    import sentence_transformers  # noqa: PLC0415
    import torch  # noqa: PLC0415

    folder = str(session.checkpoint.folder)
    with _loading(folder):
        model = getattr(sentence_transformers, kind)(
            folder,
            device="cpu",
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"dtype": torch.float32, "attn_implementation": "eager"},
            config_kwargs=dict(CONFIG),
        )
    # Rows beyond the encoder's positions would end in an error there.
    theirs = model.max_seq_length or session.size.positions
    model.max_seq_length = min(theirs, session.size.positions)
    return model


def _static(checkpoint: Checkpoint) -> Any:
    """A static embedding there, float32; without modules.json, its modules are put together.

    Raises:
        SourceError: sentence-transformers refuses it.
    """
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415
    from sentence_transformers.sentence_transformer import modules  # noqa: PLC0415

    folder = str(checkpoint.config_file.parent)
    with _loading(folder):
        if checkpoint.config_file.name == MODULES:
            found = SentenceTransformer(folder, device="cpu", local_files_only=True)
        else:
            first = modules.StaticEmbedding.load(str(checkpoint.weights_file.parent))
            behind = [module_of(each.module) for each in checkpoint.pipeline().modules]
            found = SentenceTransformer(modules=[first, *behind], device="cpu")
        return found.float()


class SentenceReference:
    """The checkpoint in sentence-transformers, float32."""

    def __init__(self, session: Session) -> None:
        """Loads it.

        Raises:
            SourceError: sentence-transformers refuses the checkpoint.
        """
        plan, asked = session.plan, session.settings.special_tokens_in_text
        if session.checkpoint.is_static:
            self._model = _static(session.checkpoint)
            self._model.tokenizer.encode_special_tokens = asked is False
        else:
            self._model = _in_sentence_transformers("SentenceTransformer", session)
            if asked is not None:
                self._model.tokenizer.split_special_tokens = not asked
            self._model[1].pooling_mode = plan.pooling.modes if plan.pooling else ()
        if session.settings.normalize is False:
            _leave_out(self._model, "Normalize")
        self._options = {
            "prompt": plan.prompt,
            "truncate_dim": plan.cut,
            "normalize_embeddings": plan.normalizes,
        }

    @property
    def encoder(self) -> Any:
        """The model of `transformers` in it."""
        return self._model[0].auto_model

    def __call__(self, text: str) -> np.ndarray:
        """The vector of one text, float32 [D]."""
        vectors: np.ndarray = self._model.encode(
            [text], show_progress_bar=False, convert_to_numpy=True, **self._options
        )
        return vectors[0]


def _leave_out(model: Any, kind: str) -> None:
    """Takes the modules of a class out of a model."""
    for at in reversed(range(len(model))):
        if type(model[at]).__name__ == kind:
            del model[at]


class LateReference:
    """A late interaction in sentence-transformers, float32."""

    def __init__(self, session: Session) -> None:
        """Loads it.

        Raises:
            SourceError: sentence-transformers refuses the checkpoint.
        """
        self._model = _in_sentence_transformers("MultiVectorEncoder", session)
        transformer, positions = self._model[0], session.size.positions
        for name in ("query_length", "document_length"):
            setattr(transformer, name, min(getattr(transformer, name) or positions, positions))

    @property
    def encoder(self) -> Any:
        """The model of `transformers` in it."""
        return self._model[0].auto_model

    def __call__(self, side: str, text: str) -> tuple[Ids, Floats]:
        """The ids of the n tokens of a query or a document that count, and their vectors [n, D]."""
        encode = getattr(self._model, f"encode_{side}")
        found = encode(text, output_value=None, show_progress_bar=False)
        counts = found["attention_mask"].bool()
        ids, vectors = (found[name][counts].numpy() for name in ("input_ids", "token_embeddings"))
        return ids, vectors

    def score(self, query: Floats, document: Floats) -> float:
        """Of the vectors of a query and a document."""
        return float(self._model.similarity_pairwise([query], [document]))
