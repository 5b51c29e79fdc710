"""What `transformers` makes of a tokenizer.json, and what the configuration adds to it."""

import json
import shutil
import string
from pathlib import Path
from typing import Any

import pytest
import transformers
from tokenizers import AddedToken, Tokenizer

import hub_export
from hub_export.errors import SourceError
from hub_export.models.session import Session
from hub_export.settings import Settings
from hub_export.sources import find
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.tokenizer import files as tokenizer_files
from hub_export.terminal import Progress
from hub_export.verify import vectors
from hub_export.verify.checks import Check, Outcome
from hub_export.verify.source import Source
from hub_export.verify.tokens import transformers_tokens
from tests import checkpoints

TEXT = "a [ent] bad [cab] cab"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tokenizer = checkpoints.wordpiece([*checkpoints.PIECES, "[cab]"])
    checkpoints.save_tokenizer(tmp_path, tokenizer)
    checkpoints.save_model(tmp_path, "bert", vocab_size=tokenizer.get_vocab_size() + 1)
    return tmp_path


def configure(folder: Path, **options: Any) -> None:
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **options}))


def compared(source: Checkpoint, tokenizer: Tokenizer) -> list[Check]:
    return transformers_tokens.compare(transformers_tokens.read(source, None), tokenizer)


def token(content: str, **flags: bool) -> dict[str, Any]:
    read = AddedToken(content, **flags)
    names = ("content", "lstrip", "rstrip", "single_word", "normalized", "special")
    return {name: getattr(read, name) for name in names}


@pytest.mark.parametrize(
    "options",
    [
        {"added_tokens_decoder": {"57": token("[cab]", special=True)}},
        {"added_tokens_decoder": {"58": token("[ent]", rstrip=True)}},
        {"additional_special_tokens": ["[ent]"]},
        {"additional_special_tokens": ["[cab]"]},
        {"extra_special_tokens": ["[ent]", {"__type": "AddedToken", **token("[cab]")}]},
        {"extra_special_tokens": {"entity_token": "[ent]"}},
        {"additional_special_tokens": ["[ent]"], "extra_special_tokens": []},
        {"split_special_tokens": True, "additional_special_tokens": ["[cab]"], "x": "[SEP]"},
    ],
    ids=str,
)
def test_tokens_that_only_the_configuration_has(folder: Path, options: dict[str, Any]) -> None:
    before = tokenizer_files.read(folder / "tokenizer.json").encode(TEXT).ids
    configure(folder, **options)
    found = tokenizer_files.read(folder / "tokenizer.json")
    wanted = transformers.AutoTokenizer.from_pretrained(folder)(TEXT)["input_ids"]
    found.no_padding()
    assert found.encode(TEXT).ids == wanted
    assert wanted != before or options.get("split_special_tokens")
    [check] = compared(find.read(str(folder)), found)
    assert check.outcome == Outcome.PASSED


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("special_tokens_map.json", {"additional_special_tokens": ["[ent]"]}),
        (
            "special_tokens_map.json",
            {"extra_special_tokens": [{"content": "[ent]", "lstrip": True}]},
        ),
        ("added_tokens.json", {"[ent]": 58}),
        ("added_tokens.json", {"[cab]": 57, "[ent]": 58}),
    ],
    ids=str,
)
def test_tokens_that_only_an_older_file_has(
    folder: Path, file: str, content: dict[str, Any]
) -> None:
    """Such a file is read where the configuration has no list of all added tokens."""
    path = folder / file
    before = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**before, **content}))
    options = json.loads((folder / "tokenizer_config.json").read_text())
    options.pop("added_tokens_decoder", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(options))
    found = tokenizer_files.read(folder / "tokenizer.json")
    found.no_padding()
    wanted = transformers.AutoTokenizer.from_pretrained(folder)(TEXT)["input_ids"]
    assert found.encode(TEXT).ids == wanted
    assert 58 in wanted
    configure(folder, added_tokens_decoder={"57": token("[cab]")})
    found = tokenizer_files.read(folder / "tokenizer.json")
    found.no_padding()
    wanted = transformers.AutoTokenizer.from_pretrained(folder)(TEXT)["input_ids"]
    assert found.encode(TEXT).ids == wanted
    assert 58 not in wanted


@pytest.mark.parametrize("says", [None, True, False])
@pytest.mark.parametrize("asked", [None, True, False])
def test_who_says_whether_special_tokens_in_a_text_are_text(
    folder: Path, says: bool | None, asked: bool | None
) -> None:
    """The user, then the checkpoint; else they are special."""
    if says is not None:
        configure(folder, split_special_tokens=says)
    settings = Settings(folder, special_tokens_in_text=asked, padded_embedding=True)
    session = Session(find.read(str(folder)), settings)
    text = asked is False if asked is not None else bool(says)
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    wanted = theirs("a [SEP] b", split_special_tokens=text)["input_ids"]
    tokenizer = session.tokenizer
    tokenizer.no_padding()
    assert tokenizer.encode("a [SEP] b").ids == wanted
    assert (wanted.count(theirs.sep_token_id) == 1) == text
    [check] = transformers_tokens.compare(
        transformers_tokens.read(session.checkpoint, asked), tokenizer
    )
    assert check.outcome == Outcome.PASSED


@pytest.mark.parametrize("model_type", ["albert", "roberta", "deberta-v2"])
def test_a_vocabulary_that_the_class_does_not_read(tmp_path: Path, model_type: str) -> None:
    """Chinese ALBERTs have a vocab.txt and no tokenizer_class: the tokens would be none."""
    checkpoints.save_model(tmp_path, model_type)
    (tmp_path / "vocab.txt").write_text("\n".join(checkpoints.PIECES))
    with pytest.raises(SourceError, match=r"vocab\.txt: .*(has no use for it|cannot be read)"):
        find.read(str(tmp_path)).tokenizer()
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    ids = find.read(str(tmp_path)).tokenizer().encode("a b").ids[:4]
    assert ids == [checkpoints.PIECES.index(each) for each in ("[CLS]", "a", "b", "[SEP]")]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("CanineTokenizer", "runs in Python, .*to export the encoder alone, say parts=encoder"),
        ("BertJapaneseTokenizer", "splits texts into words by MeCab, .*at spaces alone"),
        ("XLMTokenizer", "splits texts into words by the rules of Moses, .*say parts=encoder"),
        ("BertweetTokenizer", r"needs bpe\.codes beside it"),
    ],
)
def test_a_class_of_python_is_refused_whatever_it_needs(
    folder: Path, kind: str, words: str
) -> None:
    (folder / "tokenizer.json").unlink()
    configure(folder, tokenizer_class=kind, word_tokenizer_type="mecab")
    words = f"{kind} {words}"
    with pytest.raises(SourceError, match=rf"vocab\.txt: .*{words}"):
        find.read(str(folder)).tokenizer()


def test_a_class_that_splits_by_a_dictionary_is_refused(tmp_path: Path) -> None:
    """Whether the class is named, or that of the model; nobody is sent for packages in vain."""
    checkpoints.save_model(tmp_path, "roformer")
    (tmp_path / "vocab.txt").write_text("\n".join(checkpoints.PIECES))
    words = "RoFormerTokenizer splits texts into words by the dictionary of Jieba"
    for options in ({}, {"tokenizer_class": "RoFormerTokenizer"}):
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(options))
        with pytest.raises(SourceError, match=rf"vocab\.txt: .*{words}, .*parts=encoder"):
            find.read(str(tmp_path)).tokenizer()


def test_pieces_of_another_kind_than_the_class_makes(tmp_path: Path) -> None:
    """AlbertTokenizer makes Unigram tokenizers of any SentencePiece model."""
    checkpoints.save_model(tmp_path, "albert")
    path = tmp_path / "spiece.model"
    path.write_bytes(checkpoints.sentence_pieces())
    assert find.read(str(tmp_path)).tokenizer().encode("ka").ids
    path.write_bytes(checkpoints.sentence_pieces(model_type="bpe"))
    words = "of kind BPE, of which AlbertTokenizer .* makes a Unigram tokenizer"
    with pytest.raises(SourceError, match=rf"spiece\.model: .*{words}"):
        find.read(str(tmp_path)).tokenizer()


def test_options_without_effect_are_told(folder: Path) -> None:
    assert find.read(str(folder)).notes == ()
    configure(folder, never_split=["a"], do_basic_tokenize=False, clean_text=True)
    [basic, split] = find.read(str(folder)).notes
    assert "do_basic_tokenize False, which transformers 5 passes over" in basic
    assert "never_split ['a']" in split


def test_special_tokens_alone_are_no_vocabulary(folder: Path) -> None:
    checkpoints.save_tokenizer(folder, checkpoints.wordpiece(checkpoints.SPECIAL))
    with pytest.raises(SourceError, match=r"tokenizer\.json: the vocabulary is empty"):
        tokenizer_files.read(folder / "tokenizer.json")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"split_special_tokens": "yes"}, "split_special_tokens: expected true or false"),
        ({"extra_special_tokens": 3}, "damaged list of tokens"),
        ({"extra_special_tokens": [{"content": ["x"]}]}, "damaged list of tokens"),
        (
            {"added_tokens_decoder": {"59": token("[ent]")}},
            r"'\[ent\]' has the id 59.* it 58",
        ),
        ({"added_tokens_decoder": {"x": 3}}, "damaged list of tokens"),
        ({"additional_special_tokens": [3]}, "damaged list of tokens .expected a token, found 3"),
    ],
)
def test_lists_of_tokens_that_are_wrong(folder: Path, options: dict[str, Any], words: str) -> None:
    configure(folder, **options)
    with pytest.raises(SourceError, match=rf"tokenizer_config\.json: .*{words}"):
        tokenizer_files.read(folder / "tokenizer.json")


def test_a_class_that_is_built_anew(tmp_path: Path) -> None:
    """The export follows tokenizer.json, says where that matters, and is not refused."""
    checkpoints.save_byte_pairs(tmp_path)
    transformers.RobertaTokenizer.from_pretrained(tmp_path).save_pretrained(tmp_path)
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).unlink(missing_ok=True)
    rows = tokenizer_files.read(tmp_path / "tokenizer.json").get_vocab_size()
    checkpoints.save_model(tmp_path, "roberta", vocab_size=rows, type_vocab_size=1)
    configure(tmp_path, add_prefix_space=True)
    source = find.read(str(tmp_path))
    [check] = compared(source, source.tokenizer())
    assert check.outcome == Outcome.DIFFERS
    assert check.figures["differences"] > check.figures["compared"] / 2
    assert "the export follows tokenizer.json" in check.found
    texts = ["a", " a", " b"]
    tokenizer = source.tokenizer()
    theirs = transformers_tokens.read(source, None)
    assert transformers_tokens.alike(theirs, tokenizer, texts) == [" a", " b"]
    assert transformers_tokens.alike(theirs, tokenizer, texts[:1]) == []
    assert "transformers reads it by the rules of its class" in check.found
    configure(tmp_path, tokenizer_class="PreTrainedTokenizerFast")
    [check] = compared(source, source.tokenizer())
    assert check.outcome == Outcome.PASSED


@pytest.mark.parametrize("unknown", ["[UNK]", "<unk>"])
def test_a_class_that_is_of_another_kind(tmp_path: Path, unknown: str) -> None:
    """A Unigram tokenizer.json under a model_type whose class is WordPiece.

    Without its [UNK], transformers cannot even encode. The vectors are those of the file's ids.
    """
    pieces = [*string.ascii_lowercase, "▁", "▁ab", "bad"]
    written = checkpoints.unigram(pieces).to_str().replace("[UNK]", unknown)
    (tmp_path / "tokenizer.json").write_text(written)
    (tmp_path / "tokenizer_config.json").write_text("{}")
    rows = len(checkpoints.SPECIAL) + len(pieces)
    checkpoints.save_model(tmp_path, "bert", vocab_size=rows)
    save_mean_pooling(tmp_path)
    session = Session(find.read(str(tmp_path)), Settings(tmp_path))
    source = Source(session)
    [check] = transformers_tokens.compare(source.tokenizer, session.tokenizer)
    assert check.outcome == Outcome.DIFFERS
    assert "reads it as WordPiece, not Unigram" in check.found
    assert '"tokenizer_class": "PreTrainedTokenizerFast" in tokenizer_config.json' in check.found
    assert session.built[1].unused == {}
    assert source.sentences is not None
    [answers] = vectors.ask(source, Progress(quiet=True))
    assert answers.source == "torch, pooled in numpy"
    assert len(answers.texts) > 40
    configure(tmp_path, tokenizer_class="PreTrainedTokenizerFast")
    [check] = compared(session.checkpoint, session.tokenizer)
    assert check.outcome == Outcome.PASSED


def save_mean_pooling(folder: Path) -> None:
    """Makes a checkpoint one of sentence-transformers."""
    module = "sentence_transformers.models"
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": f"{module}.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{module}.Pooling"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    options = {"word_embedding_dimension": 24, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(options))


def test_a_class_that_cannot_be_read(folder: Path, tmp_path: Path) -> None:
    configure(folder, tokenizer_class="BertJapaneseTokenizer")
    parts = ["preprocessor"]
    done = hub_export.export(folder, tmp_path / "out", parts=parts, padded_embedding=True)
    [check] = [each for each in done.report.checks if each.subject == transformers_tokens.SUBJECT]
    assert check.outcome == Outcome.NOT_COMPARED
    assert "transformers cannot read it" in check.found


@pytest.mark.parametrize("more", [0, 3])
def test_an_encoder_alone_tells_of_another_vocabulary(tmp_path: Path, more: int) -> None:
    tokenizer, rows = checkpoints.wordpiece(checkpoints.PIECES), len(checkpoints.PIECES) + more
    checkpoints.save_tokenizer(tmp_path / "source", tokenizer)
    checkpoints.save_model(tmp_path / "source", "bert", vocab_size=rows)
    done = hub_export.export(
        tmp_path / "source", tmp_path / "out", parts=["encoder"], verify="none"
    )
    card = (done.paths["encoder"] / "assets.extra" / "README.md").read_text()
    words = f"The word embedding has {rows} rows, the vocabulary"
    assert (words in " ".join(card.split())) == bool(more)


@pytest.mark.parametrize(
    ("file", "rows", "is_refused"),
    [
        ("tokenizer.json", 60, False),
        ("tokenizer.json", 999, False),
        ("vocab.txt", 60, True),
        ("vocab.txt", 64, False),
        ("vocab.txt", 72, True),
        ("vocab.txt", 128, False),
        ("vocab.txt", 192, True),
    ],
)
def test_a_word_embedding_of_more_rows(
    tmp_path: Path, file: str, rows: int, is_refused: bool
) -> None:
    """A list of lines may end early; that of a tokenizer.json is whole."""
    checkpoints.save_tokenizer(tmp_path, checkpoints.wordpiece(checkpoints.PIECES))
    for other in {"tokenizer.json", "vocab.txt"} - {file}:
        (tmp_path / other).unlink()
    checkpoints.config("bert", vocab_size=rows).save_pretrained(tmp_path)
    read = find.read(str(tmp_path), weights=False)
    session = Session(read, Settings(tmp_path, weights="none"))
    if is_refused:
        with pytest.raises(SourceError, match=f"ends at id 56.* {rows} rows.*padded_embedding"):
            _ = session.tokenizer
    else:
        assert session.tokenizer.get_vocab_size() == len(checkpoints.PIECES)
        assert (
            f"{rows} rows, the vocabulary 57 entries" in session.tokenization.remarks["vocabulary"]
        )


@pytest.mark.parametrize("method", ["gptq", "awq", "bitsandbytes", "fp8"])
def test_quantized_weights_are_refused_in_these_words(
    method: str, tiny_bert: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "source"))
    checkpoints.changing("config.json", quantization_config={"quant_method": method})(folder)
    with pytest.raises(SourceError, match=rf"config.json: the weights are quantised \({method}\)"):
        find.read(str(folder))


def test_weights_of_older_gptq_are_refused(tiny_bert: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "source"))
    (folder / "quantize_config.json").write_text('{"bits": 4}')
    with pytest.raises(SourceError, match=r"are quantised \(gptq, by quantize_config\.json\)"):
        find.read(str(folder))
