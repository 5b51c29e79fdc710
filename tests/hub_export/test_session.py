"""What the products of an export have in common is made once."""

import collections
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Pooling, Transformer

import encoders
import hub_export
import preprocess
from hub_export.sources import find, huggingface
from preprocess.source import codepoints
from preprocess.text import text


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> collections.Counter[str]:
    """How often each shared thing is made."""
    counter: collections.Counter[str] = collections.Counter()
    places: dict[str, tuple[Any, str]] = {
        "checkpoint": (find, "read"),
        "tokenizer": (huggingface.tokenizer_files, "read"),
        "compiled tokenizer": (preprocess.Tokenizer, "__init__"),
        "traced tokenizer": (preprocess.Tokenizer, "tokenize"),
        "encoder": (encoders.Encoder, "__init__"),
        "tensors": (encoders.Architecture, "fill"),
        "reference model": (transformers.BertModel, "__init__"),
        "tokenizer of transformers": (transformers.AutoTokenizer, "from_pretrained"),
    }

    def count(name: str, owner: Any, attribute: str) -> None:
        real = getattr(owner, attribute)

        def counted(*arguments: Any, **options: Any) -> Any:
            counter[name] += 1
            return real(*arguments, **options)

        monkeypatch.setattr(owner, attribute, counted)

    for name, (owner, attribute) in places.items():
        count(name, owner, attribute)
    return counter


@pytest.fixture(params=["with modules", "without modules"])
def source(request: pytest.FixtureRequest, tiny_bert: Path, tmp_path: Path) -> Path:
    if request.param == "without modules":
        return tiny_bert
    transformer = Transformer(str(tiny_bert))
    SentenceTransformer(modules=[transformer, Pooling(24)]).save(str(tmp_path / "tiny_bert"))
    return tmp_path / "tiny_bert"


def test_each_is_made_once(source: Path, tmp_path: Path, made: collections.Counter[str]) -> None:
    made.clear()
    done = hub_export.export(source, tmp_path / "out", verify="full")
    assert set(done.paths) == {"encoder", "preprocessor", "text_embedding"}
    assert done.report.passed
    assert isinstance(find.read(str(source)).tokenizer(), tokenizers.Tokenizer)
    made.subtract(["checkpoint", "tokenizer"])  # by the line above
    theirs = made.pop("tokenizer of transformers")
    assert theirs <= 2  # sentence-transformers reads its own
    assert made == dict.fromkeys(made, 1)
    assert len(made) == 7


def test_what_consumers_import_loads_no_exporter() -> None:
    code = (
        "import sys\n"
        "from hub_export.use.corpora import predictor, text_embedder, text_job\n"
        "from hub_export.use.serving import configuration\n"
        "ours = {'encoders', 'preprocess', 'hub_export.exporter', 'hub_export.sources'}\n"
        "theirs = {'torch', 'transformers', 'tokenizers', 'sentence_transformers'}\n"
        "sys.exit(', '.join((ours | theirs) & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr[-300:]


def test_each_codepoint_is_asked_once(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = find.read(str(tiny_bert)).tokenizer()
    codepoints._normal_forms.cache_clear()
    text._chains.cache_clear()
    asked: list[str] = []
    real = codepoints.normalizer
    monkeypatch.setattr(
        codepoints, "normalizer", lambda each: asked.append(json.dumps(each)) or real(each)
    )
    for _ in range(2):
        preprocess.build(source, "[PAD]", "[MASK]", 128, 2)
    assert len(asked) == len(set(asked)) > 0
