"""The examples of engines: for real, on clusters of this machine."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

import hub_export
from hub_export.use import TextModel

TEXTS = [text * (1 + n % 3) for n, text in enumerate(["a bad cab ", "", "d ", "üb", "c a b "] * 40)]


@pytest.fixture(scope="module")
def model(calm_export: hub_export.Export) -> Path:
    return calm_export.paths["text_embedding"]


@pytest.fixture
def articles(tmp_path: Path) -> Path:
    """Two files of texts."""
    folder = tmp_path / "articles"
    folder.mkdir()
    table = pyarrow.table({"id": range(len(TEXTS)), "abstract": TEXTS})
    for at in (0, 100):
        pyarrow.parquet.write_table(table.slice(at, 100), folder / f"{at}.parquet")
    return folder


def flags(model: Path, articles: Path) -> list[str]:
    output = articles.with_name("vectors")
    return [f"--model={model}", f"--input={articles}", f"--output={output}", "--column=abstract"]


def require_vectors(model: Path, folder: Path) -> None:
    """Each text has its vector, once."""
    found = pyarrow.parquet.read_table(folder).sort_by("id")
    assert found.column_names == ["id", "vector"]
    assert found["id"].to_pylist() == [*range(len(TEXTS))]
    vectors = np.array(found["vector"].to_pylist(), np.float32)
    np.testing.assert_allclose(vectors, TextModel(model)(TEXTS)["default"], atol=1e-5)


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[Any]:
    """A cluster of Ray."""
    ray = pytest.importorskip("ray", reason="ray is not installed: '.[ray]'")
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

    node = {"num_cpus": 2, "object_store_memory": 100 << 20}
    cluster = Cluster(initialize_head=True, connect=True, head_node_args=node)
    cluster.add_node(**node)
    yield ray
    ray.shutdown()
    cluster.shutdown()


def test_ray(model: Path, articles: Path, two_nodes: Any) -> None:
    from examples import ray_embedding

    assert len([each for each in two_nodes.nodes() if each["Alive"]]) == 2
    ray_embedding.main([*flags(model, articles), "--workers=2", "--rows=50"])
    require_vectors(model, articles.with_name("vectors"))


@pytest.fixture
def java(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spark's; its workers run this Python."""
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", "--conf spark.ui.enabled=false pyspark-shell")
    pytest.importorskip("pyspark", reason="pyspark is not installed: '.[spark]'")
    if not shutil.which("java"):
        pytest.skip("java is not installed: apt-get install default-jre-headless")


def test_spark(java: None, model: Path, articles: Path) -> None:
    from pyspark.sql import SparkSession

    from examples import spark_embedding

    cluster = ["--master=local-cluster[2,1,1024]", "--parts=2", "--rows=50"]
    try:
        spark_embedding.main([*flags(model, articles), *cluster])
    finally:
        active = SparkSession.getActiveSession()
        if active:
            active.stop()
    require_vectors(model, articles.with_name("vectors"))
