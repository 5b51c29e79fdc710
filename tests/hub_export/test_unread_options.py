"""Options that stop no export, because the source's own code never reads them."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import transformers

import encoders
import hub_export
from hub_export.errors import SourceError
from hub_export.models.session import Session
from hub_export.settings import Settings
from hub_export.sources import find
from hub_export.sources.unread_options import unread
from tests import checkpoints

# As they stand in public configurations: left by generation, services and older versions.
LEFT_BEHIND = {
    "_num_labels": 5,
    "output_past": True,
    "_attn_implementation_autoset": True,
    "do_sample": False,
    "num_beams": 1,
    "top_k": 50,
    "top_p": 1.0,
    "repetition_penalty": 1.0,
    "length_penalty": 1.0,
    "max_length": 20,
    "eos_token_ids": 0,
    "language": "en",
    "name": "a name",
    "sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity",
}
MODEL_TYPES = checkpoints.in_transformers()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources") / "left-behind"
    tokenizer = checkpoints.wordpiece(checkpoints.PIECES)
    checkpoints.save_model(folder, "bert", vocab_size=tokenizer.get_vocab_size())
    checkpoints.save_tokenizer(folder, tokenizer)
    return configure(folder, **LEFT_BEHIND)


def configure(folder: Path, **options: Any) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **options}))
    return folder


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_no_option_that_the_class_declares_is_unread(model_type: str) -> None:
    declared = {field.name for field in dataclasses.fields(_config_class(model_type))}
    own = declared - {field.name for field in dataclasses.fields(transformers.PreTrainedConfig)}
    assert own
    assert not unread(model_type, [*declared, *_config_class(model_type).attribute_map])


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_what_is_left_behind_stops_no_export(model_type: str) -> None:
    unknown = encoders.architectures()[model_type].config.unknown(LEFT_BEHIND)
    assert unknown >= {"_num_labels", "do_sample", "name"}
    assert unread(model_type, unknown) == unknown


def test_an_unknown_model_type_has_no_code_to_go_by() -> None:
    assert not unread("novelty", ["name"])


def test_such_options_are_named_on_the_card(source: Path, tmp_path: Path) -> None:
    done = hub_export.export(source, tmp_path, parts=["encoder"])
    assert done.report.passed
    (note,) = (each for each in done.report.source["notes"] if "never reads" in each)
    passed = {*LEFT_BEHIND} - {"max_length", "sbert_ce_default_activation_function"}
    assert {*note.rstrip(".").split(": ")[1].split(", ")} == passed
    card = done.paths["encoder"] / "assets.extra" / "README.md"
    assert " ".join(note.split()) in " ".join(card.read_text(encoding="utf-8").split())


def test_code_of_its_own_may_read_anything(source: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(source, tmp_path / "source"))
    configure(folder, auto_map={"AutoModel": "modeling.Model"})
    with pytest.raises(SourceError, match=r"do_sample: unknown(.|\n)*--ignored_options=_attn"):
        Session(find.read(str(folder), weights=False), Settings(str(folder), weights="none"))


def _config_class(model_type: str) -> Any:
    return type(transformers.AutoConfig.for_model(model_type))
