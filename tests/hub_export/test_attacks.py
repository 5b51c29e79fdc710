"""What a hostile or damaged checkpoint, or a bad call, must not do."""

import base64
import codecs
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch
from safetensors.numpy import load_file

import hub_export
from hub_export import ExportError, SourceError, cli
from hub_export.publish.staging import Staging
from hub_export.sources import find
from hub_export.sources.formats import json_files, torch_files
from hub_export.sources.tokenizer import configured, files
from hub_export.verify.checks import Outcome
from tests import checkpoints, unsaved

PAYLOAD = """
from pathlib import Path
Path({mark!r}).touch()
from transformers import BertConfig as Config, BertModel as Model, PreTrainedTokenizerFast as Own
"""


def plant(folder: Path, mark: Path) -> None:
    """Code beside a checkpoint, named by each file that can name it."""
    (folder / "payload.py").write_text(PAYLOAD.format(mark=str(mark)))
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "payload.Config", "AutoModel": "payload.Model"}
    (folder / "config.json").write_text(json.dumps(config))
    path = folder / "tokenizer_config.json"
    tokenizer = json.loads(path.read_text()) if path.exists() else {}
    tokenizer |= {"auto_map": {"AutoTokenizer": ["payload.Own", "payload.Own"]}}
    tokenizer["tokenizer_class"] = "Own"
    path.write_text(json.dumps(tokenizer))


@pytest.mark.parametrize("tokenizer", ["tokenizer.json", "vocab.txt"])
def test_no_code_of_a_checkpoint_runs(
    tiny_bert: Path,
    tmp_path: Path,
    tokenizer: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Not even where somebody would say yes to everything on the terminal."""
    folder, mark = Path(shutil.copytree(tiny_bert, tmp_path / "evil")), tmp_path / "mark"
    if tokenizer == "vocab.txt":
        (folder / "tokenizer.json").unlink()
        (folder / "vocab.txt").write_text("\n".join(checkpoints.PIECES))
    plant(folder, mark)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 20))
    cli.main(
        [
            *(f"--model={folder}", "--verify=quick", f"--output_dir={tmp_path / 'out'}"),
            *("--quiet", "--parts=encoder,preprocessor"),
        ]
    )
    printed = "".join(capfd.readouterr())
    assert not mark.exists()
    assert sys.stdin.read() == "y\n" * 20
    assert "run this custom code" not in printed
    for report in (tmp_path / "out").rglob("verification.json"):
        assert str(tmp_path) not in report.read_text()


SQUARE = tf.constant([["a"]])
CALLS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "root": ("preprocessor", lambda m: m(SQUARE)),
    "tokenize": ("preprocessor", lambda m: m.tokenize(SQUARE)),
    "offsets": ("preprocessor", lambda m: m.tokenize_with_offsets(SQUARE)),
    "detokenize": ("preprocessor", lambda m: m.detokenize(SQUARE)),
    "pack": ("preprocessor", lambda m: m.bert_pack_inputs([SQUARE])),
    "special tokens": ("preprocessor", lambda m: m.tokenize.get_special_tokens_dict(5)),
    "encoder": ("encoder", lambda m: m({"input_word_ids": SQUARE})),
    "serve": ("encoder", lambda m: m.serve({"input_word_ids": SQUARE})),
    "serve_training": ("encoder", lambda m: m.serve_training({"input_word_ids": SQUARE})),
    "text embedding": ("text_embedding", lambda m: m(SQUARE)),
    "signature": ("text_embedding", lambda m: m.signatures["serving_default"](text=SQUARE)),
}


@pytest.fixture(scope="module")
def loaded(tiny_export: hub_export.Export) -> dict[str, Any]:
    return {part: tf.saved_model.load(str(path)) for part, path in tiny_export.paths.items()}


@pytest.mark.parametrize("name", CALLS)
def test_a_bad_call_holds_no_lock(loaded: dict[str, Any], name: str) -> None:
    """The same call from another thread fails as well, instead of waiting for ever."""
    part, call = CALLS[name]
    model, failed = loaded[part], list[BaseException]()

    def bad() -> None:
        try:
            call(model)
        except Exception as error:
            failed.append(error)

    bad()
    other = threading.Thread(target=bad, daemon=True)
    other.start()
    other.join(timeout=30)
    assert not other.is_alive()
    assert len(failed) == 2


def test_a_length_beyond_any_encoder_is_refused(loaded: dict[str, Any]) -> None:
    model = loaded["preprocessor"]
    tokens = model.tokenize(["a"])
    with pytest.raises(tf.errors.InvalidArgumentError, match="seq_length must be 65536 or less"):
        model.bert_pack_inputs([tokens], seq_length=tf.constant(2**31 - 1))


def test_two_processes_write_the_same_bytes(tiny_bert: Path, tmp_path: Path) -> None:
    """Of all parts; the preprocessors pack up to two segments."""
    program = "from hub_export import cli, contract; contract.MOST_SEGMENTS = 2; cli.run()"
    for out in ("one", "other"):
        command = [sys.executable, "-c", program, f"--model={tiny_bert}", "--verify=none"]
        subprocess.run([*command, f"--output_dir={tmp_path / out}", "--quiet"], check=True)
    files = [path for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert len(files) > 15
    for path in files:
        other = tmp_path / "other" / path.relative_to(tmp_path / "one")
        assert path.read_bytes() == other.read_bytes(), path.name


JSON = {
    b"\xff\xfe{\0}\0": "save it as UTF-8",
    b'{"a": [1,': "ends too early, after 9 bytes: download it again",
    b"": "it is empty: download it again",
    b"version https://git-lfs.github.com/spec/v1": "git lfs pull",
    b"{'a': 1}": "mend it by hand",
}


@pytest.mark.parametrize("content", JSON)
def test_what_to_do_with_a_file_that_is_no_json(tiny_bert: Path, content: bytes) -> None:
    file = tiny_bert.parent / f"{len(content)}.json"
    file.write_bytes(content)
    with pytest.raises(SourceError, match=JSON[content]):
        json_files.read_json(file)


def test_a_byte_order_mark_and_an_index_without_metadata(tiny_bert: Path, tmp_path: Path) -> None:
    """transformers reads neither; what is compared with is made of the tensors then."""
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "marked"))
    wanted = {each.name: each.numpy() for each in checkpoints.built(folder)[0].variables}
    config = (folder / "config.json").read_bytes()
    (folder / "config.json").write_bytes(codecs.BOM_UTF8 + config)
    assert {*unsaved.compared(folder).values()} == {Outcome.PASSED}
    (folder / "config.json").write_bytes(config)
    names = dict.fromkeys(load_file(folder / "model.safetensors"), "model.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    (folder / "model.safetensors").rename(folder / "part.safetensors")
    names = dict.fromkeys(names, "part.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    assert {*unsaved.compared(folder).values()} == {Outcome.PASSED}
    found = {each.name: each.numpy() for each in checkpoints.built(folder)[0].variables}
    assert found.keys() == wanted.keys()
    for name, values in found.items():
        np.testing.assert_array_equal(values, wanted[name])


def test_a_named_pipe_is_not_waited_for(tiny_bert: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "piped"))
    (folder / "1_Pooling").mkdir()
    os.mkfifo(folder / "1_Pooling" / "config.json")
    with pytest.raises(SourceError, match=r"config\.json: neither a file nor a folder"):
        find.read(str(folder))


def test_code_in_a_pickle_is_refused_without_advice_to_run_it(tmp_path: Path) -> None:
    torch.save({"a": Path("x")}, tmp_path / "pytorch_model.bin")
    with pytest.raises(SourceError, match="holds something else, which could run code") as error:
        torch_files.load_bin(tmp_path / "pytorch_model.bin")
    assert "weights_only" not in str(error.value)


def test_a_damaged_charsmap_ends_in_words(tiny_bert: Path, tmp_path: Path) -> None:
    """The tokenizers library panics, which Python does not take for an Exception."""
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "mapped"))
    for charsmap in (b"", struct.pack("<II", 4, 0xFFFFFFFF) + b"a\0"):
        tokenizer = json.loads((tiny_bert / "tokenizer.json").read_text())
        coded = base64.b64encode(charsmap).decode()
        tokenizer["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": coded}
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
        with pytest.raises(SourceError, match=r"tokenizer\.json"):
            hub_export.export(folder, tmp_path / "out", parts=("preprocessor",), verify="none")


def test_exports_side_by_side_into_one_folder(tmp_path: Path) -> None:
    """None of them takes another's staging folder for one that was left."""

    def one(number: int) -> None:
        for at in range(60):
            with Staging(tmp_path, overwrite=False) as staging:
                staging.place(Path(f"model{number}_{at}", "1")).mkdir()
                staging.commit()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(8)))
    assert len(list(tmp_path.iterdir())) == 8 * 60


def test_folders_of_others_stay(tmp_path: Path) -> None:
    mine = tmp_path / ".hub_export-mine"
    mine.mkdir()
    (mine / "file").touch()
    abandoned = tmp_path / ".hub_export-abandoned"
    abandoned.mkdir()
    (abandoned / "staging_of_hub_export").touch()
    with Staging(tmp_path, overwrite=False):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [".hub_export-mine"]
    assert (mine / "file").exists()


def test_a_billion_layers_are_refused_at_once(tiny_bert: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "deep"))
    config = json.loads((folder / "config.json").read_text()) | {"num_hidden_layers": 10**9}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(SourceError, match="1000000000 layers are beyond any encoder"):
        hub_export.export(folder, tmp_path / "out")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read(tiny_bert: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "closed"))
    folder.chmod(0)
    try:
        with pytest.raises(SourceError, match="cannot be read"):
            find.read(str(folder))
    finally:
        folder.chmod(0o700)


VALUES = [None, True, -1, 10**400, 1.5, float("nan"), "", "x", "\ud800", [], [[1]], {}, {"a": 1}]
KEYS = {
    "config.json": ("model_type", "vocab_size", "hidden_act", "layer_norm_eps", "architectures"),
    "tokenizer_config.json": (
        *("tokenizer_class", "added_tokens_decoder", "additional_special_tokens"),
        *("padding_side", "truncation_side", "pad_token_type_id", "pad_token", "do_lower_case"),
        "model_max_length",
    ),
    "special_tokens_map.json": ("pad_token", "mask_token", "cls_token"),
    "tokenizer.json": ("model", "normalizer", "pre_tokenizer", "post_processor", "added_tokens"),
    "sentence_bert_config.json": ("max_seq_length", "do_lower_case"),
    "modules.json": ("0",),
}


@pytest.mark.parametrize("file", KEYS)
def test_any_value_of_any_key_is_taken_or_refused_in_words(
    tiny_bert: Path, tmp_path: Path, file: str
) -> None:
    """Never a traceback of another kind."""
    whole = json.loads((tiny_bert / file).read_text()) if (tiny_bert / file).exists() else {}
    for key in KEYS[file]:
        for at, value in enumerate(VALUES):
            folder = Path(shutil.copytree(tiny_bert, tmp_path / f"{key}{at}"))
            (folder / file).write_text(json.dumps({**whole, key: value}))
            try:
                checkpoint = find.read(str(folder))
                with find.explained(folder):
                    checkpoint.tokenizer()
                    checkpoint.pipeline()
            except ExportError as error:
                assert str(error)
            shutil.rmtree(folder)


def test_sides_where_no_file_says_any_are_those_of_the_class() -> None:
    import transformers
    from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

    left = set()
    for name in filter(None, TOKENIZER_MAPPING_NAMES.values()):
        kind = getattr(transformers, name, None)
        if getattr(kind, "padding_side", None) == "left":
            left.add(name)
    assert left == configured.PADS_LEFT


@pytest.mark.parametrize(
    ("model_type", "named", "make"),
    [
        ("mistral", "LlamaTokenizer", checkpoints.wordpiece),
        ("modernbert", "GemmaTokenizer", checkpoints.wordpiece),
        ("qwen2", "LlamaTokenizerFast", checkpoints.wordpiece),
        ("roberta", "XLNetTokenizer", checkpoints.unigram),
    ],
)
def test_padding_is_that_of_the_class_that_transformers_takes(
    tmp_path: Path, model_type: str, named: str, make: Callable[[list[str]], Any]
) -> None:
    """That of the type comes before the one that is named, of some types."""
    import transformers

    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": named}))
    make(checkpoints.PIECES).save(str(tmp_path / "tokenizer.json"))
    found = files.read(tmp_path / "tokenizer.json").padding
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert found is not None
    assert found["direction"] == theirs.padding_side
    assert found["pad_type_id"] == theirs.pad_token_type_id == 0


def test_a_type_that_is_no_name_is_no_fault_of_the_tokenizer(tmp_path: Path) -> None:
    checkpoints.wordpiece(checkpoints.PIECES).save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text('{"model_type": ["bert"]}')
    found = files.read(tmp_path / "tokenizer.json").padding
    assert found is not None
    assert found["direction"] == "right"


def test_type_ids_that_the_encoder_lacks_are_told(tiny_bert: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "typed"))
    path = folder / "tokenizer_config.json"
    options = json.loads(path.read_text()) | {
        "tokenizer_class": "XLNetTokenizer",
        "pad_token_type_id": 3,
    }
    path.write_text(json.dumps(options))
    done = hub_export.export(folder, tmp_path / "out", parts=("preprocessor",), verify="none")
    packed = tf.saved_model.load(str(done.paths["preprocessor"]))(["a"])
    assert packed["input_mask"][0, 0] == 0
    assert packed["input_mask"][0, -1] == 1
    assert "up to 3, the encoder up to 1" in done.report.notes["preprocessor"]["type_ids"]
