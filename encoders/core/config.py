"""The config guard: no option of a source model is passed over in silence."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, TypeVar, get_type_hints

from encoders.core.errors import ConfigError

# Options of `transformers` that never change what an encoder computes.
BOOKKEEPING = frozenset(
    """
    _name_or_path architectures auto_map chunk_size_feed_forward dtype finetuning_task
    gradient_checkpointing id2label initializer_range label2id model_type name_or_path num_labels
    output_attentions output_hidden_states problem_type return_dict sentence_transformers
    task_specific_params tie_word_embeddings tokenizer_class torch_dtype torchscript
    transformers_version use_bfloat16 use_cache use_return_dict
    bos_token_id cls_token_id decoder_start_token_id eos_token_id mask_token_id pad_token_id
    sep_token_id unk_token_id prefix
    """.split()
)

# Options that would change it, with the one value that the encoders compute.
ENCODER_ONLY: Mapping[str, Any] = {
    "add_cross_attention": False,
    "cross_attention_hidden_size": None,
    "is_decoder": False,
    "is_encoder_decoder": False,
    "pruned_heads": {},
    "quantization_config": None,
    "tie_encoder_decoder": False,
}


C = TypeVar("C", bound="Config")
TokenId = int | None


@dataclasses.dataclass(frozen=True)
class Dimensions:
    """The sizes that the outside of an encoder shows.

    Attributes:
        layers: L, the number of entries in `Encoded.layers`.
        width: D.
        heads: H.
        vocabulary: V, the first id that the encoder refuses.
        positions: P, the longest sequence.
        types: T, or 0 where the encoder has no type embedding.
        padding: the id that the source pads with.
    """

    layers: int
    width: int
    heads: int
    vocabulary: int
    positions: int
    types: int
    padding: int = 0


@dataclasses.dataclass(frozen=True)
class Config:
    """Base of the architectures' configs: fields are *handled*, `ignored` is ignored by name.

    Field names and defaults are those of `transformers`. A key that is neither a field, nor
    ignored, nor `fixed` at the value found, is refused: its effect on the numbers is unknown.
    """

    ignored: ClassVar[Collection[str]] = ()
    fixed: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def read(cls: type[C], source: Mapping[str, Any]) -> C:
        """Reads a `config.json` mapping.

        Raises:
            ConfigError: lists every key that is unknown, or has a value that is not supported.
        """
        fields = {field.name for field in dataclasses.fields(cls)}
        hints = get_type_hints(cls)
        fixed = {**ENCODER_ONLY, **cls.fixed}
        problems = []
        for key, value in source.items():
            if key in fields:
                if not _fits(value, hints[key]):
                    problems.append(f"{key}: expected {_named(hints[key])}, found {value!r}")
                elif hints[key] is float and not 0 <= value < 1:
                    problems.append(f"{key}: expected a number from 0 to below 1, found {value!r}")
            elif key in fixed:
                if value != fixed[key]:
                    problems.append(f"{key}: only {fixed[key]!r} is supported, found {value!r}")
            elif key not in BOOKKEEPING and key not in cls.ignored:
                problems.append(f"{key}: unknown option (value {value!r})")
        if problems:
            raise ConfigError("unsupported configuration:\n  " + "\n  ".join(problems))
        config = cls(**{key: value for key, value in source.items() if key in fields})
        config.check()
        return config

    def check(self) -> None:
        """Raises ConfigError where fields contradict each other."""


def _fits(value: object, hint: type) -> bool:
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and value > 0
    if hint == TokenId:
        return value is None or (type(value) is int and value >= 0)
    return isinstance(value, hint)


def _named(hint: type) -> str:
    named = {
        int: "a positive integer",
        float: "a number",
        bool: "true or false",
        TokenId: "an id or null",
    }
    return named.get(hint, "a string")


def check_padding(padding: int | None, vocabulary: int) -> None:
    """Raises ConfigError unless the vocabulary has the padding id, if there is one."""
    if padding is not None and padding >= vocabulary:
        raise ConfigError(f"a pad_token_id of {padding} is not in a vocabulary of {vocabulary}")


def check_heads(width: int, heads: int) -> None:
    """Raises ConfigError unless the hidden width splits evenly over the attention heads."""
    if width % heads:
        raise ConfigError(f"a hidden width of {width} does not split over {heads} attention heads")
