"""BERT's tokenizer from a list of word pieces, as `transformers` builds it."""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from hub_export.errors import SourceError

SPECIAL = {
    "unk_token": "[UNK]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


def pieces(path: Path) -> list[str]:
    """The entries of a vocabulary file, a line each.

    Raises:
        SourceError: the file is missing, or no text, or has an entry twice.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError as error:
        raise SourceError(f"{path}: no such file; a checkpoint needs one") from error
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: cannot be read as text ({error})") from error
    found = [line.rstrip() for line in (lines if lines[-1] else lines[:-1])]
    if len(set(found)) != len(found):
        raise SourceError(f"{path}: {len(found) - len(set(found))} entries stand there twice")
    return found


def is_cased(pieces: Sequence[str]) -> bool:
    """Whether a vocabulary has entries that no lower-cased text can give."""
    return any(each != each.lower() for each in pieces if not each.startswith("["))


def build(
    path: Path,
    normalizer: normalizers.Normalizer,
    recognised: Sequence[str],
    unknown: str = SPECIAL["unk_token"],
    prefix: str = "##",
) -> Tokenizer:
    """A tokenizer that puts `[CLS] a [SEP] b [SEP]` together.

    Args:
        path: the vocabulary file.
        normalizer: what is done to a text first.
        recognised: special tokens that stand for themselves where a text has them.
        unknown: the token of a word that cannot be split into pieces.
        prefix: what stands before the pieces within a word.

    Raises:
        SourceError: the file is damaged, or lacks a special token.
    """
    vocabulary = {piece: id for id, piece in enumerate(pieces(path))}
    needed = dict.fromkeys([unknown, "[PAD]", "[CLS]", "[SEP]", "[MASK]", *recognised])
    if missing := [token for token in needed if token not in vocabulary]:
        raise SourceError(f"{path}: the vocabulary has no {', '.join(missing)}")
    tokenizer = Tokenizer(
        models.WordPiece(vocabulary, unk_token=unknown, continuing_subword_prefix=prefix)
    )
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=prefix, cleanup=False)
    tokenizer.add_special_tokens(list(recognised))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(each, vocabulary[each]) for each in ("[CLS]", "[SEP]")],
    )
    return tokenizer
