"""Whatever is wrong, an export says so in one typed error, and leaves nothing behind."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import safetensors.torch
import tensorflow as tf
import torch
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

import encoders
import preprocess
from encoders.core.blocks.layers import LayerNorm
from hub_export import (
    ExportError,
    SourceError,
    TargetError,
    VerificationError,
    cli,
    export,
)
from hub_export.sources.formats import tensors
from hub_export.verify import samples
from hub_export.verify.checks import Outcome
from tests import checkpoints, unsaved

Damage = Callable[[Path], object]

ENCODER, PREPROCESSOR = ("encoder",), ("preprocessor",)
CONFIG, TOKENIZER, TOKENIZER_CONFIG = "config.json", "tokenizer.json", "tokenizer_config.json"
WEIGHTS, INDEX, WEIGHTS_BIN = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
)
WORDS = "embeddings.word_embeddings.weight"
VALUE = "encoder.layer.0.attention.self.value.weight"
SUPPORTED = ", ".join(sorted(encoders.architectures()))
ENCODER_FOLDER = "x_L-1_H-24_A-3"
OPTIONS: dict[str, Any] = {"name": "x", "verify": "none", "parts": ENCODER, "seq_length": 32}


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose path has no word of the test's name, which messages are searched for."""
    return tmp_path_factory.mktemp("place")


@pytest.fixture
def folder(tiny_bert: Path, place: Path) -> Path:
    """A checkpoint of one's own to damage."""
    return Path(shutil.copytree(tiny_bert, place / "checkpoint"))


@pytest.fixture
def out(place: Path) -> Path:
    return place / "out"


def refuse(
    model: Path | str, out: Path, error: type[ExportError], *words: str, **options: Any
) -> str:
    """Exports; it must fail with this very error, whose message has all words."""
    with pytest.raises(ExportError) as caught:
        export(model, out, **{**OPTIONS, **options})
    message = str(caught.value)
    assert caught.type is error, message
    assert [word for word in words if word not in message] == [], message
    return message


def entries(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []


def content(folder: Path) -> dict[str, bytes]:
    files = (each for each in folder.rglob("*") if each.is_file())
    return {str(each.relative_to(folder)): each.read_bytes() for each in files}


def assert_variable(variables: Iterable[tf.Variable], name: str, wanted: np.ndarray) -> None:
    (found,) = (each for each in variables if each.name == f"{name}:0")
    np.testing.assert_array_equal(found.numpy(), wanted)


# Damages: functions of the checkpoint's folder.


def both(*damages: Damage) -> Damage:
    return lambda folder: [damage(folder) for damage in damages]


def text(file: str, content: str) -> Damage:
    return lambda folder: (folder / file).write_text(content)


def without(*files: str) -> Damage:
    return lambda folder: [(folder / file).unlink() for file in files]


def change(file: str, edit: Callable[[Any], object]) -> Damage:
    """Edits a JSON file in place."""

    def damage(folder: Path) -> None:
        read = json.loads((folder / file).read_text())
        edit(read)
        (folder / file).write_text(json.dumps(read))

    return damage


def options(**changes: Any) -> Damage:
    return change(CONFIG, lambda config: config.update(changes))


def weights(edit: Callable[[dict[str, np.ndarray]], object]) -> Damage:
    def damage(folder: Path) -> None:
        read = load_file(folder / WEIGHTS)
        edit(read)
        _save(read, folder / WEIGHTS)

    return damage


def shards(edit: Callable[[dict[str, Any]], object]) -> Damage:
    """Splits the weights over two files, and edits the index."""

    def damage(folder: Path) -> None:
        read = load_file(folder / WEIGHTS)
        (folder / WEIGHTS).unlink()
        names = sorted(read)
        index = {name: f"model-{1 + (at > 9)}.safetensors" for at, name in enumerate(names)}
        for file in set(index.values()):
            _save({name: read[name] for name in names if index[name] == file}, folder / file)
        edit(index)
        (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": index}))

    return damage


def as_bin(edit: Callable[[dict[str, torch.Tensor]], object], **how: Any) -> Damage:
    """Puts the weights, edited, into a pytorch_model.bin."""

    def damage(folder: Path) -> None:
        read = {name: torch.tensor(each) for name, each in load_file(folder / WEIGHTS).items()}
        (folder / WEIGHTS).unlink()
        torch.save(edit(read) or read, folder / WEIGHTS_BIN, **how)

    return damage


def as_float8(folder: Path) -> None:
    read = {name: torch.tensor(each) for name, each in load_file(folder / WEIGHTS).items()}
    read[VALUE] = read[VALUE].to(torch.float8_e4m3fn)
    safetensors.torch.save_file(read, folder / WEIGHTS, metadata={"format": "pt"})


def _save(read: dict[str, np.ndarray], file: Path) -> None:
    save_file(read, file, metadata={"format": "pt"})


def rename_piece(token: str) -> Damage:
    """Takes a special token away; its id stays, so that the number of entries is right."""

    def edit(tokenizer: Any) -> None:
        vocabulary, added = tokenizer["model"]["vocab"], tokenizer["added_tokens"]
        vocabulary["gone"] = vocabulary.pop(token)
        tokenizer["added_tokens"] = [each for each in added if each["content"] != token]

    return change(TOKENIZER, edit)


def lengthen(tokenizer: Any) -> None:
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["more"] = max(vocabulary.values()) + 1


def panic(tokenizer: dict[str, Any]) -> None:
    """The library reads it, then loses its place in an added token."""
    start = {"type": "Replace", "pattern": {"Regex": r"\A"}, "content": "_"}
    accents = {"type": "StripAccents"}
    tokenizer["normalizer"] = {"type": "Sequence", "normalizers": [start, accents]}
    for token in tokenizer["added_tokens"]:
        token["normalized"] = True


def frame_twice(tokenizer: Any) -> None:
    processor = tokenizer["post_processor"]
    tokenizer["post_processor"] = {"type": "Sequence", "processors": [processor, processor]}


def shorten_text(folder: Path) -> None:
    (folder / TOKENIZER).unlink()
    lines = (folder / "vocab.txt").read_text().splitlines(keepends=True)
    (folder / "vocab.txt").write_text("".join(lines[:-1]))


# The command.


class Run(NamedTuple):
    code: int
    stdout: str
    stderr: str
    out: Path


def start(model: Path | str, out: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    common = [f"--model={model}", f"--output_dir={out}", "--name=x", "--seq_length=32"]
    # Where SIGINT is ignored, as in a background job, the children would ignore it too.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "hub_export", *common, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
    finally:
        signal.signal(signal.SIGINT, before)


def finish(process: subprocess.Popen[str], out: Path) -> Run:
    try:
        stdout, stderr = process.communicate(timeout=240)
    finally:
        process.kill()
    return Run(process.returncode, stdout, stderr, out)


def entered(capfd: pytest.CaptureFixture[str], model: Path | str, out: Path, *flags: str) -> Run:
    """The command, in this process."""
    common = [f"--model={model}", f"--output_dir={out}", "--name=x", "--seq_length=32"]
    code = cli.main([*common, *flags])
    return Run(code, *capfd.readouterr(), out)


def test_a_good_export_prints_report_and_paths(
    tiny_bert: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = entered(capfd, tiny_bert, out, "--verify=quick")
    assert run.code == 0, run.stderr
    for subject in ("numbers, pooled_output", "tokens, every codepoint", "offsets"):
        assert re.search(rf"^{subject} +passed +\S", run.stdout, re.MULTILINE), run.stdout
    places = {
        "encoder": ENCODER_FOLDER,
        "preprocessor": "x_preprocess",
        "text_embedding": "x_text_embedding",
    }
    assert entries(run.out) == sorted(places.values())
    for part, place in places.items():
        assert re.search(
            rf"^{part} +{re.escape(str(run.out / place / '1'))}$", run.stdout, re.MULTILINE
        )
        assert (run.out / place / "1" / "saved_model.pb").is_file()


def test_a_bad_export_says_why_in_one_line(
    folder: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options(model_type="bloom")(folder)
    run = entered(capfd, folder, out, "--quiet")
    assert (run.code, run.stdout) == (1, "")
    (line,) = run.stderr.splitlines()
    assert line.startswith("hub_export: ")
    assert f"{CONFIG}: model_type bloom is not supported; supported: {SUPPORTED}" in line
    assert entries(run.out) == []


def test_an_id_that_cannot_be_downloaded(out: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = entered(capfd, "nobody/no-such-model", out)
    assert (run.code, run.stdout) == (1, "")
    assert "Traceback" not in run.stderr
    (line,) = (each for each in run.stderr.splitlines() if each.startswith("hub_export: "))
    words = ["nobody/no-such-model", "Hugging Face hub", "HF_HUB_OFFLINE", "give a folder"]
    assert [word for word in words if word not in line] == []
    assert entries(run.out) == []


EMPTY_MODEL = {
    "type": "WordPiece",
    "unk_token": "[UNK]",
    "continuing_subword_prefix": "##",
    "max_input_chars_per_word": 100,
    "vocab": {},
}


# The checkpoint: what is wrong -> what the message names.


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        pytest.param(without(CONFIG), ["no such file"], id="missing"),
        pytest.param(text(CONFIG, "{'a': 1}"), ["cannot be read as JSON"], id="not JSON"),
        pytest.param(text(CONFIG, ""), ["cannot be read as JSON"], id="empty"),
        pytest.param(
            lambda folder: (folder / CONFIG).write_bytes(b'{"a": "\xe9"}'),
            ["cannot be read as JSON"],
            id="not UTF-8",
        ),
        pytest.param(text(CONFIG, "[1]"), ["a JSON object", "list"], id="not an object"),
        pytest.param(
            options(architectures=["a\ud800b"]),
            ["half of a character", r'["a\ud800b"]', "mend it"],
            id="surrogate",
        ),
        pytest.param(
            options(model_type="bloom"),
            ["model_type bloom", f"supported: {SUPPORTED}"],
            id="unknown model",
        ),
        pytest.param(
            options(model_type="canine"),
            ["model_type canine is not supported (it hashes characters", f"supported: {SUPPORTED}"],
            id="hashed characters",
        ),
        pytest.param(
            options(model_type="newer", auto_map={"AutoModel": "theirs.Model"}),
            ["model_type newer is not supported (its code is remote", f"supported: {SUPPORTED}"],
            id="remote code",
        ),
        pytest.param(
            change(CONFIG, lambda config: config.pop("model_type")),
            ["model_type None", f"supported: {SUPPORTED}"],
            id="no model_type",
        ),
        pytest.param(
            options(rope_parameters=3),
            ["rope_parameters: unknown option (value 3)", "--ignored_options=rope_parameters"],
            id="unknown key",
        ),
        pytest.param(
            options(position_embedding_type="relative_key"),
            ["position_embedding_type: only 'absolute'", "'relative_key'"],
            id="relative positions",
        ),
        pytest.param(
            options(is_decoder=True), ["is_decoder: only False", "found True"], id="decoder"
        ),
        pytest.param(
            options(hidden_act="snake"), ["activation 'snake'", "gelu, gelu_10"], id="activation"
        ),
        pytest.param(
            options(num_attention_heads=5), ["width of 24", "split over 5"], id="odd heads"
        ),
        pytest.param(
            options(hidden_size="24"),
            ["hidden_size: expected a positive integer", "'24'"],
            id="width as text",
        ),
        pytest.param(
            options(num_hidden_layers=0),
            ["num_hidden_layers: expected a positive integer", "found 0"],
            id="no layers",
        ),
        pytest.param(
            options(hidden_dropout_prob=1.5), ["hidden_dropout_prob", "1.5"], id="dropout over 1"
        ),
        pytest.param(
            options(rope_parameters=3, hidden_size="24", is_decoder=True),
            ["rope_parameters: ", "hidden_size: ", "is_decoder: "],
            id="several at once",
        ),
    ],
)
def test_config(folder: Path, out: Path, damage: Damage, words: list[str]) -> None:
    damage(folder)
    refuse(folder, out, SourceError, str(folder / CONFIG), *words)
    assert entries(out) == []


@pytest.mark.parametrize(
    ("damage", "file", "words"),
    [
        pytest.param(without(WEIGHTS), "", ["no weights", WEIGHTS, WEIGHTS_BIN], id="missing"),
        pytest.param(
            text(WEIGHTS, "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
            WEIGHTS,
            ["not a safetensors file", "download"],
            id="pointer",
        ),
        pytest.param(
            shards(lambda index: index.update({VALUE: "model-3.safetensors"})),
            "model-3.safetensors",
            ["no such file", f"{INDEX} lists it", "download"],
            id="missing shard",
        ),
        pytest.param(
            shards(lambda index: index.update(new="model-1.safetensors")),
            "model-1.safetensors",
            ["the index lists 1 tensors", "such as new", "download"],
            id="shard without tensor",
        ),
        pytest.param(
            shards(lambda index: index.update({VALUE: 1})), INDEX, ["weight_map"], id="index of 1"
        ),
        pytest.param(
            both(without(WEIGHTS), text(INDEX, "{}")),
            INDEX,
            ["expected a weight_map"],
            id="empty index",
        ),
        pytest.param(
            weights(lambda read: read.pop(WORDS)),
            WEIGHTS,
            ["missing (1)", f"{WORDS} (for embeddings.word.table)"],
            id="missing tensor",
        ),
        pytest.param(
            weights(lambda read: read.update({"encoder.layer.7.extra": np.zeros(3, np.float32)})),
            WEIGHTS,
            ["not part of the encoder (1)", "encoder.layer.7.extra"],
            id="extra tensor",
        ),
        pytest.param(
            weights(lambda read: read.update({WORDS: read[WORDS][1:]})),
            WEIGHTS,
            ["not as expected (1)", f"{WORDS}: expected shape [57, 24], found [56, 24]"],
            id="shape",
        ),
        pytest.param(
            weights(lambda read: read.update({VALUE: read[VALUE][1:]})),
            WEIGHTS,
            [f"{VALUE}: expected shape [24, 24], found [23, 24]"],
            id="shape of a transposed one",
        ),
        pytest.param(
            weights(lambda read: read.update({VALUE: read[VALUE].astype(np.int8)})),
            WEIGHTS,
            [f"{VALUE}: expected floating-point values, found int8"],
            id="integers",
        ),
        pytest.param(
            as_float8,
            WEIGHTS,
            [VALUE],
            id="float8",
        ),
        pytest.param(
            as_bin(lambda read: read.update({VALUE: read[VALUE].to(torch.int8)})),
            WEIGHTS_BIN,
            [f"{VALUE}: expected floating-point values, found int8"],
            id="integers in .bin",
        ),
        pytest.param(
            as_bin(lambda read: list(read.values())),
            WEIGHTS_BIN,
            ["not a file of plain tensors", "safetensors"],
            id=".bin of a list",
        ),
        pytest.param(
            as_bin(lambda read: {"model": read}),
            WEIGHTS_BIN,
            ["not a file of plain tensors", "safetensors"],
            id=".bin of a training run",
        ),
    ],
)
def test_weights(folder: Path, out: Path, damage: Damage, file: str, words: list[str]) -> None:
    damage(folder)
    refuse(folder, out, SourceError, str(folder / file), *words)
    assert entries(out) == []


@pytest.mark.parametrize("kept", [0.0, 0.0001, 0.001, 0.05, 0.5, 0.9999])
@pytest.mark.parametrize("file", [WEIGHTS, WEIGHTS_BIN])
def test_truncated_weights(folder: Path, out: Path, file: str, kept: float) -> None:
    if file == WEIGHTS_BIN:
        as_bin(lambda read: None)(folder)
    os.truncate(folder / file, int(kept * (folder / file).stat().st_size))
    refuse(folder, out, SourceError, str(folder / file), "safetensors")
    assert entries(out) == []


def test_every_wrong_tensor_is_in_one_message(folder: Path, out: Path) -> None:
    def edit(read: dict[str, np.ndarray]) -> None:
        del read[WORDS], read["encoder.layer.0.output.dense.bias"]
        read[VALUE] = read[VALUE][:, 1:]
        read["pooler.dense.bias"] = read["pooler.dense.bias"].astype(np.int64)
        read["one.more"] = np.zeros(1, np.float32)

    weights(edit)(folder)
    message = refuse(folder, out, SourceError, str(folder / WEIGHTS))
    assert message.splitlines()[1:] == [
        "missing (2):",
        f"  {WORDS} (for embeddings.word.table)",
        "  encoder.layer.0.output.dense.bias (for blocks.0.feed_forward.output.bias)",
        "not as expected (2):",
        f"  {VALUE}: expected shape [24, 24], found [24, 23]",
        "  pooler.dense.bias: expected floating-point values, found int64",
        "not part of the encoder (1):",
        "  one.more",
    ]
    assert entries(out) == []


def test_beside_the_prefix_of_a_task_model_is_free_but_inside_is_not(
    folder: Path, out: Path
) -> None:
    def edit(read: dict[str, np.ndarray]) -> None:
        for name in list(read):
            read[f"bert.{name}"] = read.pop(name)
        read["bert.inside"] = read["beside"] = np.zeros(1, np.float32)

    weights(edit)(folder)
    message = refuse(folder, out, SourceError, "not part of the encoder (1):\n  bert.inside")
    assert "beside" not in message
    assert entries(out) == []


@pytest.mark.parametrize(
    ("damage", "file", "words"),
    [
        pytest.param(
            without(TOKENIZER, "vocab.txt"), "", [TOKENIZER, "vocab.txt"], id="no tokenizer"
        ),
        pytest.param(
            lambda folder: os.truncate(folder / TOKENIZER, 500),
            TOKENIZER,
            ["cannot be read as a tokenizer"],
            id="truncated",
        ),
        pytest.param(text(TOKENIZER, "{}"), TOKENIZER, ["cannot be read"], id="empty object"),
        pytest.param(
            change(TOKENIZER, panic), TOKENIZER, ["cannot be read as a tokenizer"], id="panic"
        ),
        pytest.param(
            text(TOKENIZER_CONFIG, "{"), TOKENIZER_CONFIG, ["cannot be read as JSON"], id="config"
        ),
        pytest.param(
            change(TOKENIZER, lambda it: it.update(added_tokens=[], model=EMPTY_MODEL)),
            TOKENIZER,
            ["vocabulary"],
            id="no vocabulary",
        ),
        pytest.param(
            shorten_text,
            "vocab.txt",
            ["ends at id 55", "57 rows", "padded_embedding"],
            id="short vocab.txt",
        ),
        pytest.param(
            change(TOKENIZER, lengthen),
            TOKENIZER,
            ["ids up to 57", "only 57 rows", "another checkpoint"],
            id="long vocabulary",
        ),
        *(
            pytest.param(rename_piece(each), TOKENIZER, [repr(each)], id=f"no {each[1:-1]}")
            for each in ("[CLS]", "[SEP]", "[UNK]", "[PAD]", "[MASK]")
        ),
        pytest.param(
            change(TOKENIZER, lambda it: it.update(normalizer={"type": "ByteLevel"})),
            TOKENIZER,
            ["normalizer of type ByteLevel", "supported: BertNormalizer"],
            id="normalizer",
        ),
        pytest.param(
            change(
                TOKENIZER, lambda it: it.update(pre_tokenizer={"type": "FixedLength", "length": 5})
            ),
            TOKENIZER,
            ["pre-tokenizer of type FixedLength", "supported: BertPreTokenizer"],
            id="pre-tokenizer",
        ),
        pytest.param(
            change(TOKENIZER, frame_twice),
            TOKENIZER,
            ["TemplateProcessing, TemplateProcessing are not supported together"],
            id="post-processor",
        ),
        pytest.param(
            change(TOKENIZER_CONFIG, lambda it: it.update(padding_side="top")),
            TOKENIZER_CONFIG,
            ["padding_side", "left or right", "'top'"],
            id="padding_side",
        ),
        pytest.param(
            # transformers follows it, and then splits otherwise than tokenizer.json by itself.
            change(TOKENIZER_CONFIG, lambda it: it.update(do_lower_case=False)),
            TOKENIZER_CONFIG,
            ["do_lower_case"],
            id="case",
        ),
        pytest.param(
            # null in tokenizer.json means: as lowercase has it, which is true.
            change(TOKENIZER_CONFIG, lambda it: it.update(strip_accents=False)),
            TOKENIZER_CONFIG,
            ["strip_accents"],
            id="accents",
        ),
    ],
)
def test_tokenizer(folder: Path, out: Path, damage: Damage, file: str, words: list[str]) -> None:
    damage(folder)
    refuse(folder, out, SourceError, str(folder / file), *words, parts=PREPROCESSOR)
    assert entries(out) == []


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("/nowhere/model", ["no such folder", "config.json, weights, tokenizer"]),
        ("./nowhere", ["no such folder", "config.json, weights, tokenizer"]),
        ("~nobody-of-this-name/model", ["no such folder"]),
        (__file__, ["no such folder", "config.json, weights, tokenizer"]),
        ("three/parts/of/a/name", ["neither a folder nor a model id"]),
        ("hf://", ["neither a folder nor a model id"]),
    ],
)
def test_no_checkpoint(out: Path, model: str, words: list[str]) -> None:
    refuse(model, out, SourceError, model, *words)
    assert entries(out) == []


@pytest.mark.parametrize(
    "model", ["x" * 300, "./" + "x" * 300, "x/" * 3000], ids=["long", "relative", "deep"]
)
def test_the_name_of_no_checkpoint(out: Path, model: str) -> None:
    words = f"{len(str(Path(model)))} characters, too many for the name of a folder or a model"
    message = refuse(model, out, SourceError, words, "config.json, weights, tokenizer")
    assert len(message) < 400


def test_pickled_code_is_not_run(folder: Path, out: Path, place: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(place / "run"),)

    as_bin(lambda read: {**read, VALUE: Malicious()})(folder)
    refuse(
        folder, out, SourceError, str(folder / WEIGHTS_BIN), "not a file of plain tensors", "save"
    )
    assert entries(out) == []
    assert not (place / "run").exists()
    torch.load(folder / WEIGHTS_BIN, weights_only=False)
    assert (place / "run").exists(), "the test's code must be one that can run"


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
def test_plain_bin_weights_are_read(folder: Path, zipped: bool) -> None:
    wanted = {each.name: each.numpy() for each in checkpoints.built(folder)[0].variables}
    as_bin(lambda read: None, _use_new_zipfile_serialization=zipped)(folder)
    encoder, _ = checkpoints.built(folder)
    assert len(encoder.variables) == len(wanted)
    for each in encoder.variables:
        np.testing.assert_array_equal(each, wanted[each.name])
    assert {*unsaved.compared(folder).values()} == {Outcome.PASSED}


def test_the_index_says_which_shard_has_a_tensor(folder: Path) -> None:
    wanted = load_file(folder / WEIGHTS)[WORDS]
    shards(lambda index: None)(folder)
    first, second = (folder / f"model-{number}.safetensors" for number in (1, 2))
    assert WORDS in load_file(first)
    _save({**load_file(second), WORDS: wanted + 1}, second)
    assert_variable(checkpoints.built(folder)[0].variables, "embeddings/word/table", wanted)


# The arguments.


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"version": -1}, ["version must be 0 or more, not -1"]),
        ({"seq_length": 0}, ["seq_length must be 1 or more, not 0"]),
        ({"seq_length": 2, "parts": PREPROCESSOR}, ["seq_length", "special tokens"]),
        ({"parts": ("nope",)}, ["parts must be some of encoder, preprocessor", "nope"]),
        ({"parts": ()}, ["parts must be some of encoder, preprocessor", "none"]),
        ({"verify": "x"}, ["verify must be one of auto, full, quick, none", "not x"]),
        ({"name": "a b"}, ["name must be letters, digits and underscores", "'a b'"]),
        ({"name": "../a"}, ["name must be letters, digits and underscores", "'../a'"]),
        ({"name": ""}, ["name must be letters, digits and underscores", "''"]),
        ({"tolerance": -1.0}, ["tolerance must be 0 or more, not -1.0"]),
        (
            {"parts": ENCODER, "dimensions": 9, "pooling": ("cls",)},
            ["pooling, dimensions: only for the text_embedding"],
        ),
        (
            {"parts": ENCODER, "prompt": "x"},
            ["prompt: only for the text_embedding and the task_mo"],
        ),
        ({"ignored_options": ("hiden_act",)}, ["config.json has no hiden_act"]),
        ({"weights": "none", "ignored_options": ("x",)}, ["config.json has no x"]),
        ({"version": -1, "verify": "x"}, ["version must be", "verify must be"]),
    ],
    ids=str,
)
def test_arguments(folder: Path, out: Path, wrong: dict[str, Any], words: list[str]) -> None:
    refuse(folder, out, ExportError, *words, **wrong)
    assert entries(out) == []


# The target.


@pytest.mark.parametrize("target", ["file", "file/out", "/proc/hub_export"])
def test_a_place_that_cannot_be_written(folder: Path, place: Path, target: str) -> None:
    (place / "file").write_text("mine")
    refuse(folder, place / target, TargetError, str(place / target), "choose another folder")
    assert (place / "file").read_text() == "mine"
    assert entries(place) == ["checkpoint", "file"]


def test_a_file_in_the_way(folder: Path, out: Path) -> None:
    out.mkdir()
    (out / ENCODER_FOLDER).write_text("mine")
    refuse(folder, out, TargetError, str(out / ENCODER_FOLDER))
    assert content(out) == {ENCODER_FOLDER: b"mine"}


def test_a_name_that_is_too_long(folder: Path, out: Path) -> None:
    refuse(folder, out, TargetError, os.strerror(errno.ENAMETOOLONG), name="n" * 300)
    assert entries(out) == []


def test_a_name_with_nul(folder: Path, place: Path) -> None:
    refuse(folder, place / "a\0b", TargetError, "cannot be written", "null byte")


def test_an_older_version_stays_until_a_good_one_replaces_it(folder: Path, out: Path) -> None:
    final = export(folder, out, **OPTIONS).paths["encoder"]
    assert final == out / ENCODER_FOLDER / "1"
    (final / "assets" / "mine").write_text("of the older version only")
    older = content(out)
    refuse(folder, out, TargetError, f"{final}: exists", "another name or version", "say overwrite")
    assert content(out) == older

    weights(lambda read: read.update(kept=read.pop(WORDS)))(folder)
    refuse(folder, out, SourceError, WORDS, overwrite=True)
    assert content(out) == older

    weights(lambda read: read.update({WORDS: read.pop("kept"), VALUE: read[VALUE] + 1}))(folder)
    wanted = load_file(folder / WEIGHTS)[VALUE]
    assert export(folder, out, **OPTIONS, overwrite=True).paths == {"encoder": final}
    replaced = tf.saved_model.load(str(final)).variables
    assert_variable(replaced, "blocks/0/attention/value/kernel", wanted.T)
    assert not (final / "assets" / "mine").exists()
    assert entries(out) == [ENCODER_FOLDER]
    assert entries(final.parent) == ["1"]


def _partly_saved(error: BaseException) -> Callable[..., None]:
    def save(_: Any, path: str, **__: Any) -> None:
        Path(path, "variables").mkdir(parents=True)
        Path(path, "variables", "variables.index").write_bytes(b"half")
        raise error

    return save


def _no_space(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("owner", "attribute", "failing"),
    [
        pytest.param(
            tf.saved_model,
            "save",
            _partly_saved(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))),
            id="OSError",
        ),
        pytest.param(
            tf.saved_model,
            "save",
            _partly_saved(tf.errors.ResourceExhaustedError(None, None, os.strerror(errno.ENOSPC))),
            id="ResourceExhaustedError",
        ),
        pytest.param(Path, "write_text", _no_space, id="by the last small file"),
    ],
)
def test_a_full_target(
    folder: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    attribute: str,
    failing: Callable[..., None],
) -> None:
    monkeypatch.setattr(owner, attribute, failing)
    refuse(folder, out, TargetError, str(out), os.strerror(errno.ENOSPC))
    assert entries(out) == []


@pytest.mark.parametrize("attribute", ["save", "load"])
def test_an_interruption(
    folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch, attribute: str
) -> None:
    real, seen = getattr(tf.saved_model, attribute), []

    def interrupted(*args: Any, **kwargs: Any) -> None:
        real(*args, **kwargs)
        seen.extend(entries(out))
        raise KeyboardInterrupt

    monkeypatch.setattr(tf.saved_model, attribute, interrupted)
    with pytest.raises(KeyboardInterrupt):
        export(folder, out, **{**OPTIONS, "verify": "auto"})
    assert [name[0] for name in seen] == ["."]
    assert entries(out) == []


# What is built differs from its source.


def disagree(folder: Path, out: Path, *failed: str, **options: Any) -> None:
    message = refuse(folder, out, VerificationError, "has been removed", verify="auto", **options)
    for subject in failed:
        assert re.search(rf"^{subject} +FAILED +\S", message, re.MULTILINE), message
    assert entries(out) == []


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes one number of a tensor wrong, as it is read."""
    read = tensors.SafetensorsFiles.__getitem__

    def spoil(name: str) -> None:
        def wrong(self: tensors.SafetensorsFiles, each: str) -> np.ndarray:
            values = read(self, each)
            if each == name:
                values = values.copy()
                values.flat[values.size // 2] += 0.01
            return values

        monkeypatch.setattr(tensors.SafetensorsFiles, "__getitem__", wrong)

    return spoil


def test_one_wrong_number(folder: Path, out: Path, spoil: Callable[[str], None]) -> None:
    spoil(VALUE)
    disagree(folder, out, "numbers, encoder_outputs_0")


@pytest.mark.parametrize(
    ("name", "failed"),
    [(WORDS, "numbers, encoder_outputs_0"), ("pooler.dense.weight", "numbers, pooled_output")],
)
def test_a_wrong_number_elsewhere(
    folder: Path, spoil: Callable[[str], None], name: str, failed: str
) -> None:
    assert {*unsaved.compared(folder).values()} == {Outcome.PASSED}
    spoil(name)
    assert unsaved.compared(folder)[failed] is Outcome.FAILED


def test_a_wrong_epsilon(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declare = LayerNorm.__init__
    monkeypatch.setattr(
        LayerNorm, "__init__", lambda self, width, epsilon: declare(self, width, 1e-3)
    )
    found = unsaved.compared(folder)
    for name in ("pooled_output", "sequence_output"):
        assert found[f"numbers, {name}"] is Outcome.FAILED


def test_a_wrong_vocabulary_line(folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = preprocess.build

    def swapped(source: Tokenizer, **kwargs: Any) -> preprocess.Preprocessor:
        tokenizer = json.loads(source.to_str())
        vocabulary = tokenizer["model"]["vocab"]
        vocabulary["q"], vocabulary["z"] = vocabulary["z"], vocabulary["q"]
        return build(Tokenizer.from_str(json.dumps(tokenizer)), **kwargs)

    monkeypatch.setattr(preprocess, "build", swapped)
    # The whole comparison takes half a minute; it is the same with fewer texts.
    few = samples.Amount(step=10**6, fuzz=400, pairs=100)
    monkeypatch.setitem(samples.AMOUNTS, "auto", few)
    disagree(folder, out, "tokens, every vocabulary entry", "offsets", parts=PREPROCESSOR)


def test_a_source_that_torch_refuses(folder: Path, out: Path) -> None:
    options(layer_norm_eps=1)(folder)
    refuse(folder, out, SourceError, str(folder), "layer_norm_eps", verify="auto")
    assert entries(out) == []


def test_how_torch_runs_the_source_does_not_matter(folder: Path) -> None:
    options(return_dict=False, chunk_size_feed_forward=3)(folder)
    assert {*unsaved.compared(folder).values()} == {Outcome.PASSED}


# Commands in processes of their own.


def test_quiet_says_nothing(tiny_bert: Path, out: Path) -> None:
    run = finish(start(tiny_bert, out, "--quiet", "--verify=quick"), out)
    assert run[:3] == (0, "", "")
    assert entries(run.out) == sorted([ENCODER_FOLDER, "x_preprocess", "x_text_embedding"])


@pytest.fixture(scope="module")
def struck(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[signal.Signals, Run]:
    """Exports that got a signal when the encoder was saved and the preprocessor was not."""
    root, started = tmp_path_factory.mktemp("struck"), {}
    for sign in (signal.SIGINT, signal.SIGKILL):
        started[sign] = start(tiny_bert, root / sign.name, "--verify=none", "--quiet")
    waiting, deadline = dict(started), time.monotonic() + 120
    while waiting and time.monotonic() < deadline:
        for sign, process in list(waiting.items()):
            if any((root / sign.name).glob(".*/*/1/saved_model.pb")) or process.poll() is not None:
                process.send_signal(sign)
                del waiting[sign]
        time.sleep(0.02)
    return {sign: finish(each, root / sign.name) for sign, each in started.items()}


INTERRUPTED = (
    "hub_export: interrupted; a model that has its final name is whole, and nothing else is left"
)


def test_an_interrupted_command_leaves_nothing(struck: dict[signal.Signals, Run]) -> None:
    run = struck[signal.SIGINT]
    assert run[:2] == (1, ""), run.stderr
    assert run.stderr.splitlines()[-1] == INTERRUPTED
    assert entries(run.out) == []


def test_a_killed_command_leaves_nothing_under_a_final_name(
    struck: dict[signal.Signals, Run], folder: Path
) -> None:
    run = struck[signal.SIGKILL]
    assert run.code == -signal.SIGKILL
    (left,) = entries(run.out)
    assert left.startswith(".")
    assert content(run.out / left)
    export(folder, run.out, **OPTIONS)
    assert entries(run.out) == [ENCODER_FOLDER]
