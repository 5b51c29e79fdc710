"""What holds for the LiteRT copy of every task's model: it answers as the SavedModel does."""

import importlib
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from hub_export import ExportError, contract
from hub_export.litert import TextModel
from hub_export.litert.description import read
from hub_export.models.litert import LiteRtCopy
from hub_export.models.products import PRODUCTS
from hub_export.models.session import Session
from hub_export.settings import TASK_MODEL, Settings
from hub_export.sources import find
from hub_export.terminal import Progress
from hub_export.use.models.opening import opened
from hub_export.verify import litert
from hub_export.verify.checks import Outcome
from hub_export.verify.source import Source
from tests.conformance.task_cases import TEXTS, SavedTask

ZERO_SHOT = {contract.ZERO_SHOT, contract.ZERO_SHOT_MULTI_LABEL}
MODULES = {"text_classification": "classification"}
"""The files of comparisons that are not called as their products."""


def test_every_signature_answers_as_the_saved_model_does(task_case: SavedTask) -> None:
    copy, requests = opened(task_case.copy), task_case.requests()
    assert copy.signatures.keys() == requests.keys() - ZERO_SHOT
    for name, signature in copy.signatures.items():
        given = {key: each.numpy().tolist() for key, each in requests[name].items()}
        assert {*signature.inputs} == given.keys()
        [(rows, found)] = copy(name, given, len(TEXTS))
        ordered = {key: tf.gather(each, rows) for key, each in requests[name].items()}
        wanted = task_case.model.signatures[name](**ordered)
        assert found.keys() == wanted.keys()
        for key, each in found.items():
            assert_same(f"{name}/{key}", each, wanted[key].numpy())


def assert_same(where: str, found: Any, wanted: Any) -> None:
    assert found.shape == wanted.shape, where
    if wanted.dtype == object:
        assert [*found.flat] == [*wanted.flat], where
        return
    assert found.dtype == wanted.dtype, where
    scale = max(1.0, float(np.abs(wanted).max(initial=0)))
    allowed = 1e-5 * scale if wanted.dtype == np.float32 else 0
    np.testing.assert_allclose(found, wanted, rtol=0, atol=allowed, err_msg=where)


def test_no_texts_have_no_answers(task_case: SavedTask) -> None:
    for name, (inputs, ask) in TextModel(task_case.copy).signatures.items():
        for key, each in ask(*([] for _ in inputs)).items():
            assert len(each) == (key == contract.ROW_SPLITS), (name, key)


def test_what_is_no_text_is_refused(task_case: SavedTask) -> None:
    """Half of a surrogate pair has no bytes in UTF-8."""
    model = TextModel(task_case.copy)
    for inputs, ask in model.signatures.values():
        for text, message in (("a\ud800", "half of a surrogate pair, character 1"), (1, "found 1")):
            given = [[[text]] if name == contract.CHOICES else [text] for name in inputs]
            with pytest.raises(ExportError, match=message):
                ask(*given)


def checks(task_case: SavedTask, monkeypatch: pytest.MonkeyPatch) -> list[Outcome]:
    """How the copy compares with the source, of a few texts."""
    case, name = task_case.case, read(task_case.copy).name
    compared = importlib.import_module(f"hub_export.verify.tasks.{MODULES.get(name, name)}")
    monkeypatch.setattr(compared, "sample_texts", lambda *_: [*TEXTS, "b c", "d"])
    settings = Settings(task_case.source, task=case.name, litert=["float32"])
    session = Session(find.read(str(task_case.source)), settings)
    answers = compared.ask(Source(session), Progress(quiet=True))
    product = PRODUCTS[TASK_MODEL](session)
    assert product is not None
    copy = LiteRtCopy(session, product)
    found = litert.compare(task_case.copy, copy, answers, Progress(quiet=True))
    return [check.outcome for check in found]


def test_what_it_computes_is_compared(
    task_case: SavedTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {*checks(task_case, monkeypatch)} == {Outcome.PASSED}
    computed = TextModel._computed

    def spoilt(self: TextModel, rows: Any) -> Any:
        found = computed(self, rows)
        return {
            name: [each + 0.01 * np.arange(1, each.shape[-1] + 1) for each in x]
            for name, x in found.items()
        }

    monkeypatch.setattr(TextModel, "_computed", spoilt)
    assert Outcome.FAILED in checks(task_case, monkeypatch)
