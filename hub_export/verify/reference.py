"""The source model in torch, to compare an export's numbers with."""

import importlib.util
import types
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from encoders import (
    DenseModule,
    Dimensions,
    Encoded,
    Inside,
    LayerNormModule,
    NormalizeModule,
    VectorModule,
)
from hub_export.errors import SourceError
from hub_export.models.session import Session
from hub_export.settings import (
    FILL_MASK,
    MULTIPLE_CHOICE,
    QUESTION_ANSWERING,
    SPARSE_EMBEDDING,
    TEXT_CLASSIFICATION,
    TOKEN_CLASSIFICATION,
)
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.modules import ACTIVATIONS
from hub_export.verify.closeness import Floats

Ids = npt.NDArray[np.int32]

# How the source is run, whatever its configuration says of it.
_CONFIG = {"return_dict": True, "chunk_size_feed_forward": 0}
_EMBEDDING = "sentence_embedding"
# What loads a folder, and what loads tensors.
_ENCODERS = ("AutoModel", "MODEL_MAPPING")
_MASKED = ("AutoModelForMaskedLM", "MODEL_FOR_MASKED_LM_MAPPING")
_TASKS: Mapping[str, tuple[str, str]] = {
    TEXT_CLASSIFICATION: (
        "AutoModelForSequenceClassification",
        "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING",
    ),
    TOKEN_CLASSIFICATION: (
        "AutoModelForTokenClassification",
        "MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING",
    ),
    QUESTION_ANSWERING: (
        "AutoModelForQuestionAnswering",
        "MODEL_FOR_QUESTION_ANSWERING_MAPPING",
    ),
    MULTIPLE_CHOICE: ("AutoModelForMultipleChoice", "MODEL_FOR_MULTIPLE_CHOICE_MAPPING"),
    FILL_MASK: _MASKED,
    SPARSE_EMBEDDING: _MASKED,
}


def has_sentence_transformers() -> bool:
    """Whether sentence-transformers is installed."""
    return importlib.util.find_spec("sentence_transformers") is not None


class Reference:
    """The checkpoint's encoder in torch, float32, inference mode."""

    def __init__(self, model: Any, size: Dimensions, pooler: bool) -> None:
        """Takes it.

        Args:
            model: that of `transformers`.
            size: the encoder's sizes.
            pooler: whether the checkpoint has one; torch makes one up where it has not.
        """
        self._model, self._size, self._pooler = model.eval(), size, pooler

    @classmethod
    def load(cls, checkpoint: Checkpoint, size: Dimensions, pooler: bool) -> "Reference":
        """Loads the model of a checkpoint.

        Raises:
            SourceError: `transformers` refuses the checkpoint.
        """
        return cls(_loaded(checkpoint, pooler, *_ENCODERS), size, pooler)

    def __call__(self, word_ids: Ids, mask: Ids, type_ids: Ids) -> Encoded:
        """int32 [B, S] each -> the encoder's outputs, as numpy arrays."""
        return self.inside(word_ids, mask, type_ids).encoded

    def vectors(self, word_ids: Ids) -> Floats:
        """Those of the word embedding: int32 [B, S] -> float32 [B, S, E]."""
        import torch  # noqa: PLC0415

        with torch.inference_mode():
            found: Floats = self._model.get_input_embeddings()(torch.tensor(word_ids)).numpy()
        return found

    def inside(
        self, words: Ids | Floats, mask: Ids, type_ids: Ids, attentions: bool = False
    ) -> Inside:
        """The same with what is computed on the way, as numpy arrays.

        Args:
            words: ids, int32 [B, S], or vectors in their place, float32 [B, S, E].
            mask: int32 [B, S].
            type_ids: int32 [B, S].
            attentions: whether the weights of attention are wanted.
        """
        import torch  # noqa: PLC0415

        rows = _rows(words, mask, type_ids if self._size.types else None)
        with torch.inference_mode():
            result = self._model(**rows, output_hidden_states=True, output_attentions=attentions)
        # The first is the embeddings' output; of a layer that repeats blocks, each is there.
        embedded, *states = result.hidden_states
        repeats = len(states) // self._size.layers
        layers = [state.numpy() for state in states[repeats - 1 :: repeats]]
        pooled = result.pooler_output.numpy() if self._pooler else layers[-1][:, 0]
        weights = [each.numpy() for each in result.attentions or ()]
        return Inside(Encoded(pooled, layers[-1], layers), embedded.numpy(), weights)

    @contextmanager
    def heads_masked(self, layer: str, head_mask: Floats) -> Iterator[None]:
        """Multiplies what each head adds to the output of its attention.

        Args:
            layer: the name of the attention's output layer, with `{layer}` for its number.
            head_mask: float32 [A, H]; of A attentions, in the order in which they are computed.
        """
        import torch  # noqa: PLC0415

        from hub_export.verify.torch_adapters import modules  # noqa: PLC0415

        left = iter(torch.tensor(head_mask)[:, :, None])

        def masked(_: Any, inputs: Any) -> Any:
            heads = inputs[0].unflatten(-1, (head_mask.shape[1], -1))
            return ((heads * next(left)).flatten(-2),)

        found = modules(self._model, layer)
        hooks = [module.register_forward_pre_hook(masked) for module in found]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


class TaskReference:
    """The checkpoint's model for its task in torch, float32."""

    def __init__(self, session: Session) -> None:
        """Loads it.

        Raises:
            SourceError: `transformers` refuses the checkpoint.
        """
        task, (head, _) = session.task, session.head
        assert task is not None
        checkpoint, pooler = session.checkpoint, head.needs_pooler
        if task.form is None:
            self._model = _loaded(checkpoint, pooler, *_TASKS[task.name]).eval()
        else:
            from hub_export.verify.torch_adapters import Headed  # noqa: PLC0415

            encoder = _loaded(checkpoint, pooler, *_ENCODERS)
            self._model = Headed(encoder, task.form, checkpoint, task.name)
        self._types = session.size.types

    @property
    def encoder(self) -> Any:
        """The encoder in it."""
        return self._model.base_model

    def __call__(self, word_ids: Ids, mask: Ids, type_ids: Ids) -> Mapping[str, Floats]:
        """int32 [B, S] each -> its outputs by name, float32."""
        import torch  # noqa: PLC0415

        rows = _rows(word_ids, mask, type_ids if self._types else None)
        with torch.inference_mode():
            found = self._model(**rows)
        return {name: each.numpy() for name, each in found.items() if torch.is_tensor(each)}


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
            unk_token_id=session.unknown,
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


def _rows(words: Ids | Floats, mask: Ids, type_ids: Ids | None) -> dict[str, Any]:
    """The inputs of a model of `transformers`."""
    import torch  # noqa: PLC0415

    name = "input_ids" if words.ndim == mask.ndim else "inputs_embeds"
    named = {name: words, "attention_mask": mask, "token_type_ids": type_ids}
    return {name: torch.tensor(each) for name, each in named.items() if each is not None}


def _loaded(checkpoint: Checkpoint, pooler: bool, automatic: str, classes: str) -> Any:
    """The model of a checkpoint in `transformers`, float32.

    Args:
        checkpoint: where it is from.
        pooler: whether it has a pooler.
        automatic: what loads a folder.
        classes: the mapping of configurations to what loads tensors.

    Raises:
        SourceError: `transformers` refuses the checkpoint.
    """
    import torch  # noqa: PLC0415
    import transformers  # noqa: PLC0415

    _quieten()
    options = {"dtype": torch.float32, "attn_implementation": "eager"}
    try:
        if checkpoint.folder is None:
            return _from_tensors(checkpoint, pooler, options, getattr(transformers, classes))
        return _from_folder(checkpoint, options, getattr(transformers, automatic))
    except SourceError:
        raise
    except Exception as error:  # of any kind: the library has no base class of its own
        raise SourceError(
            f"{checkpoint.folder or checkpoint.config_file}: transformers cannot load the "
            f"model to compare with: {error}"
        ) from error


def _quieten() -> None:
    import transformers  # noqa: PLC0415

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def _from_folder(checkpoint: Checkpoint, options: Mapping[str, Any], automatic: Any) -> Any:
    return automatic.from_pretrained(
        checkpoint.folder,
        local_files_only=True,
        trust_remote_code=False,
        **_CONFIG,
        **options,
    )


def _from_tensors(
    checkpoint: Checkpoint, pooler: bool, options: Mapping[str, Any], classes: Any
) -> Any:
    """A model of `transformers` that has the checkpoint's tensors, and no others."""
    import transformers  # noqa: PLC0415

    config = transformers.AutoConfig.for_model(**{**checkpoint.config, **_CONFIG})
    tensors = checkpoint.tensors()
    model, found = classes[type(config)].from_pretrained(
        None,
        config=config,
        state_dict=_as_torch(tensors),
        output_loading_info=True,
        **options,
    )
    missing = [name for name in found["missing_keys"] if pooler or "pooler" not in name]
    if missing:
        raise SourceError(
            f"{checkpoint.weights_file}: transformers misses {len(missing)} tensors, such as "
            f"{min(missing)}"
        )
    if checkpoint.adapters is not None:
        from hub_export.verify.torch_adapters import hook_in  # noqa: PLC0415

        hook_in(model.base_model, checkpoint)
    return model


def torch_module(
    module: VectorModule, tensors: Mapping[str, np.ndarray]
) -> Callable[[Floats], Floats]:
    """A module behind the pooling as sentence-transformers computes it.

    Args:
        module: the one that is exported, for its options.
        tensors: its weights.
    """
    import torch  # noqa: PLC0415

    made = _module_of_sentence_transformers(module).eval()
    made.load_state_dict(_as_torch(tensors))

    def call(x: Floats) -> Floats:
        with torch.inference_mode():
            found: Floats = made({_EMBEDDING: torch.tensor(x)})[_EMBEDDING].numpy()
        return found

    return call


def torch_function(activation: str) -> Callable[[Floats], Floats]:
    """An activation as torch computes it."""
    import torch  # noqa: PLC0415

    classes = {name: each for each, name in ACTIVATIONS.items()}
    made = getattr(torch.nn, classes[activation])()

    def call(x: Floats) -> Floats:
        found: Floats = made(torch.tensor(x)).numpy()
        return found

    return call


def _module_of_sentence_transformers(module: VectorModule) -> Any:
    import torch  # noqa: PLC0415
    from sentence_transformers.base import modules as base  # noqa: PLC0415
    from sentence_transformers.sentence_transformer import modules as own  # noqa: PLC0415

    if isinstance(module, DenseModule):
        classes = {name: each for each, name in ACTIVATIONS.items()}
        return base.Dense(
            module.takes,
            module.outputs,
            bias=module.linear.bias is not None,
            activation_function=getattr(torch.nn, classes[module.activation_name])(),
            use_residual=module.is_residual,
        )
    if isinstance(module, LayerNormModule):
        return own.LayerNorm(module.takes)
    return base.Normalize() if isinstance(module, NormalizeModule) else own.Dropout()


def _as_torch(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    import torch  # noqa: PLC0415

    return {name: torch.tensor(np.asarray(tensors[name], np.float32)) for name in tensors}


def _in_sentence_transformers(kind: str, session: Session) -> Any:
    """The checkpoint as a class of sentence-transformers loads it.

    Raises:
        SourceError: sentence-transformers refuses it.
    """
    import sentence_transformers  # noqa: PLC0415
    import torch  # noqa: PLC0415

    _quieten()
    folder = session.checkpoint.folder
    try:
        model = getattr(sentence_transformers, kind)(
            str(folder),
            device="cpu",
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"dtype": torch.float32, "attn_implementation": "eager"},
            config_kwargs=dict(_CONFIG),
        )
    except Exception as error:  # of any kind: the library has no base class of its own
        raise SourceError(
            f"{folder}: sentence-transformers cannot load the model to compare with: {error}"
        ) from error
    # Rows beyond the encoder's positions would end in an error there.
    theirs = model.max_seq_length or session.size.positions
    model.max_seq_length = min(theirs, session.size.positions)
    return model


class SentenceReference:
    """The checkpoint in sentence-transformers, float32."""

    def __init__(self, session: Session) -> None:
        """Loads it.

        Raises:
            SourceError: sentence-transformers refuses the checkpoint.
        """
        plan = session.plan
        self._model = _in_sentence_transformers("SentenceTransformer", session)
        if (asked := session.settings.special_tokens_in_text) is not None:
            self._model.tokenizer.split_special_tokens = not asked
        self._model[1].pooling_mode = plan.pooling.modes if plan.pooling else ()
        self._options = {
            "prompt": plan.prompt,
            "truncate_dim": plan.cut,
            "normalize_embeddings": plan.cut is not None and plan.normalizes,
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
