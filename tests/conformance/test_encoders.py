"""What holds for every encoder, and for whole cases seen through its SavedModel."""

import copy
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub
import tf_keras
import torch
import transformers
from safetensors.numpy import load_file

import encoders
from encoders import RealTokens
from encoders.core.declared import expand
from encoders.core.rows import Row
from hub_export import contract, support
from hub_export.models.litert import LiteRtCopy
from hub_export.models.products import PRODUCTS
from hub_export.settings import ENCODER, FEATURE_EXTRACTION
from hub_export.terminal import Progress
from hub_export.verify import litert, numbers
from hub_export.verify.checks import Outcome
from hub_export.verify.closeness import CLOSENESS, apart
from hub_export.verify.references.families import settled
from hub_export.verify.references.own.models import load
from tests import unsaved
from tests.conformance.cases import SavedEncoder
from tests.outcomes import assert_passed

NAMES = ("input_word_ids", "input_mask", "input_type_ids")


def batch(case: SavedEncoder, rows: int = 5, length: int = 17) -> dict[str, np.ndarray]:
    """Random ids; masks with holes, one row that is padded, one that is all padding."""
    draw, size = np.random.default_rng(7), case.size
    mask = draw.random((rows, length)) < 0.7
    mask[:, 0] = True
    mask[0] = np.arange(length) < length * 0.6
    mask[-1] = False
    ids = draw.integers(0, size.vocabulary, mask.shape)
    ids[0, ~mask[0]] = size.padding
    types = draw.integers(0, size.types or 1, mask.shape)
    return {
        name: each.astype(np.int32) for name, each in zip(NAMES, (ids, mask, types), strict=True)
    }


def flat(outputs: dict[str, Any]) -> dict[str, np.ndarray]:
    layers = {f"encoder_outputs_{i}": x for i, x in enumerate(outputs.get("encoder_outputs", []))}
    single = {name: x for name, x in outputs.items() if name != "encoder_outputs"}
    return {name: np.asarray(x) for name, x in {**single, **layers}.items()}


def assert_same(one: dict[str, Any], other: dict[str, Any], tolerance: float = 0.0) -> None:
    one, other = flat(one), flat(other)
    assert one.keys() == other.keys()
    for name, values in one.items():
        scale = max(1.0, np.abs(other[name]).max(initial=0.0))
        np.testing.assert_allclose(
            values, other[name], rtol=0, atol=tolerance * scale, err_msg=name
        )


@pytest.mark.parametrize("length", [1, 17, None])
def test_every_layer_equals_torch(encoder_case: SavedEncoder, length: int | None) -> None:
    inputs = batch(encoder_case, length=length or encoder_case.size.positions)
    expected = encoder_case.reference(*inputs.values())
    found = encoder_case.encode(inputs)
    assert len(found["encoder_outputs"]) == len(expected.layers)
    assert len(expected.layers) == encoder_case.reference._model.config.num_hidden_layers
    assert_equals(found, expected)
    np.testing.assert_array_equal(found["sequence_output"], found["encoder_outputs"][-1])
    np.testing.assert_array_equal(found["default"], found["pooled_output"])


def assert_equals(found: contract.Tensors, expected: encoders.Encoded, kept: Any = ...) -> None:
    """Every layer and the pooled output are those of the source, at the positions that are kept."""
    layers = zip([*found["encoder_outputs"]], expected.layers, strict=True)
    pairs = [(np.asarray(values)[kept], wanted[kept]) for values, wanted in layers]
    for values, wanted in [*pairs, (found["pooled_output"], expected.pooled)]:
        assert np.abs(wanted).max() > 0.5
        np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.usefixtures("optimized")
def test_a_graph_without_padding_equals_torch(encoder_case: SavedEncoder) -> None:
    """As signatures compute it: traced once for batches of any shape, of real tokens alone."""
    encoder, _ = encoder_case.architecture.build(
        encoder_case.source.config, encoder_case.source.tensors()
    )  # that nobody has called
    traced = tf.function(
        lambda *row: contract.outputs(*encoder(*row, arrange=RealTokens)), autograph=False
    ).get_concrete_function(*contract.input_specs().values())
    for rows, length in ((5, 17), (9, 6)):
        inputs = batch(encoder_case, rows, length)
        assert_equals_real(encoder_case, traced(*map(tf.constant, inputs.values())), inputs)


def assert_equals_real(
    case: SavedEncoder, found: contract.Tensors, inputs: dict[str, np.ndarray]
) -> None:
    """The same at what is no padding, in rows that have any such."""
    real = inputs["input_mask"] == 1
    some = real.any(axis=1)
    expected = case.reference(*(each[some] for each in inputs.values()))
    kept = {
        **{name: found[name][some] for name in ("pooled_output", "sequence_output")},
        "encoder_outputs": [np.asarray(each)[some] for each in found["encoder_outputs"]],
    }
    assert_equals(kept, expected, real[some])


@pytest.mark.usefixtures("optimized")
def test_what_would_be_saved_equals_torch(built_encoder_case: SavedEncoder) -> None:
    """Traced by a session of its own, for training, inference and signatures, as an export is."""
    case, inputs = built_encoder_case, batch(built_encoder_case)
    model = unsaved.product(case.checkpoint, ENCODER, task=FEATURE_EXTRACTION).model
    assert_equals(model(inputs, training=False), case.reference(*inputs.values()))
    served = model.signatures["serving_default"](**inputs)
    layers = model.signatures["encoder_outputs"](**inputs)
    listed = [layers[f"encoder_outputs_{layer}"] for layer in range(case.size.layers)]
    assert_equals_real(case, {**served, "encoder_outputs": listed}, inputs)
    for name, values in served.items():
        if values.shape.rank == 3:
            assert not values.numpy()[inputs["input_mask"] == 0].any(), name
    assert np.isfinite(model(inputs, training=True)["default"]).all()


@pytest.mark.usefixtures("optimized")
def test_verification_passes(whole_encoder_case: SavedEncoder) -> None:
    case = whole_encoder_case
    answers = numbers.ask(case.reference, case.size)
    checks = numbers.compare(case.model, answers, CLOSENESS["float32"], Progress(quiet=True))
    assert_passed(checks)
    assert len(checks) == 2 + case.size.layers


def test_pooled_output_without_pooler_is_the_vector_of_one_token(
    encoder_case: SavedEncoder,
) -> None:
    inputs = batch(encoder_case)
    found = encoder_case.encode(inputs)
    places = pooled_places(encoder_case, inputs)
    vectors = found["sequence_output"].numpy()[np.arange(len(places)), places]
    assert np.array_equal(found["pooled_output"], vectors) != encoder_case.case.pooler
    token = {
        encoders.first_token: "first token's vector",
        encoders.last_token: "last token's vector, padding aside",
        encoders.TokenById(None): "vector of a row's first token of the highest id, padding aside",
    }[encoder_case.token]
    product = PRODUCTS[ENCODER](encoder_case.session())
    assert product is not None
    assert (product.notes()["pooled_output"] == f"the {token}") != encoder_case.case.pooler


def pooled_places(case: SavedEncoder, inputs: dict[str, np.ndarray]) -> list[int]:
    """Where in each row the token is whose vector is the pooled output; 0 in one of padding."""
    ids, mask, _ = inputs.values()
    if case.token is encoders.first_token:
        return [0] * len(mask)
    if case.token is encoders.last_token:
        return [max(np.flatnonzero(row), default=0) for row in mask]
    assert case.token == encoders.TokenById(None)
    rows = (np.where(row, of, -1) for of, row in zip(ids, mask, strict=True))
    return [int(np.argmax(row)) for row in rows]


def test_padding_changes_no_real_position(encoder_case: SavedEncoder) -> None:
    inputs = batch(encoder_case, rows=3)
    inputs["input_mask"] = (np.arange(17) < [[5], [9], [17]]).astype(np.int32)
    changed = {**inputs, "input_word_ids": inputs["input_word_ids"].copy()}
    changed["input_word_ids"][inputs["input_mask"] == 0] = 3
    one, other = (encoder_case.encode(each)["sequence_output"] for each in (inputs, changed))
    real = inputs["input_mask"] == 1
    np.testing.assert_allclose(one.numpy()[real], other.numpy()[real], rtol=0, atol=1e-6)


def test_type_ids_default_to_zeros(whole_encoder_case: SavedEncoder) -> None:
    inputs = batch(whole_encoder_case)
    zeros = {**inputs, "input_type_ids": np.zeros_like(inputs["input_type_ids"])}
    without = {name: inputs[name] for name in NAMES[:2]}
    assert_same(whole_encoder_case.model(without), whole_encoder_case.model(zeros))


def test_type_ids_that_mean_nothing_are_ignored(encoder_case: SavedEncoder) -> None:
    inputs = batch(encoder_case)
    zeros = np.zeros_like(inputs["input_type_ids"])
    some = np.where(np.arange(zeros.shape[1]) < 5, 1, zeros)  # of XLNet, it counts which are equal
    some, zeros = ({**inputs, "input_type_ids": each} for each in (some, zeros))
    one, zero = (encoder_case.encode(each)["default"] for each in (some, zeros))
    assert np.array_equal(one, zero) == (encoder_case.size.types < 2)


def test_signatures_equal_the_call(whole_encoder_case: SavedEncoder) -> None:
    inputs = {name: tf.constant(each) for name, each in batch(whole_encoder_case).items()}
    signatures = whole_encoder_case.model.signatures
    assert set(signatures) == {"serving_default", "encoder_outputs"}
    served = signatures["serving_default"](**inputs)
    assert set(served) == {"pooled_output", "sequence_output", "default"}
    layers = signatures["encoder_outputs"](**inputs)
    mask = inputs["input_mask"].numpy() == 1
    called, signed = flat(whole_encoder_case.model(inputs)), flat({**served, **layers})
    for outputs in (called, signed):
        for name, values in outputs.items():
            outputs[name] = values[mask if values.ndim == 3 else mask.any(axis=1)]
    assert_same(signed, called, 1e-5)


def test_signatures_give_zeros_for_padding(whole_encoder_case: SavedEncoder) -> None:
    inputs = {name: tf.constant(each) for name, each in batch(whole_encoder_case).items()}
    padding = inputs["input_mask"].numpy() == 0
    for signature in whole_encoder_case.model.signatures.values():
        for values in signature(**inputs).values():
            assert np.all(np.isfinite(values))
            if values.shape.rank == 3:
                assert np.all(values.numpy()[padding] == 0)


def test_signatures_compute_rows_by_themselves(whole_encoder_case: SavedEncoder) -> None:
    inputs = batch(whole_encoder_case, rows=40)
    served = whole_encoder_case.model.signatures["serving_default"]
    together = served(**{name: tf.constant(each) for name, each in inputs.items()})
    for row in (0, 7, 39):
        alone = served(**{name: tf.constant(each[row : row + 1]) for name, each in inputs.items()})
        assert_same(alone, {name: each[row : row + 1] for name, each in together.items()}, 1e-5)


def test_serve_endpoints(whole_encoder_case: SavedEncoder) -> None:
    inputs = batch(whole_encoder_case)
    assert_same(whole_encoder_case.model.serve(inputs), whole_encoder_case.model(inputs))
    assert whole_encoder_case.model.serve_training(inputs)["default"].shape == (
        5,
        whole_encoder_case.size.width,
    )


def test_dropout_is_active_in_training_only(encoder_case: SavedEncoder) -> None:
    assert_drops(encoder_case, encoder_case.encode)


def test_dropout_of_the_saved_model(whole_encoder_case: SavedEncoder) -> None:
    assert_drops(whole_encoder_case, whole_encoder_case.model)


def assert_drops(case: SavedEncoder, encode: Callable[..., contract.Tensors]) -> None:
    """In training it gives other numbers at every call, if any rate says so; else never."""
    inputs = batch(case)
    one, other = (encode(inputs, training=True)["default"] for _ in range(2))
    heads = ("classifier", "qa", "summary", "seq_classif")
    rates = [rate for key, rate in case.dropout.items() if not key.startswith(heads)]
    assert np.array_equal(one, other) == (not any(rates))
    still = [encode(inputs, training=False)["default"] for _ in range(2)]
    np.testing.assert_array_equal(*still)


def test_gradients_reach_every_trainable_variable(whole_encoder_case: SavedEncoder) -> None:
    model, inputs = whole_encoder_case.model, batch(whole_encoder_case)
    assert_has_all_variables(whole_encoder_case, model.variables)
    with tf.GradientTape() as tape:
        outputs = model(inputs, training=True)
        loss = sum(tf.reduce_sum(tf.sin(each)) for each in flat_tensors(outputs))
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.name
        if not moves_keys_alike(variable.name):
            assert np.abs(tf.convert_to_tensor(gradient)).max() > 0, variable.name


def assert_has_all_variables(case: SavedEncoder, variables: Sequence[tf.Variable]) -> None:
    names = sources(case)
    assert {variable.name for variable in variables} == {*names}
    assert len(variables) == len(names)


def moves_keys_alike(name: str) -> bool:
    """Whether a variable moves all keys alike, which softmax undoes: its gradient is zero."""
    return any(each in name for each in ("key/bias", "key_layer_norm/beta"))


def flat_tensors(outputs: dict[str, Any]) -> list[tf.Tensor]:
    return [outputs["pooled_output"], *outputs["encoder_outputs"]]


def sources(case: SavedEncoder) -> dict[str, Row]:
    """Name of a variable -> the row that fills it."""
    architecture = case.architecture
    declared = architecture.encoder(architecture.config.read(case.source.config))
    rows = expand(architecture.table.rows, declared)
    kept = [row for row in rows if case.case.pooler or row.optional != "pooler"]
    return {f"{row.target.replace('.', '/')}:0": row for row in kept}


def test_gradients_equal_torch(encoder_case: SavedEncoder, tmp_path: Path) -> None:
    """Those of every variable, for a step of training without dropout."""
    inputs, still = batch(encoder_case), dict.fromkeys(encoder_case.dropout, 0.0)
    expected = torch_gradients(encoder_case, inputs, still, tmp_path)
    config = {**encoder_case.source.config, **still}
    encoder, _ = encoder_case.architecture.build(config, encoder_case.source.tensors())
    with tf.GradientTape() as tape:
        encoded = encoder(*inputs.values(), training=True)
        loss = sum(tf.reduce_sum(tf.sin(each)) for each in (encoded.pooled, encoded.sequence))
    found = tape.gradient(loss, {each.name: each for each in encoder.trainable_variables})
    rows = {name: row for name, row in sources(encoder_case).items() if name in found}
    assert found.keys() == rows.keys()
    for name, row in rows.items():
        wanted = next(expected[each] for each in row.sources if each in expected)
        beside = row.sources[0].replace(".bias", ".weight") if moves_keys_alike(name) else ""
        scale = np.abs(expected.get(beside, wanted)).max()
        assert scale > 0, name
        np.testing.assert_allclose(
            tf.convert_to_tensor(found[name]),
            row.change.apply(wanted),
            rtol=0,
            atol=1e-4 * scale,
            err_msg=name,
        )


def torch_gradients(
    case: SavedEncoder, inputs: dict[str, np.ndarray], dropout: dict[str, float], folder: Path
) -> dict[str, np.ndarray]:
    """Those of the source, by the names that a checkpoint has, which may not be torch's."""
    if not case.architecture.reference:
        source: Any = load(case.source, case.case.pooler)
    else:
        how = {"dtype": torch.float32, "attn_implementation": "eager", **dropout}
        loads = getattr(transformers, case.architecture.reference)
        source = settled(loads.from_pretrained(case.checkpoint, **how).train())
    words, mask, types = map(torch.tensor, inputs.values())
    optional = {"token_type_ids": types} if case.size.types else {}
    result = source(input_ids=words, attention_mask=mask, **optional)
    hidden = result.last_hidden_state
    places = pooled_places(case, inputs)
    pooled = result.pooler_output if case.case.pooler else hidden[range(len(places)), places]
    (torch.sin(pooled).sum() + torch.sin(hidden).sum()).backward()
    if not case.architecture.reference:
        return {name: each.grad.numpy() for name, each in source.named_parameters()}
    with torch.no_grad():
        for each in source.parameters():
            each.copy_(torch.zeros_like(each) if each.grad is None else each.grad)
    source.save_pretrained(folder)
    return load_file(folder / "model.safetensors")


def test_computed_positions_are_not_trained(encoder_case: SavedEncoder) -> None:
    encoder = encoder_case.encoder
    assert_has_all_variables(encoder_case, encoder.variables)
    frozen = {v.name for v in encoder.variables} - {v.name for v in encoder.trainable_variables}
    options = encoder_case.case.options
    tables = {
        "embeddings/position/table:0": any("sinusoidal" in key for key in options),
        "shared/frequencies:0": options.get("position_embedding_type") == "rotary",
        "shared/table:0": encoder_case.case.model_type == "roformer",
    }
    assert frozen == {name for name, is_there in tables.items() if is_there}


def test_saved_again_after_the_first_copy_is_gone(
    resaved_encoder_case: SavedEncoder, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    shutil.copytree(resaved_encoder_case.path, first)
    loaded = hub.load(str(first))
    tf.saved_model.save(loaded, str(second), signatures=dict(loaded.signatures))
    shutil.rmtree(first)
    again = tf.saved_model.load(str(second))
    inputs = batch(resaved_encoder_case)
    assert_same(
        again(inputs, training=False), resaved_encoder_case.model(inputs, training=False), 1e-5
    )
    assert len(again.trainable_variables) == len(resaved_encoder_case.model.trainable_variables)


def test_no_path_is_left_in_any_file(whole_encoder_case: SavedEncoder) -> None:
    assert_no_path(whole_encoder_case.path)


def assert_no_path(path: Path) -> None:
    files = [file for file in path.rglob("*") if file.is_file()]
    assert {file.name for file in files} >= {"saved_model.pb", "verification.json", "README.md"}
    for file in files:
        content = file.read_bytes()
        for secret in (str(path.parents[3]), str(Path.cwd()), str(Path.home())):
            assert secret.encode() not in content, (file, secret)


def test_keras_layer_trains(resaved_encoder_case: SavedEncoder) -> None:
    layer = hub.KerasLayer(resaved_encoder_case.model, trainable=True)
    inputs = {name: tf_keras.Input([None], dtype=tf.int32, name=name) for name in NAMES}
    outputs = tf_keras.layers.Dense(1)(layer(inputs)["pooled_output"])
    model = tf_keras.Model(inputs, outputs)
    assert len(layer.trainable_weights) == len(resaved_encoder_case.model.trainable_variables)
    before = [weight.numpy() for weight in layer.trainable_weights]
    model.compile(tf_keras.optimizers.Adam(1e-2), "mse")
    data = {name: tf.constant(each) for name, each in batch(resaved_encoder_case).items()}
    model.fit(data, tf.ones([5, 1]), epochs=2, verbose=0)
    pairs = [*zip(before, layer.trainable_weights, strict=True)]
    still = [
        weight.name
        for old, weight in pairs
        if np.array_equal(old, weight) and not moves_keys_alike(weight.name)
    ]
    for old, weight in pairs:
        weight.assign(old)  # others ask this model, too
    assert still == []


def test_xla_compiles_the_call(whole_encoder_case: SavedEncoder) -> None:
    inputs = {name: tf.constant(each) for name, each in batch(whole_encoder_case).items()}
    call = lambda x: whole_encoder_case.model(x, training=False)  # noqa: E731
    compiled = tf.function(call, jit_compile=True)
    assert_same(compiled(inputs), call(inputs), 2e-5)


def test_static_shapes_flow_through(whole_encoder_case: SavedEncoder) -> None:
    specs = {name: tf.TensorSpec([6, 9], tf.int32, name) for name in NAMES}
    shapes = tf.function(lambda x: whole_encoder_case.model(x)).get_concrete_function(specs)
    shapes = shapes.structured_outputs
    width, layers = whole_encoder_case.size.width, whole_encoder_case.size.layers
    assert shapes["pooled_output"].shape == [6, width]
    assert shapes["sequence_output"].shape == [6, 9, width]
    assert [each.shape for each in shapes["encoder_outputs"]] == [[6, 9, width]] * layers


def test_batch_of_none(whole_encoder_case: SavedEncoder) -> None:
    inputs = {name: tf.constant(x[:0]) for name, x in batch(whole_encoder_case).items()}
    served = whole_encoder_case.model.signatures["serving_default"]
    for outputs in (whole_encoder_case.model(inputs), served(**inputs)):
        assert outputs["sequence_output"].shape == (0, 17, whole_encoder_case.size.width)
        assert outputs["pooled_output"].shape == (0, whole_encoder_case.size.width)


def test_too_long_a_sequence_is_refused(whole_encoder_case: SavedEncoder) -> None:
    positions, model = whole_encoder_case.size.positions, whole_encoder_case.model
    inputs = {
        name: tf.constant(each)
        for name, each in batch(whole_encoder_case, length=positions + 1).items()
    }
    named = rf"length\W+{positions + 1}\W+exceeds the number of positions\W+{positions}\W"
    served = [lambda x, each=each: each(**x) for each in model.signatures.values()]
    for call in (model, model.serve, model.serve_training, *served):
        with pytest.raises(tf.errors.InvalidArgumentError, match=named):
            call(inputs)
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"{positions}.*{positions + 1}"):
        tf.function(model, jit_compile=True)(inputs)


@pytest.mark.parametrize("name", ["input_word_ids", "input_type_ids"])
@pytest.mark.parametrize("beyond", [-1, 0])
def test_ids_of_no_row_are_refused(
    whole_encoder_case: SavedEncoder, name: str, beyond: int
) -> None:
    """By every road, under the mask as elsewhere; where there is one type, its id has no effect."""
    model, size = whole_encoder_case.model, whole_encoder_case.size
    rows = size.vocabulary if name == "input_word_ids" else size.types
    inputs = batch(whole_encoder_case)
    inputs[name][-1, -1] = -1 if beyond else rows
    given = {key: tf.constant(each) for key, each in inputs.items()}
    served = [lambda x, each=each: each(**x) for each in model.signatures.values()]
    for call in (model, model.serve, model.serve_training, *served):
        if rows < 2:
            call(given)
        else:
            with pytest.raises(tf.errors.InvalidArgumentError, match=f"expected ids .* {rows - 1}"):
                call(given)


def test_bfloat16_loses_as_much_as_in_torch(encoder_case: SavedEncoder) -> None:
    """Rounding the weights is what loses most, in both; a part gone wrong would lose more."""
    case, inputs = encoder_case, batch(encoder_case)
    narrow, _ = case.architecture.build(case.source.config, case.source.tensors(), tf.bfloat16)
    assert {each.dtype for each in narrow.variables} == {tf.bfloat16, tf.float32}
    found = narrow(*inputs.values())
    assert {each.dtype for each in (found.pooled, *found.layers)} == {tf.float32}
    words, mask, types = map(torch.tensor, inputs.values())
    optional = {"token_type_ids": types} if case.size.types else {}
    with torch.inference_mode():
        rounded = copy.deepcopy(case.reference._model).bfloat16()
        theirs = rounded(input_ids=words, attention_mask=mask, **optional).last_hidden_state
    exact = case.encode(inputs)["sequence_output"].numpy()
    real = inputs["input_mask"] == 1
    ours, theirs = (
        np.mean(apart(each[real], exact[real]))
        for each in (found.sequence.numpy(), theirs.float().numpy())
    )
    assert 0 < ours < 2 * theirs
    assert support.tried()[case.case.model_type][support.BFLOAT16] == support.YES


def test_output_dtypes(whole_encoder_case: SavedEncoder) -> None:
    outputs = flat(whole_encoder_case.model(batch(whole_encoder_case)))
    assert {each.dtype for each in outputs.values()} == {np.dtype(np.float32)}
    assert list(whole_encoder_case.model.regularization_losses) == []


def test_a_litert_copy_gives_the_numbers_of_the_source(
    whole_encoder_case: SavedEncoder, tmp_path: Path
) -> None:
    case = whole_encoder_case
    session = case.session(litert=["float32"], litert_length=16)
    product = PRODUCTS[ENCODER](session)
    assert product is not None
    copy = LiteRtCopy(session, product)
    copy.save(tmp_path / "copy")
    answers = numbers.ask(case.reference, case.size)
    checks = litert.compare(tmp_path / "copy", copy, answers, Progress(quiet=True))
    assert [check.outcome for check in checks] == [Outcome.PASSED] * 2
    assert support.tried()[case.case.model_type][support.LITERT] == support.YES
