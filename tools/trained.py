"""Tokenizers trained on the spot: every kind, with settings spread over a few of each."""

import functools
import itertools
import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

Make = Callable[[], Tokenizer]

_LINES, _LONGEST, _WORDS = 1500, 80, 4000
_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_CLIP = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)
_GPT_2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]

# Added tokens, in sets that go together.
_PLAIN: list[AddedToken] = []
_FLAGS = [
    AddedToken("<mask>", lstrip=True, special=True),
    AddedToken("<end>", rstrip=True, special=True),
    AddedToken("<both>", lstrip=True, rstrip=True),
    AddedToken("neo", single_word=True),
    AddedToken("neon", single_word=True, normalized=False),
    AddedToken("new york", single_word=True, lstrip=True),
]
_OVERLAPPING = [
    AddedToken("[x", normalized=False),
    AddedToken("[x]"),
    AddedToken("[x]]", normalized=False),
    AddedToken("x]y", normalized=True),
    AddedToken("ab", special=True),
    AddedToken("abab", normalized=False),
    AddedToken("日本", normalized=False),
    AddedToken("NÉO café", normalized=True),
    AddedToken("Über", normalized=False),
    AddedToken("한국", single_word=True),
]
_RUNS = [
    *(AddedToken(" " * length, normalized=False) for length in range(24, 1, -1)),
    AddedToken("|||IP_ADDRESS|||", normalized=False),
    AddedToken("<|padding|>", special=True),
    AddedToken("[MASK ]", special=True, lstrip=True),
    AddedToken("\t\t", normalized=True),
]


def recipes(corpora: Mapping[str, Sequence[str]]) -> Mapping[str, Make]:
    """Name -> tokenizer, trained where it is called.

    Args:
        corpora: name -> lines, to train on; made-up text takes the place of none.
    """
    lines = _sample(corpora)
    kinds = (_wordpiece, _unigram, _byte_bpe, _character_bpe, _wordlevel)
    return {name: make for kind in kinds for name, make in kind(lines).items()}


def _wordpiece(lines: Sequence[str]) -> Mapping[str, Make]:
    def make(prefix: str = "##", most: int = 100, **parts: Any) -> Tokenizer:
        options: dict[str, Any] = {
            "continuing_subword_prefix": prefix,
            "max_input_chars_per_word": most,
        }
        whole = Tokenizer(models.WordPiece(unk_token="[UNK]", **options))
        trainer = trainers.WordPieceTrainer(
            vocab_size=_WORDS, special_tokens=_SPECIAL, continuing_subword_prefix=prefix
        )
        whole.pre_tokenizer = parts.pop("pre", pre_tokenizers.BertPreTokenizer())
        return _finished(whole, trainer, lines, decoder=decoders.WordPiece(prefix=prefix), **parts)

    bert, sequence = normalizers.BertNormalizer, pre_tokenizers.Sequence
    return {
        "wordpiece uncased": lambda: make(normal=bert(), added=_FLAGS),
        "wordpiece cased, other prefix": lambda: make(
            "@@", 7, normal=bert(lowercase=False), added=_OVERLAPPING, cut="only_first"
        ),
        "wordpiece no clean_text, no prefix": lambda: make(
            "", 12, normal=bert(clean_text=False, strip_accents=False), added=_RUNS
        ),
        "wordpiece not Chinese, special as text": lambda: make(
            normal=bert(handle_chinese_chars=False, lowercase=False, strip_accents=True),
            added=_FLAGS,
            as_text=True,
            sides="left",
        ),
        "wordpiece MPNet": lambda: make(normal=bert(), added=_FLAGS, frame=_roberta()),
        "wordpiece NFKC, Whitespace": lambda: make(
            normal=normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]),
            pre=pre_tokenizers.Whitespace(),
            added=_OVERLAPPING,
        ),
        "wordpiece WhitespaceSplit, Digits": lambda: make(
            pre=sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Digits()]),
            added=_FLAGS,
            cut="only_second",
        ),
    }


def _unigram(lines: Sequence[str]) -> Mapping[str, Make]:
    def make(
        scheme: str = "always", split: bool = True, fallback: bool = False, **parts: Any
    ) -> Tokenizer:
        space = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=split)
        whole = Tokenizer(models.Unigram())
        trainer = trainers.UnigramTrainer(
            vocab_size=_WORDS,
            special_tokens=[*_SPECIAL, *(_BYTES if fallback else [])],
            unk_token="[UNK]",
            n_sub_iterations=1,
        )
        before = parts.pop("pre", [])
        whole.pre_tokenizer = pre_tokenizers.Sequence([*before, space]) if before else space
        decoder: Any = decoders.Metaspace(prepend_scheme=scheme, split=split)
        if fallback:
            decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
        after = _byte_pieces if fallback else None
        return _finished(whole, trainer, lines, decoder=decoder, after=after, **parts)

    n, p = normalizers, pre_tokenizers
    plain = [n.NFD(), n.StripAccents(), n.Lowercase()]
    quotes = [n.Replace("``", '"'), n.Replace("''", '"')]
    punctuation = ["isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous"]
    return {
        "unigram always": lambda: make(
            normal=n.Sequence([*quotes, n.NFKD(), n.StripAccents(), n.Lowercase()]), added=_FLAGS
        ),
        "unigram never, whole": lambda: make("never", False, normal=n.NFKC(), added=_OVERLAPPING),
        "unigram first": lambda: make("first", normal=n.NFC(), added=_FLAGS, sides="left"),
        "unigram first, whole": lambda: make("first", False, added=_RUNS, cut="only_first"),
        "unigram always, whole": lambda: make(split=False, normal=n.Sequence(plain), added=_RUNS),
        "unigram byte fallback": lambda: make(
            fallback=True, normal=n.Sequence([n.Nmt(), n.NFKC()]), added=_OVERLAPPING
        ),
        "unigram Replace, Strip": lambda: make(
            normal=n.Sequence([n.Nmt(), n.Strip(), n.Replace(Regex(" {2,}"), " ")]), added=_FLAGS
        ),
        "unigram Prepend": lambda: make(
            "never", normal=n.Sequence([n.Prepend("▁"), n.Replace(" ", "▁")]), added=_OVERLAPPING
        ),
        "unigram BertNormalizer, BertPreTokenizer": lambda: make(
            normal=n.BertNormalizer(), pre=[p.BertPreTokenizer()], added=_OVERLAPPING
        ),
        "unigram Whitespace, Digits": lambda: make(
            pre=[p.Whitespace(), p.Digits(individual_digits=True)], added=_FLAGS, as_text=True
        ),
        "unigram CharDelimiterSplit": lambda: make(
            normal=n.Strip(left=False), pre=[p.CharDelimiterSplit("-")], added=_PLAIN
        ),
        **{
            f"unigram Punctuation {behavior}": functools.partial(
                make,
                normal=n.Sequence([n.NFD(), n.Lowercase()]) if at % 2 else n.NFKD(),
                pre=[p.WhitespaceSplit(), p.Punctuation(behavior), p.Digits()],
                added=(_FLAGS, _OVERLAPPING)[at % 2],
            )
            for at, behavior in enumerate(punctuation)
        },
    }


def _byte_bpe(lines: Sequence[str]) -> Mapping[str, Make]:
    def make(pre: Any, model: Mapping[str, Any] = {}, **parts: Any) -> Tokenizer:
        whole = Tokenizer(models.BPE(**model))
        suffix = {key: model[key] for key in ("end_of_word_suffix",) if key in model}
        trainer = trainers.BpeTrainer(
            vocab_size=_WORDS,
            special_tokens=_SPECIAL,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            **suffix,
        )
        whole.pre_tokenizer = pre
        parts.setdefault("decoder", decoders.ByteLevel())
        return _finished(whole, trainer, lines, **parts)

    n, p = normalizers, pre_tokenizers
    clip = p.Sequence(
        [p.Split(Regex(_CLIP), "removed", invert=True), p.ByteLevel(add_prefix_space=False)]
    )
    clean = n.Sequence([n.NFC(), n.Replace(Regex(r"\s+"), " "), n.Lowercase()])
    return {
        "bpe GPT-2": lambda: make(p.ByteLevel(add_prefix_space=False), added=_RUNS),
        "bpe RoBERTa": lambda: make(
            p.ByteLevel(), added=_FLAGS, frame=_roberta(trim_offsets=True, add_prefix_space=True)
        ),
        "bpe RoBERTa, not trimmed": lambda: make(
            p.ByteLevel(add_prefix_space=False),
            added=_OVERLAPPING,
            frame=_roberta(trim_offsets=False, add_prefix_space=False),
            sides="left",
        ),
        "bpe no expression": lambda: make(
            p.Sequence([p.WhitespaceSplit(), p.ByteLevel(use_regex=False)]), added=_FLAGS
        ),
        "bpe split by expression": lambda: make(
            p.Sequence([p.Split(Regex(_GPT_2), "isolated"), p.ByteLevel(False, use_regex=False)]),
            {"ignore_merges": True},
            added=_OVERLAPPING,
        ),
        "bpe ModernBERT": lambda: make(
            p.ByteLevel(add_prefix_space=False), normal=n.NFC(), added=_RUNS, as_text=True
        ),
        "bpe CLIP": lambda: make(
            clip,
            {"end_of_word_suffix": "</w>", "unk_token": "[UNK]"},
            normal=clean,
            decoder=decoders.Sequence(
                [decoders.ByteLevel(), decoders.Fuse(), decoders.Replace("</w>", " ")]
            ),
            frame=_roberta(trim_offsets=True, add_prefix_space=False),
            added=_OVERLAPPING,
        ),
        "bpe digits": lambda: make(
            p.Sequence([p.Digits(individual_digits=True), p.ByteLevel(add_prefix_space=True)]),
            added=_FLAGS,
            cut="only_second",
        ),
    }


def _character_bpe(lines: Sequence[str]) -> Mapping[str, Make]:
    def make(model: Mapping[str, Any], alphabet: int = 300, **parts: Any) -> Tokenizer:
        whole = Tokenizer(models.BPE(**model))
        affixes = {
            key: value for key, value in model.items() if key.endswith(("_prefix", "_suffix"))
        }
        trainer = trainers.BpeTrainer(
            vocab_size=_WORDS,
            special_tokens=[*_SPECIAL, *(_BYTES if model.get("byte_fallback") else [])],
            limit_alphabet=alphabet,
            **affixes,
        )
        if pre := parts.pop("pre", None):
            whole.pre_tokenizer = pre
        after = _byte_pieces if model.get("byte_fallback") else None
        return _finished(whole, trainer, lines, after=after, **parts)

    n, p = normalizers, pre_tokenizers
    unknown = {"unk_token": "[UNK]"}
    bytes_ = {**unknown, "fuse_unk": True, "byte_fallback": True}
    llama = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    return {
        "bpe Llama": lambda: make(
            bytes_,
            normal=n.Sequence([n.Prepend("▁"), n.Replace(" ", "▁")]),
            pre=p.Split("▁", "merged_with_next"),
            decoder=decoders.Sequence([*llama, decoders.Strip(" ", 1, 0)]),
            added=_OVERLAPPING,
        ),
        "bpe Gemma": lambda: make(
            {**bytes_, "ignore_merges": True},
            normal=n.Replace(" ", "▁"),
            pre=p.Split(" ", "merged_with_previous"),
            decoder=decoders.Sequence(llama),
            added=_RUNS,
        ),
        "bpe Metaspace": lambda: make(
            {**unknown, "fuse_unk": True},
            normal=n.NFKC(),
            pre=p.Metaspace(),
            decoder=decoders.Metaspace(),
            added=_FLAGS,
        ),
        "bpe Metaspace first": lambda: make(
            unknown,
            pre=p.Metaspace(prepend_scheme="first"),
            decoder=decoders.Metaspace(prepend_scheme="first"),
            added=_FLAGS,
            sides="left",
        ),
        "bpe affixes": lambda: make(
            {**unknown, "end_of_word_suffix": "</w>", "continuing_subword_prefix": "##"},
            normal=n.Lowercase(),
            pre=p.Sequence([p.WhitespaceSplit(), p.Punctuation()]),
            decoder=decoders.BPEDecoder(suffix="</w>"),
            added=_OVERLAPPING,
        ),
        "bpe no unknown token": lambda: make(
            {}, normal=n.NFD(), pre=p.Whitespace(), decoder=decoders.Fuse(), added=_FLAGS
        ),
    }


def _wordlevel(lines: Sequence[str]) -> Mapping[str, Make]:
    def make(pre: Any, **parts: Any) -> Tokenizer:
        whole = Tokenizer(models.WordLevel(unk_token="[UNK]"))
        trainer = trainers.WordLevelTrainer(vocab_size=_WORDS, special_tokens=_SPECIAL)
        whole.pre_tokenizer = pre
        return _finished(whole, trainer, lines, **parts)

    n, p = normalizers, pre_tokenizers
    start = n.Replace(Regex(r"(?<!\n)^"), "▁")
    classes = p.Split(Regex(r"\p{Han}|[[:alpha:]]+|\p{S}"), "isolated")
    ends = p.Split(Regex(r"^\p{P}+|\p{P}+$"), "merged_with_next")
    return {
        "wordlevel words": lambda: make(p.Whitespace(), normal=n.Lowercase(), added=_FLAGS),
        "wordlevel characters": lambda: make(
            p.Split(Regex("."), "isolated"),
            normal=n.Sequence([start, n.Replace(" ", "▁")]),
            decoder=decoders.Fuse(),
            added=_OVERLAPPING,
        ),
        "wordlevel scripts, ends of lines": lambda: make(
            p.Sequence([p.UnicodeScripts(), classes, ends]),
            added=_FLAGS,
            as_text=True,
            sides="left",
        ),
    }


def _finished(
    whole: Tokenizer,
    trainer: Any,
    lines: Sequence[str],
    *,
    normal: Any = None,
    decoder: Any = None,
    added: Iterable[AddedToken] = (),
    frame: Callable[[Tokenizer], Any] | None = None,
    after: Callable[[Tokenizer], Tokenizer] | None = None,
    as_text: bool = False,
    cut: str = "longest_first",
    sides: str = "right",
) -> Tokenizer:
    """Trains a tokenizer, and adds what is around its model."""
    if normal is not None:
        whole.normalizer = normal
    whole.train_from_iterator(lines, trainer)
    whole = after(whole) if after else whole
    whole.decoder = decoder
    whole.add_tokens(list(added))
    whole.post_processor = (frame or _bert)(whole)
    whole.enable_truncation(512, strategy=cut, direction=sides)
    whole.enable_padding(direction=sides, pad_id=0, pad_token="[PAD]", pad_type_id=as_text)
    whole.encode_special_tokens = as_text
    return whole


def _bert(whole: Tokenizer) -> processors.PostProcessor:
    special = [(token, whole.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    return processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=special
    )


def _roberta(**options: bool) -> Callable[[Tokenizer], processors.PostProcessor]:
    def frame(whole: Tokenizer) -> processors.PostProcessor:
        ids = whole.get_vocab()
        sep, cls = ((token, ids[token]) for token in ("[SEP]", "[CLS]"))
        return processors.RobertaProcessing(sep, cls, **options)

    return frame


def _byte_pieces(whole: Tokenizer) -> Tokenizer:
    """Has bytes as pieces of the model; trainers know them as special tokens only."""
    content = json.loads(whole.to_str())
    content["model"]["byte_fallback"] = True
    content["added_tokens"] = [
        each for each in content["added_tokens"] if each["content"] not in _BYTES
    ]
    return Tokenizer.from_str(json.dumps(content))


def _sample(corpora: Mapping[str, Sequence[str]]) -> list[str]:
    """Lines of every corpus, or made-up ones."""
    each = _LINES // max(len(corpora), 1)
    taken = (lines[:: max(len(lines) // each, 1)] for lines in corpora.values())
    return [line[:_LONGEST] for line in itertools.chain(*taken)] or _made_up()


def _made_up() -> list[str]:
    """Lines of made-up words in several scripts, by a seed."""
    draw = random.Random(7)
    scripts = (
        "abcdefghijklmnopqrstuvwxyzéü",
        "абвгдежзиклмн",
        "日本語学生先何",
        "한국어학생",
        "0123456789",
    )
    words = ["".join(draw.choices(draw.choice(scripts), k=draw.randint(1, 8))) for _ in range(3000)]
    return [" ".join(draw.choices(words, k=12)) for _ in range(_LINES)]
