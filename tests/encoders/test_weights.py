import numpy as np
import pytest
import tensorflow as tf

import encoders
from encoders.core.blocks.layers import Linear
from encoders.core.declared import expand
from encoders.core.errors import WeightsError
from encoders.core.rows import Row, linear
from encoders.core.weights import Table
from tests import checkpoints


class Small(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = [Linear(2, 3), Linear(2, 3)]
        self.head = Linear(3, 1)


ROWS = (*linear("blocks.{layer}", "layer.{layer}.dense"), *linear("head", "head", optional="head"))
TABLE = Table(ROWS, prefix="small.", buffers={"ids": "counts"})


def tensors(head: bool = True, prefix: str = "") -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    shapes = {
        f"layer.{at}.dense.{kind}": shape
        for at in (0, 1)
        for kind, shape in (("weight", (3, 2)), ("bias", (3,)))
    }
    if head:
        shapes |= {"head.weight": (1, 3), "head.bias": (1,)}
    return {prefix + name: draw.normal(size=shape).astype("f4") for name, shape in shapes.items()}


def fill(source: dict[str, np.ndarray]) -> Small:
    small = Small()
    TABLE.fill(small, source)
    return small


def test_kernels_are_transposed_and_named() -> None:
    source = tensors()
    small = fill(source)
    np.testing.assert_array_equal(small.blocks[1].kernel, source["layer.1.dense.weight"].T)
    assert small.blocks[1].kernel.name == "blocks/1/kernel:0"
    assert len(small.trainable_variables) == 6


def test_prefix_heads_and_buffers_are_told() -> None:
    source = {**tensors(prefix="small."), "classifier.weight": np.ones(1), "small.ids": np.ones(1)}
    filled = TABLE.fill(Small(), source)
    assert filled.unused == {"classifier.weight": "belongs to a task head", "small.ids": "counts"}
    assert filled.absent == ()


def test_an_optional_part_may_be_absent_but_not_half_there() -> None:
    small = Small()
    assert TABLE.fill(small, tensors(head=False)).absent == ("head",)
    assert small.head is None
    half = tensors()
    del half["head.bias"]
    with pytest.raises(WeightsError, match=r"missing \(1\):\n  head.bias"):
        fill(half)


def test_rows_of_a_part_that_was_not_built_do_not_apply() -> None:
    small, source = Small(), tensors()
    small.head = None
    with pytest.raises(WeightsError, match=r"not part of the encoder \(2\):\n  head.bias"):
        TABLE.fill(small, source)
    small = Small()
    small.head = None
    assert TABLE.fill(small, tensors(head=False)).unused == {}
    assert len(small.variables) == 4


def test_everything_wrong_is_listed_at_once() -> None:
    source = tensors()
    del source["layer.0.dense.bias"]
    source["layer.1.dense.bias"] = np.ones(4, "f4")
    source["layer.1.dense.weight"] = np.ones((3, 2), np.int8)
    source["extra"] = np.ones(1)
    with pytest.raises(WeightsError) as error:
        fill(source)
    for line in (
        "layer.0.dense.bias (for blocks.0.bias)",
        "layer.1.dense.bias: expected shape [3], found [4]",
        "layer.1.dense.weight: expected floating-point values, found int8",
        "  extra",
    ):
        assert line in str(error.value)


def test_a_table_that_fills_a_variable_twice_is_a_mistake() -> None:
    table = Table((*ROWS, Row("head.bias", ("again",))), "small.", {})
    with pytest.raises(TypeError, match=r"two rows of the weight table fill head\.bias"):
        table.fill(Small(), {**tensors(), "again": np.ones(1, "f4")})


@pytest.mark.parametrize("model_type", checkpoints.in_transformers())
def test_what_training_made_of_a_tensor_goes_back(model_type: str) -> None:
    """Of every row of every table, so that weights of a trained export fill the source's model."""
    architecture = encoders.architectures()[model_type]
    part = architecture.declare(checkpoints.config(model_type, pad_token_id=0).to_dict())
    shapes, draw = architecture.table.shapes(part), np.random.default_rng(0)
    for row in expand(architecture.table.rows, part):
        tensor = draw.normal(size=row.change.source_shape(shapes[row.target]))
        np.testing.assert_array_equal(row.change.undo(row.change.apply(tensor)), tensor)
