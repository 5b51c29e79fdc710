"""Every row of docs/checkpoints.md, on a tiny checkpoint of the same layout."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import transformers
from safetensors.numpy import save_file
from tokenizers import Tokenizer, pre_tokenizers

from hub_export.models.session import Session
from hub_export.settings import Settings
from hub_export.sources import find
from tests import checkpoints

PAGE = Path(__file__).parents[2] / "docs" / "checkpoints.md"
WIDTH = 24


class Row(NamedTuple):
    name: str
    model_type: str
    ending: str
    tokenizer: str
    modules: str
    task: str


def rows(columns: int) -> Iterator[list[str]]:
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [each.strip() for each in line.split("|")[1:-1]]
        if len(cells) == columns and cells[0] != "Checkpoint" and set(cells[0]) != {"-"}:
            yield cells


ROWS = [Row(*each) for each in rows(6)]


def tokenizer(kind: str) -> Tokenizer:
    if kind == "WordPiece":
        return checkpoints.wordpiece(checkpoints.PIECES)
    if kind == "Unigram":
        return checkpoints.unigram(["▁", *checkpoints.PIECES])
    assert kind == "BPE"
    return checkpoints.bpe(pre_tokenizers.ByteLevel(add_prefix_space=False))


def save(folder: Path, row: Row) -> None:
    """What the row describes, as tiny as can be."""
    made = tokenizer(row.tokenizer)
    checkpoints.save_tokenizer(folder, made)
    family = transformers.CONFIG_MAPPING[row.model_type].__name__.removesuffix("Config")
    family = family.removesuffix("Text") if row.ending.startswith("Text") else family
    options = {"vocab_size": made.get_vocab_size(), "pad_token_id": 0}
    checkpoints.save_model(folder, row.model_type, f"{family}{row.ending}", **options)
    if row.modules:
        save_modules(folder, row.modules.split(", "))


def save_modules(folder: Path, kinds: list[str]) -> None:
    """The files of sentence-transformers, in the layout of its version 2 to 5."""
    scope, (mode, *others) = "sentence_transformers.models", kinds
    listed = [("", "Transformer"), ("1_Pooling", "Pooling")]
    listed += [(f"{at}_{kind}", kind) for at, kind in enumerate(others, 2)]
    content = [
        {"idx": at, "name": str(at), "path": path, "type": f"{scope}.{kind}"}
        for at, (path, kind) in enumerate(listed)
    ]
    write(folder / "modules.json", content)
    write(folder / "sentence_bert_config.json", {"max_seq_length": 32, "do_lower_case": False})
    modes = {"cls": "cls_token", "mean": "mean_tokens", "lasttoken": "lasttoken"}
    flags = {f"pooling_mode_{each}": each == modes[mode] for each in modes.values()}
    write(folder / "1_Pooling/config.json", {"word_embedding_dimension": WIDTH, **flags})
    for path, kind in listed[2:]:
        if kind == "Dense":
            save_dense(folder / path)


def save_dense(folder: Path) -> None:
    activation = "torch.nn.modules.activation.Tanh"
    config = {"in_features": WIDTH, "out_features": WIDTH, "bias": True}
    write(folder / "config.json", {**config, "activation_function": activation})
    kernel, bias = np.eye(WIDTH, dtype=np.float32), np.zeros(WIDTH, np.float32)
    save_file({"linear.weight": kernel, "linear.bias": bias}, folder / "model.safetensors")


def write(path: Path, content: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def test_there_are_many_and_none_twice() -> None:
    names = [each.name for each in ROWS]
    assert len(names) + len([*rows(3)]) >= 50
    assert len({*names}) == len(names)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_checkpoint_of_this_layout_is_read(row: Row, tmp_path: Path) -> None:
    save(tmp_path, row)
    session = Session(find.read(str(tmp_path)), Settings(str(tmp_path)))
    encoder, _ = session.built
    assert encoder.dimensions.layers == 2
    assert (session.task.name if session.task else "") == row.task
    if row.task:
        head, _ = session.head
        assert len(head.variables) > 1
    assert session.tokenization.preprocessor(16).tokenizer.tokenize(["a bad cab"]).shape[0] == 1
    if row.modules:
        mode, *others = row.modules.split(", ")
        assert session.plan.words()["pooling"] == mode
        assert [each.kind for each in session.modules] == others


def test_other_layouts_have_tests() -> None:
    for name, _, tests in rows(3):
        [file] = re.findall(r"`(test_\w+\.py)`", tests)
        assert (Path(__file__).parent / file).is_file(), name
