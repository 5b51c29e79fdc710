"""Exports in C++: a small client loads them as TF Serving does, and answers as Python."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text

import hub_export
from tests.conformance.task_cases import SavedTask

TEXTS = ["a bad cab", "", "Éa \x00 ½", "[SEP] d", "x" * 300]
Tensors = dict[str, tf.Tensor]


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client, compiled against what TensorFlow's wheel has, by one of the processes."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ is not installed: the C++ client cannot be compiled")
    base = tmp_path_factory.getbasetemp()
    folder = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    program = folder / "client"
    with (folder / "client.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            build(compiler, program)
    return program


def build(compiler: str, program: Path) -> None:
    flags = [each.replace("-I", "-isystem") for each in tf.sysconfig.get_compile_flags()]
    # The client names no symbol of the first library, which registers sessions and kernels.
    libraries = ["-Wl,--no-as-needed", "-l:libtensorflow_cc.so.2", *tf.sysconfig.get_link_flags()]
    link = [*libraries, f"-Wl,-rpath,{tf.sysconfig.get_lib()}", "-o", str(program)]
    source = Path(__file__).with_name("client.cc")
    subprocess.run([compiler, *flags, str(source), *link], check=True)


@pytest.fixture(scope="module")
def known(tiny_export: hub_export.Export) -> Tensors:
    """A value for every input that a signature may have."""
    preprocessor = tf.saved_model.load(str(tiny_export.paths["preprocessor"]))
    texts = {"text": tf.constant(TEXTS), "text_pair": tf.constant(TEXTS[::-1])}
    segment = preprocessor.signatures["tokenize"](text=texts["text"])
    return {**texts, **segment, **preprocessor.signatures["serving_pair"](**texts)}


def run(
    client: Path, model: Path, requests: Mapping[str, Tensors], folder: Path
) -> dict[str, Tensors]:
    """What the client answers, signature -> output -> value."""
    for name, inputs in requests.items():
        (folder / "requests" / name).mkdir(parents=True)
        for key, tensor in inputs.items():
            proto = tf.make_tensor_proto(tensor)
            (folder / "requests" / name / key).write_bytes(proto.SerializeToString())
    operations = sorted(Path(tensorflow_text.__file__).parent.glob("python/ops/_*.so"))
    subprocess.run(
        [client, model, folder / "requests", folder / "responses", *operations], check=True
    )
    return {
        name: {file.name: read(file) for file in (folder / "responses" / name).iterdir()}
        for name in requests
    }


def read(file: Path) -> np.ndarray:
    proto = tf.make_tensor_proto(0)
    proto.ParseFromString(file.read_bytes())
    return tf.make_ndarray(proto)


def assert_same(
    client: Path, model: Path, signatures: Any, requests: Mapping[str, Tensors], folder: Path
) -> None:
    """The client answers every request as Python does."""
    found = run(client, model, requests, folder)
    assert found.keys() == signatures.keys()
    for name, inputs in requests.items():
        wanted = signatures[name](**inputs)
        assert found[name].keys() == wanted.keys()
        for key, value in wanted.items():
            if value.dtype == tf.string:
                np.testing.assert_array_equal(found[name][key], value, err_msg=key)
            else:
                np.testing.assert_allclose(found[name][key], value, rtol=0, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("part", ["encoder", "preprocessor", "text_embedding"])
def test_every_signature_answers_as_in_python(
    client: Path, tiny_export: hub_export.Export, known: Tensors, tmp_path: Path, part: str
) -> None:
    signatures = tf.saved_model.load(str(tiny_export.paths[part])).signatures
    requests = {
        name: {key: known[key] for key in signature.structured_input_signature[1]}
        for name, signature in signatures.items()
    }
    assert_same(client, tiny_export.paths[part], signatures, requests, tmp_path)


def test_every_signature_of_a_task(client: Path, task_case: SavedTask, tmp_path: Path) -> None:
    signatures, requests = task_case.model.signatures, task_case.requests()
    assert_same(client, task_case.path, signatures, requests, tmp_path)
