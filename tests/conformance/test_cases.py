"""Nothing goes untested: every architecture and tokenizer kind has a case."""

import encoders
import preprocess
from hub_export.models import task
from preprocess.source.components import serialised
from tests.conformance import cases, task_cases


def test_every_architecture_has_a_case() -> None:
    """Of those that `transformers` has."""
    known = {name for name, each in encoders.architectures().items() if each.reference}
    assert {case.model_type for case in cases.ENCODERS} == known


def test_every_tokenizer_kind_has_a_case() -> None:
    models = {serialised(case.make())["model"]["type"] for case in cases.WHOLE}
    assert models == set(preprocess.kinds())


def test_every_task_has_a_case() -> None:
    assert [case.name for case in task_cases.TASKS] == [*task.KINDS]
