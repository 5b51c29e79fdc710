"""The config guard: no option of a source model is passed over in silence."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, ClassVar, TypeVar, get_args, get_origin, get_type_hints

from encoders.core.errors import ConfigError

# Options of `transformers` that never change what an encoder computes.
BOOKKEEPING = frozenset(
    """
    _name_or_path architectures auto_map chunk_size_feed_forward dtype finetuning_task
    function_to_apply gradient_checkpointing id2label initializer_range label2id max_length
    model_type name_or_path num_labels output_attentions output_hidden_states problem_type
    return_dict sbert_ce_default_activation_function sentence_transformers
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


_MOST_LAYERS = 10_000

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


SIZES: Mapping[str, str] = {
    "layers": "num_hidden_layers",
    "width": "hidden_size",
    "heads": "num_attention_heads",
    "vocabulary": "vocab_size",
    "positions": "max_position_embeddings",
    "types": "type_vocab_size",
    "padding": "pad_token_id",
}
"""Size -> the option that gives it."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Base of the architectures' configs: fields are *handled*, `ignored` is ignored by name.

    An integer is positive, and another number from 0 to below 1, if `at_least` says nothing else.
    Field names and defaults are those of `transformers`. A key that is neither a field, nor
    ignored, nor `fixed` at the value found, is refused: its effect on the numbers is unknown. What
    is `fixed` may be a field of the class below. A field without a default must be there.
    `renamed` lists old names of options: they are not read, but must not contradict the new ones.
    `sizes` names the attributes that sizes are taken from, where they are not those of `SIZES`.
    """

    ignored: ClassVar[Collection[str]] = ()
    fixed: ClassVar[Mapping[str, Any]] = {}
    renamed: ClassVar[Mapping[str, str]] = {}
    sizes: ClassVar[Mapping[str, str]] = {}

    @property
    def dimensions(self) -> Dimensions:
        """The sizes of the encoder; what an architecture does not have is 0."""
        names = {**SIZES, **self.sizes}
        found = {size: getattr(self, name, None) or 0 for size, name in names.items()}
        return Dimensions(**found)

    @classmethod
    def unknown(cls, source: Mapping[str, Any], handled: Collection[str] = ()) -> frozenset[str]:
        """The keys of a `config.json` mapping that are neither handled, ignored nor fixed."""
        fields = {field.name for field in dataclasses.fields(cls)}
        fixed = {*ENCODER_ONLY, *cls.fixed}
        passed = {*BOOKKEEPING, *cls.ignored, *cls.renamed, *handled}
        return frozenset(source.keys() - fields - fixed - passed)

    @classmethod
    def read(cls: type[C], source: Mapping[str, Any], handled: Collection[str] = ()) -> C:
        """Reads a `config.json` mapping.

        Args:
            source: the mapping.
            handled: keys that a head reads.

        Raises:
            ConfigError: lists every key that is unknown, or has a value that is not supported.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        hints = get_type_hints(cls)
        encoder_only = {key: ENCODER_ONLY[key] for key in ENCODER_ONLY.keys() - fields.keys()}
        fixed = {**encoder_only, **cls.fixed}
        unknown = cls.unknown(source, handled)
        needed = (key for key, each in fields.items() if each.default is dataclasses.MISSING)
        problems = [f"{key}: missing" for key in needed if key not in source]
        for key, value in source.items():
            if key in fixed:
                if value != fixed[key]:
                    problems.append(f"{key}: only {fixed[key]!r} is supported, found {value!r}")
            elif key in fields:
                least = fields[key].metadata.get("least")
                if not _fits(value, hints[key], least):
                    wanted = _named(hints[key], least)
                    problems.append(f"{key}: expected {wanted}, found {value!r}")
            elif key in unknown:
                problems.append(f"{key}: unknown option (value {value!r})")
        if problems:
            raise ConfigError("unsupported configuration:\n  " + "\n  ".join(problems))
        config = cls(**{key: value for key, value in source.items() if key in fields})
        if config.dimensions.layers > _MOST_LAYERS:
            raise ConfigError(
                f"{config.dimensions.layers} layers are beyond any encoder ({_MOST_LAYERS} at most)"
            )
        config.check()
        for old, new in cls.renamed.items():
            if source.get(old) not in (None, getattr(config, new)):
                raise ConfigError(f"{old}: {source[old]} contradicts {new}: {getattr(config, new)}")
        return config

    def check(self) -> None:
        """Raises ConfigError where fields contradict each other."""


def at_least(least: float, default: Any) -> Any:
    """A field whose numbers start at `least`, and have no upper end."""
    return dataclasses.field(default=default, metadata={"least": least})


def _fits(value: Any, hint: Any, least: float | None) -> bool:
    if hint == TokenId and least is None:
        least = 0
    if get_origin(hint) is UnionType:
        return any(_fits(value, each, least) for each in get_args(hint))
    if get_origin(hint) is list:
        (item,) = get_args(hint)
        return isinstance(value, list) and all(_fits(each, item, least) for each in value)
    if hint is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and (0 <= value < 1 if least is None else value >= least)
    if hint is int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole and value >= (1 if least is None else least)
    return isinstance(value, get_origin(hint) or hint)


def _named(hint: Any, least: float | None) -> str:
    if hint == TokenId and least is None:
        return "an id or null"
    if get_origin(hint) is UnionType:
        return " or ".join(_named(each, least) for each in get_args(hint))
    if least is None:
        numbers = {int: "a positive integer", float: "a number from 0 to below 1"}
    else:
        numbers = {int: f"an integer from {least}", float: f"a number from {least}"}
    names = {**numbers, bool: "true or false", str: "a string", NoneType: "null"}
    items = "positive integers" if get_args(hint) == (int,) else "strings"
    names |= {list: f"a list of {items}", dict: "an object"}
    return names[get_origin(hint) or hint]


def check_padding(padding: int | None, vocabulary: int) -> None:
    """Raises ConfigError unless the vocabulary has the padding id, if there is one."""
    if padding is not None and padding >= vocabulary:
        raise ConfigError(f"a pad_token_id of {padding} is not in a vocabulary of {vocabulary}")


def check_heads(width: int, heads: int) -> None:
    """Raises ConfigError unless the hidden width splits evenly over the attention heads."""
    if width % heads:
        raise ConfigError(f"a hidden width of {width} does not split over {heads} attention heads")


def check_groups(heads: int, groups: int) -> None:
    """Raises ConfigError unless the attention heads share keys and values in groups of one size."""
    if heads % groups:
        raise ConfigError(f"{heads} attention heads do not share {groups} heads of keys and values")


def check_kinds(kinds: Sequence[str], known: Sequence[str], layers: int) -> None:
    """Raises ConfigError unless there is a kind for each layer, of those that are known."""
    if not {*kinds} <= {*known} or len(kinds) != layers:
        raise ConfigError(
            f"layer_types: expected {layers} of {' and '.join(known)}, found {[*kinds]}"
        )
