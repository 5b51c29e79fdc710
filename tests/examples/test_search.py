"""From texts to an index, to an answer, put in order by a cross-encoder."""

from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

import hub_export
from hub_export.use import TextModel, embed_cli
from tests import checkpoints

TEXTS = [f"{a} {b} {c}" for a in "abcde" for b in "fghij" for c in "klmno"]
QUERY = "b g m"


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cross") / "encoder"
    architecture = "BertForSequenceClassification"
    checkpoints.save_model(folder, "bert", architecture, num_hidden_layers=1, num_labels=1)
    checkpoints.save_tokenizer(folder, checkpoints.wordpiece(checkpoints.PIECES))
    done = hub_export.export(
        folder, folder.with_name("exported"), parts=["task_model"], verify="none"
    )
    return done.paths["text_classification"]


@pytest.fixture(scope="module")
def model(calm_export: hub_export.Export) -> Path:
    return calm_export.paths["text_embedding"]


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_search(model: Path, cross_encoder: Path, tmp_path: Path, dtype: str) -> None:
    search = pytest.importorskip("examples.search", reason="faiss is not installed: '.[search]'")
    lines, vectors = tmp_path / "texts.txt", tmp_path / "vectors.parquet"
    lines.write_text("\n".join(TEXTS) + "\n")
    written = [f"--model={model}", f"--input={lines}", f"--output={vectors}", "--keep=text"]
    assert embed_cli.main([*written, f"--dtype={dtype}", "--quiet"]) == 0
    asked = [QUERY, f"--model={model}", f"--vectors={vectors}", "--found=10", "--top_k=4"]
    found = search.main(asked)
    exact = TextModel(model)([QUERY, *TEXTS])["default"]
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    cosines = exact[1:] @ exact[0]
    assert found[0] == (pytest.approx(1, abs=1e-2 if dtype == "int8" else 1e-5), QUERY)
    best = np.sort(cosines)[::-1][:4]
    np.testing.assert_allclose([score for score, _ in found], best, atol=1e-2)
    if dtype == "float32":
        assert [text for _, text in found] == [TEXTS[at] for at in np.argsort(-cosines)[:4]]
        reordered = search.main([*asked, f"--cross_encoder={cross_encoder}"])
        candidates = [TEXTS[at] for at in np.argsort(-cosines)[:10]]
        scores = TextModel(cross_encoder)([QUERY] * 10, candidates)["score"]
        order = np.argsort(-scores)[:4]
        assert [text for _, text in reordered] == [candidates[at] for at in order]


def test_some_lists_find_what_is_there(model: Path, tmp_path: Path) -> None:
    """What engines write is a folder; its rows stand in the order of its files."""
    search = pytest.importorskip("examples.search", reason="faiss is not installed: '.[search]'")
    vectors = TextModel(model)(TEXTS)["default"]
    table = pyarrow.table({"text": TEXTS, "vector": [*vectors]})
    for at in (0, 60):
        pyarrow.parquet.write_table(
            table.slice(at, 60 if at == 0 else 65), tmp_path / f"{at}.parquet"
        )
    asked = [QUERY, f"--model={model}", f"--vectors={tmp_path}", "--lists=3"]
    assert search.main(asked)[0] == (pytest.approx(1, abs=1e-5), QUERY)
