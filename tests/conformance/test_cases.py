"""Nothing goes untested: every architecture and tokenizer kind has a case."""

import encoders
import preprocess
from hub_export.models import task
from hub_export.verify.references.own.models import MODELS
from preprocess.source.components import serialised
from tests import checkpoints
from tests.conformance import cases, task_cases


def test_every_architecture_has_a_case() -> None:
    with_references = {*checkpoints.in_transformers(), *MODELS}
    assert {case.model_type for case in cases.ENCODERS} == with_references
    assert {*encoders.architectures()} - with_references == {"static_embedding"}


def test_every_tokenizer_kind_has_a_case() -> None:
    models = {serialised(case.make())["model"]["type"] for case in cases.WHOLE}
    assert models == set(preprocess.kinds())


def test_every_task_has_a_case() -> None:
    assert [case.name for case in task_cases.TASKS] == [*task.KINDS]
