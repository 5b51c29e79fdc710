"""What is written for TF Serving, read as the server reads it."""

import functools
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub
import tensorflow_text
from google.protobuf import text_format
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

import hub_export
from hub_export import ExportError, SourceError, contract, parts
from hub_export.models.product import Product
from hub_export.publish import manifest, text_ops
from hub_export.use import serving_cli
from hub_export.use.serving import configuration, warmup
from tests.conformance.task_cases import SavedTask

LENGTHS = (5, 9)
WARM = {"encoder": {"serving_default", "encoder_outputs"}}
WARM["preprocessor"] = {"serving_default", "serving_pair"}
WARM["text_embedding"] = {"serving_default", "tokens"}


@pytest.fixture(scope="module")
def models(
    tiny_export: hub_export.Export, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Part -> a copy of its folder, with two versions and warm-up requests."""
    root, copies = tmp_path_factory.mktemp("models"), {}
    for part, path in tiny_export.paths.items():
        for version in ("1", "2"):
            shutil.copytree(path, root / path.parent.name / version)
        copies[part] = root / path.parent.name
    return copies


@pytest.fixture(scope="module")
def config(models: dict[str, Path]) -> Path:
    labels = {"stable": 1, "canary": 2}
    folder = next(iter(models.values())).parent / "serving"
    return configuration.prepare(list(models.values()), folder, labels=labels, lengths=LENGTHS)


def requests(model: Path) -> list[prediction_log_pb2.PredictLog]:
    records = tf.data.TFRecordDataset(str(model / warmup.FILE))
    logs = [prediction_log_pb2.PredictionLog.FromString(each.numpy()) for each in records]
    return [log.predict_log.request for log in logs]


def assert_warm(model: Path, name: str, warm: set[str], signatures: Any) -> None:
    """There is a request for each of the signatures and lengths, and each is answered."""
    found = requests(model)
    names = [each.model_spec.signature_name for each in found]
    assert sorted(names) == sorted([*warm] * len(LENGTHS))
    for each in found:
        assert each.model_spec.name == name
        inputs = {key: tf.constant(tf.make_ndarray(each.inputs[key])) for key in each.inputs}
        outputs = signatures[each.model_spec.signature_name](**inputs)
        assert {len(value) for value in outputs.values()} == {1}
        assert len({tokens(value) for value in each.inputs.values()} & {*LENGTHS}) == 1


@pytest.mark.parametrize("part", WARM)
def test_a_warm_up_request_for_each_signature_and_length(
    models: dict[str, Path], config: Path, part: str
) -> None:
    signatures = tf.saved_model.load(str(models[part] / "2")).signatures
    assert_warm(models[part] / "2", models[part].name, WARM[part], signatures)


def test_warm_up_requests_of_tasks(task_case: SavedTask, tmp_path: Path) -> None:
    """Signatures with lists of any length for a text get none: a server could batch none."""
    model, signatures = tmp_path / "task" / "1", task_case.model.signatures
    shutil.copytree(task_case.path, model)
    warm = {
        name
        for name, signature in signatures.items()
        if contract.ROW_SPLITS not in signature.structured_outputs
    }
    assert {*warmup.write(model, "task", LENGTHS)} == warm
    assert_warm(model, "task", warm, signatures)


def tokens(tensor: Any) -> int:
    """The length of a row of ids, or of a text of single letters."""
    value = tf.make_ndarray(tensor)
    return value.shape[1] if value.ndim == 2 else len(value[0].split())


def test_models_config(models: dict[str, Path], config: Path) -> None:
    read = model_server_config_pb2.ModelServerConfig()
    text_format.Parse(config.read_text(), read)
    entries = {each.name: each for each in read.model_config_list.config}
    assert entries.keys() == {each.name for each in models.values()}
    for name, entry in entries.items():
        assert entry.base_path == f"/models/{name}"
        assert dict(entry.version_labels) == {"stable": 1, "canary": 2}
        assert list(entry.model_version_policy.specific.versions) == [1, 2]


def test_the_newest_version_is_stable(models: dict[str, Path], tmp_path: Path) -> None:
    config = configuration.prepare([models["encoder"]], tmp_path, lengths=[4])
    assert 'key: "stable"\n      value: 2' in config.read_text()
    batching = (tmp_path / configuration.BATCHING).read_text()
    assert "max_batch_size { value: 32 }" in batching


def test_the_command(
    models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [str(models["encoder"]), f"--output_dir={tmp_path}", "--lengths=4"]
    assert serving_cli.main([*flags, "--labels=live:1"]) == 0
    assert f"--model_config_file={tmp_path}/models.config" in capsys.readouterr().out
    assert serving_cli.main([*flags, "--labels=live:7"]) == 1
    assert "has the versions [1, 2], none of which is labelled" in capsys.readouterr().err
    (tmp_path / "1.old").mkdir()
    (tmp_path / "1.old" / "saved_model.pb").touch()
    assert serving_cli.main([str(tmp_path)]) == 1
    assert "expected folders of versions" in capsys.readouterr().err
    copy = tmp_path / "bert_encoder_litert"
    (copy / "1").mkdir(parents=True)
    (copy / "1" / "model.json").write_text("{}")
    page = tmp_path / "bert_report_1.html"
    page.touch()
    assert serving_cli.main([*flags, str(copy), str(page)]) == 0
    served = (tmp_path / configuration.MODELS).read_text()
    assert "litert" not in served and "report" not in served
    capsys.readouterr()
    assert serving_cli.main([str(copy), str(page), f"--output_dir={tmp_path}"]) == 1
    assert "found LiteRT copies and files alone" in capsys.readouterr().err


def test_a_length_that_the_model_has_no_positions_for(
    models: dict[str, Path], tmp_path: Path
) -> None:
    before = (models["encoder"] / "2" / warmup.FILE).read_bytes()
    with pytest.raises(ExportError, match="cannot answer a request of 400 tokens"):
        configuration.prepare([models["encoder"]], tmp_path, lengths=[400])
    assert (models["encoder"] / "2" / warmup.FILE).read_bytes() == before
    assert not (tmp_path / configuration.MODELS).exists()


def test_an_export_names_its_parts(tiny_export: hub_export.Export) -> None:
    paths = [*tiny_export.paths.values()]
    for path in paths:
        named = json.loads((path / parts.FILE).read_text())
        assert named.keys() == {each.parent.name for each in paths}
    assert [*parts.strangers(paths)] == []


class Weight(tf.Module):
    """What has a single weight, to save as a product."""

    def __init__(self, value: float) -> None:
        self.value = tf.Variable(value)

    def serving(self) -> dict[str, Any]:
        return {}


def export_weights(out: Path, **values: float) -> list[Path]:
    """Writes a part of a single weight for each name, in place of what was there."""
    for name, value in values.items():
        shutil.rmtree(out / name, ignore_errors=True)
        Product(name, name, "", functools.partial(Weight, value), dict).save(out / name / "1")
        (out / name / "1" / "assets.extra").mkdir()
    models = [out / name / "1" for name in values]
    parts.write(models)
    return models


def test_parts_of_different_exports(tmp_path: Path) -> None:
    """What an export leaves that is killed between two of its last renames."""
    first, second = export_weights(tmp_path, first=1.0, second=2.0)
    assert [*parts.strangers([first, second])] == []
    _, third = export_weights(tmp_path, first=1.5, third=3.0)
    assert [*parts.strangers([first, second, third])] == [(second, first)]
    assert [*parts.strangers([second, third])] == []
    folders = [each.parent for each in (first, second)]
    with pytest.raises(SourceError, match=r"first/1: not of the export that wrote .*second/1"):
        configuration.prepare(folders, tmp_path / "out")
    (first / parts.FILE).write_text("{")
    with pytest.raises(SourceError, match=r"parts\.json: cannot be read"):
        configuration.prepare(folders, tmp_path / "out")


@pytest.mark.parametrize("part", WARM)
def test_requirements(tiny_export: hub_export.Export, part: str) -> None:
    path = tiny_export.paths[part]
    written = json.loads((path / "assets.extra" / manifest.FILE).read_text())
    assert set(written["custom_ops"]) <= text_ops.OPS
    assert (written["custom_ops"] == []) == (part == "encoder")
    assert ("tensorflow_text" in written["oldest_versions"]) == (part != "encoder")


def test_an_operation_that_tf_serving_lacks_is_refused(tmp_path: Path) -> None:
    module = tf.Module()
    trimmer = tensorflow_text.RoundRobinTrimmer(4)
    segment = tf.RaggedTensorSpec([None, None], tf.int32)
    module.trim = tf.function(lambda a: trimmer.trim([a, a]), input_signature=[segment])
    tf.saved_model.save(module, str(tmp_path))
    with pytest.raises(ExportError, match=r"RoundRobinTrim, which tensorflow_text 2\.12"):
        manifest.requirements(tmp_path)


def test_saved_model_cli(tiny_export: hub_export.Export, tmp_path: Path) -> None:
    path = str(tiny_export.paths["preprocessor"])
    common = ["--dir", path, "--tag_set", "serve", "--signature_def", "serving_pair"]
    shown = saved_model_cli("show", *common)
    assert "inputs['text_pair'] tensor_info:\n      dtype: DT_STRING\n      shape: (-1)" in shown
    exprs = "text=['a b', 'c'];text_pair=['d', '']"
    saved_model_cli("run", *common, "--input_exprs", exprs, "--outdir", str(tmp_path))
    wanted = hub.load(path).signatures["serving_pair"](
        text=tf.constant(["a b", "c"]), text_pair=tf.constant(["d", ""])
    )
    for name, value in wanted.items():
        np.testing.assert_array_equal(np.load(tmp_path / f"{name}.npy"), value)


def saved_model_cli(*arguments: str) -> str:
    """What the command prints; in a process of its own, as it defines flags that others have."""
    program = (
        "import tensorflow_text; from tensorflow.python.tools import saved_model_cli;"
        "saved_model_cli.main()"
    )
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
