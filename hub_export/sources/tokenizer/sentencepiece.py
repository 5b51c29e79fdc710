"""Tokenizers of SentencePiece models (https://arxiv.org/abs/1808.06226), Unigram ones.

The vocabularies of ALBERT and XLM-RoBERTa as `tokenizers` has them, for the sources that
`transformers` does not read. It also makes tokens of their own of a model's user-defined symbols
(such as ALBERT's full stop), with a space behind them; this does not.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from hub_export.errors import SourceError

_UNIGRAM = 1
_KINDS = {_UNIGRAM: "Unigram", 2: "BPE", 3: "Word", 4: "Char"}
_EXPECTED = {"add_dummy_prefix": True, "remove_extra_whitespaces": True, "escape_whitespaces": True}
_QUOTES = (normalizers.Replace("``", '"'), normalizers.Replace("''", '"'))

ALBERT_SPECIAL = {
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
FAIRSEQ_SPECIAL = {
    "cls_token": "<s>",
    "pad_token": "<pad>",
    "sep_token": "</s>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
}


def albert(path: Path, before: Sequence[normalizers.Normalizer] = ()) -> Tokenizer:
    """ALBERT's tokenizer: `[CLS] a [SEP] b [SEP]`.

    Args:
        path: the model.
        before: what is done to a text before the model's own normalisation.

    Raises:
        SourceError: the file is damaged, or no such model.
    """
    proto = _read(path)
    pieces = [(each.piece, each.score) for each in proto.pieces]
    tokenizer = _unigram(pieces, proto, before, ALBERT_SPECIAL, path)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(each, tokenizer.token_to_id(each)) for each in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def uncased() -> list[normalizers.Normalizer]:
    """What ALBERT's own code does to a text first: quotes, accents, case."""
    return [*cased(), normalizers.Lowercase()]


def cased() -> list[normalizers.Normalizer]:
    """The same without case."""
    return [*_QUOTES, normalizers.NFKD(), normalizers.StripAccents()]


def xlm_roberta(path: Path) -> Tokenizer:
    """XLM-RoBERTa's tokenizer: fairseq's four tokens first, `<mask>` last; `<s> a </s></s> b </s>`.

    Raises:
        SourceError: the file is damaged, or no such model.
    """
    proto = _read(path)
    first = [(each, 0.0) for each in ("<s>", "<pad>", "</s>", "<unk>")]
    pieces = [*first, *((each.piece, each.score) for each in proto.pieces[3:]), ("<mask>", 0.0)]
    tokenizer = _unigram(pieces, proto, (), FAIRSEQ_SPECIAL, path)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[(each, tokenizer.token_to_id(each)) for each in ("<s>", "</s>")],
    )
    return tokenizer


def kind(path: Path) -> str:
    """The kind of a model, as `tokenizers` calls it; of another file, nothing.

    Raises:
        SourceError: the file is damaged.
    """
    return _KINDS[_parsed(path).trainer_spec.model_type] if path.suffix == ".model" else ""


def _unigram(
    pieces: list[tuple[str, float]],
    proto: Any,
    before: Sequence[normalizers.Normalizer],
    special: dict[str, str],
    path: Path,
) -> Tokenizer:
    known = {piece for piece, _ in pieces}
    if missing := [token for token in special.values() if token not in known]:
        raise SourceError(f"{path}: the vocabulary has no {', '.join(missing)}")
    unknown = [piece for piece, _ in pieces].index(special["unk_token"])
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=unknown, byte_fallback=False))
    charsmap = proto.normalizer_spec.precompiled_charsmap
    own = [normalizers.Precompiled(charsmap)] if charsmap else []
    tokenizer.normalizer = normalizers.Sequence([*before, *own])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    tokenizer.decoder = decoders.Metaspace()
    # A mask takes the space before it, as `transformers` has it.
    tokenizer.add_special_tokens(
        [
            AddedToken(token, lstrip=role == "mask_token", normalized=False)
            for role, token in special.items()
        ]
    )
    return tokenizer


def _parsed(path: Path) -> Any:
    from transformers.convert_slow_tokenizer import import_protobuf  # noqa: PLC0415 (slow)

    try:
        return import_protobuf().ModelProto.FromString(path.read_bytes())
    except FileNotFoundError as error:
        raise SourceError(f"{path}: no such file; a checkpoint needs one") from error
    except Exception as error:  # protobuf's implementations raise errors of their own
        raise SourceError(f"{path}: not a SentencePiece model ({error})") from error


def _read(path: Path) -> Any:
    proto = _parsed(path)
    trainer, normalizer = proto.trainer_spec, proto.normalizer_spec
    if trainer.model_type != _UNIGRAM or trainer.byte_fallback or not proto.pieces:
        raise SourceError(
            f"{path}: only SentencePiece models of type Unigram without byte_fallback are supported"
        )
    for option, value in _EXPECTED.items():
        if getattr(normalizer, option) != value:
            raise SourceError(f"{path}: {option} {not value} is not supported; only {value} is")
    return proto
