"""What holds for every tokenizer, and for whole cases seen through its SavedModel.

A few hundred strings of each kind; `tools.token_parity` compares millions.
"""

import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub
import tf_keras

from hub_export.verify import samples
from hub_export.verify.tokens.ids import without_clean_up
from hub_export.verify.tokens.packing import packed_rows
from tests.conformance.cases import SavedPreprocessor
from tests.conformance.test_encoders import assert_no_path
from tools.comparison import in_bytes

NAMES = ("input_word_ids", "input_mask", "input_type_ids")
TEXTS = ["a bad cab", "", "über [MASK] straße", "neo! [x] sp  日本", "abcd " * 60, "dad"]


def fuzz(case: SavedPreprocessor, count: int = 400) -> list[str]:
    special = [token.content for token in case.source.get_added_tokens_decoder().values()]
    return list(samples.fuzz(sorted(case.source.get_vocab()), special, count, seed=99))


def marks(count: int = 250) -> list[str]:
    """Runs of combining marks, in and out of order, with what may stand between them."""
    draw = random.Random(5)
    pool = [chr(p) for p in (*range(0x300, 0x345), *range(0x8D4, 0x8E2), *range(0xF71, 0xF85))]
    pool += [*"\u0334\u0345\u0344\u1b44\u302e\u302f\U0001d165\U0001d15e\U0001e001"]
    pool += [*"\u034f\u0901\u200dab "]
    return ["".join(draw.choices(pool, k=draw.randint(2, 9))) for _ in range(count)]


def reserved(count: int = 250) -> list[str]:
    """Added tokens among the characters that stand for them inside the graph."""
    draw = random.Random(6)
    pool = [
        "neo",
        "NEO",
        "NÉO CAFÉ",
        "n\u00e9o ",
        "[x]",
        "[x",
        "[MASK]",
        "[",
        "]",
        " sp ",
        "!",
        "a",
    ]
    pool += [*"\x01\x02\x03\x04\x05\x06\x7f\x80\ue000\ue001\ue005\uf8ff "]
    return ["".join(draw.choices(pool, k=draw.randint(1, 8))) for _ in range(count)]


def assert_same_tokens(case: SavedPreprocessor, texts: Sequence[str]) -> None:
    """Ids and byte offsets equal the source's, string by string."""
    ids, starts, limits = (
        each.merge_dims(1, -1).to_list()
        for each in case.loaded.tokenize_with_offsets(tf.constant(texts))
    )
    fast = case.loaded.tokenize(tf.constant(texts)).merge_dims(1, -1).to_list()
    for at, encoding in enumerate(case.source.encode_batch(texts, add_special_tokens=False)):
        text = texts[at]
        assert fast[at] == ids[at] == encoding.ids, ascii(text)
        found = list(zip(starts[at], limits[at], strict=True))
        assert found == in_bytes(text, encoding), ascii(text)


@pytest.mark.parametrize("kind", ["fuzz", "marks", "reserved"])
def test_tokens_and_offsets_equal_the_source(tokenizer_case: SavedPreprocessor, kind: str) -> None:
    texts = {"fuzz": fuzz(tokenizer_case), "marks": marks(), "reserved": reserved()}[kind]
    assert_same_tokens(tokenizer_case, texts)


def test_awkward_strings(tokenizer_case: SavedPreprocessor) -> None:
    assert_same_tokens(tokenizer_case, samples.AWKWARD)


def test_codepoints(tokenizer_case: SavedPreprocessor) -> None:
    assert_same_tokens(tokenizer_case, list(samples.codepoints())[::200])


def test_invalid_utf8_is_read_as_python_reads_it(tokenizer_case: SavedPreprocessor) -> None:
    draw = random.Random(3)
    whole = "aé日\U0001f600[MASK]".encode()
    rows = [bytes(draw.choices([*whole, 0xFF, 0xC0, 0xED, 0xA0, 0x80], k=8)) for _ in range(250)]
    read = [row.decode(errors="replace") for row in rows]
    found = tokenizer_case.loaded.tokenize(tf.constant(rows)).merge_dims(1, -1).to_list()
    expected = tokenizer_case.source.encode_batch(read, add_special_tokens=False)
    assert found == [encoding.ids for encoding in expected]
    places = tokenizer_case.loaded.tokenize_with_offsets(tf.constant(rows))[1:]
    starts, limits = (each.merge_dims(1, -1).to_list() for each in places)
    for row, begin, end, encoding in zip(rows, starts, limits, expected, strict=True):
        assert list(zip(begin, end, strict=True)) == in_bytes(row, encoding), row


@pytest.mark.parametrize("room", [0, 1, 13, 125])
def test_packing_equals_the_source(tokenizer_case: SavedPreprocessor, room: int) -> None:
    texts = [text.replace("\0", "") for text in fuzz(tokenizer_case, 150)]
    first, second = texts[::2], texts[1::2]
    source = without_clean_up(tokenizer_case.source)
    length = source.num_special_tokens_to_add(is_pair=True) + room
    source.enable_truncation(length)
    source.enable_padding(length=length)
    tokens = [tokenizer_case.loaded.tokenize(tf.constant(each)) for each in (first, second)]
    for segments, given in ((tokens[:1], first), (tokens, list(zip(first, second, strict=True)))):
        packed = tokenizer_case.loaded.pack(segments, length)
        ids, mask, types = zip(*packed_rows(source, given), strict=True)
        last = tokenizer_case.case.types - 1
        assert packed["input_word_ids"].numpy().tolist() == [*ids]
        assert packed["input_mask"].numpy().tolist() == [*mask]
        assert packed["input_type_ids"].numpy().tolist() == np.minimum(types, last).tolist()


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_many_segments(whole_case: SavedPreprocessor, count: int) -> None:
    """Against a plain rendering of the rule: share evenly, the last odd piece to the longest."""
    draw, model = random.Random(count), whole_case.model
    special = {name: int(x) for name, x in model.tokenize.get_special_tokens_dict().items()}
    rows = [[[7] * draw.randint(0, 9) for _ in range(count)] for _ in range(60)]
    columns = [tf.ragged.constant([row[at] for row in rows], tf.int32) for at in range(count)]
    step = 2 if whole_case.case.name == "three_types" else 1
    packed = model.bert_pack_inputs(columns, seq_length=15)
    for at, row in enumerate(rows):
        lengths = share([len(segment) for segment in row], 15 - 1 - count)
        ids, types = [special["start_of_sequence_id"]], [0]
        for segment, length in enumerate(lengths):
            ids += [7] * length + [special["end_of_segment_id"]]
            types += [min(segment * step, whole_case.case.types - 1)] * (length + 1)
        padding = 15 - len(ids)
        found = [packed[name][at].numpy().tolist() for name in NAMES]
        mask = [1] * len(ids) + [0] * padding
        ids += [special["padding_id"]] * padding
        assert found == [ids, mask, types + [0] * padding]


def share(lengths: list[int], room: int) -> list[int]:
    kept, waiting = [0] * len(lengths), len(lengths)
    for length, at in sorted((length, at) for at, length in enumerate(lengths)):
        kept[at] = min(length, room // waiting)
        room, waiting = room - kept[at], waiting - 1
    return kept


def test_every_form_of_segments(whole_case: SavedPreprocessor) -> None:
    """Words and pieces, or pieces only, in any mixture; one by itself counts as a list of one."""
    pack = whole_case.model.bert_pack_inputs
    one, other = (whole_case.model.tokenize(tf.constant(each)) for each in (TEXTS, TEXTS[::-1]))
    flat = [each.merge_dims(1, -1) for each in (one, other)]
    expected = pack([one, other])
    assert expected["input_word_ids"].shape == (6, 128)
    for segments in ([flat[0], other], [one, flat[1]], flat):
        assert_same(pack(segments), expected)
    for alone in (one, flat[0], [flat[0]]):
        assert_same(pack(alone), pack([one]))
        assert_same(pack(alone, seq_length=9), pack([one], seq_length=tf.constant(9)))
    mixed = [one, flat[1], flat[0], other]
    assert_same(pack(mixed, tf.constant(40)), pack([one, other, one, other], 40))


def assert_same(one: dict[str, tf.Tensor], other: dict[str, tf.Tensor]) -> None:
    assert set(one) == set(other) == set(NAMES)
    for name in NAMES:
        assert one[name].dtype == tf.int32
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_root_is_tokenize_and_pack(tokenizer_case: SavedPreprocessor) -> None:
    model, texts = tokenizer_case.model, tf.constant(TEXTS)
    assert_same(model(texts), model.bert_pack_inputs([tokenizer_case.loaded.tokenize(texts)]))


def test_too_short_a_length_is_refused(tokenizer_case: SavedPreprocessor) -> None:
    tokens = tokenizer_case.loaded.tokenize(tf.constant(TEXTS))
    with pytest.raises(tf.errors.InvalidArgumentError, match="no room for the special tokens"):
        tokenizer_case.model.bert_pack_inputs([tokens, tokens], seq_length=2)


def test_signatures(whole_case: SavedPreprocessor) -> None:
    model, text = whole_case.model, tf.constant(TEXTS)
    served = model.signatures
    assert set(served) == {"serving_default", "serving_pair", "tokenize", "bert_pack_inputs"}
    assert_same(served["serving_default"](text=text), model(text))
    one, other = model.tokenize(text), model.tokenize(text[::-1])
    pair = served["serving_pair"](text=text, text_pair=text[::-1])
    assert_same(pair, model.bert_pack_inputs([one, other]))
    flat = served["tokenize"](text=text)
    rows = tf.RaggedTensor.from_row_splits(flat["ids"], flat["row_splits"])
    assert rows.to_list() == one.merge_dims(1, -1).to_list()
    assert_same(served["bert_pack_inputs"](**flat), model(text))


def test_special_tokens(tokenizer_case: SavedPreprocessor) -> None:
    model, source = tokenizer_case.model, tokenizer_case.source
    expected = {
        "vocab_size": source.get_vocab_size(),
        "start_of_sequence_id": 2,
        "end_of_segment_id": 3,
        "padding_id": 0,
        "mask_id": 4,
    }
    for endpoint in (model.tokenize, model.tokenize_with_offsets):
        found = endpoint.get_special_tokens_dict()
        assert {name: int(id) for name, id in found.items()} == expected
        assert all(id.dtype == tf.int32 and id.shape == () for id in found.values())


def test_detokenize_equals_decode(tokenizer_case: SavedPreprocessor) -> None:
    model, texts = tokenizer_case.model, fuzz(tokenizer_case, 100)
    packed = model(tf.constant(texts))["input_word_ids"]
    expected = tokenizer_case.source.decode_batch(packed.numpy().tolist())
    assert [row.decode() for row in model.detokenize(packed).numpy()] == expected
    tokens = tokenizer_case.loaded.tokenize(tf.constant(texts))
    for ids in (tokens, tokens.merge_dims(1, -1)):
        expected = tokenizer_case.source.decode_batch(tokens.merge_dims(1, -1).to_list())
        assert [row.decode() for row in model.detokenize(ids).numpy()] == expected


def test_inside_a_dataset(whole_case: SavedPreprocessor) -> None:
    model = whole_case.model
    pairs = tf.data.Dataset.from_tensor_slices((TEXTS, TEXTS[::-1])).batch(4)

    def pack(first: tf.Tensor, second: tf.Tensor) -> dict[str, tf.Tensor]:
        return model.bert_pack_inputs([model.tokenize(first), model.tokenize(second)], 20)

    found = list(pairs.map(pack, num_parallel_calls=2))
    assert [len(each["input_mask"]) for each in found] == [4, 2]
    expected = pack(tf.constant(TEXTS), tf.constant(TEXTS[::-1]))
    assert_same({name: tf.concat([each[name] for each in found], 0) for name in NAMES}, expected)


@pytest.mark.parametrize("size", [0, 1])
def test_small_batches(whole_case: SavedPreprocessor, size: int) -> None:
    model, text = whole_case.model, tf.constant(TEXTS[:size], tf.string)
    assert model(text)["input_word_ids"].shape == (size, 128)
    tokens = whole_case.loaded.tokenize(text)
    assert model.bert_pack_inputs([tokens, tokens, tokens])["input_mask"].shape == (size, 128)
    assert [each.nrows() for each in whole_case.loaded.tokenize_with_offsets(text)] == [size] * 3
    assert model.detokenize(tokens).shape == (size,)


def test_neighbours_do_not_matter(tokenizer_case: SavedPreprocessor) -> None:
    texts = [*samples.AWKWARD, *marks(20), *fuzz(tokenizer_case, 40)]
    together = tokenizer_case.loaded.tokenize(tf.constant(texts)).to_list()
    alone = [tokenizer_case.loaded.tokenize(tf.constant([text])).to_list()[0] for text in texts]
    assert together == alone


def test_keras_layers(whole_case: SavedPreprocessor) -> None:
    model = hub.load(str(whole_case.path))
    tokenize = hub.KerasLayer(model.tokenize)
    pack = hub.KerasLayer(model.bert_pack_inputs, arguments={"seq_length": 64})
    inputs = [tf_keras.Input([], dtype=tf.string) for _ in range(2)]
    packed = pack([tokenize(each) for each in inputs])
    keras = tf_keras.Model(inputs, packed)
    text = tf.constant(TEXTS)
    expected = model.bert_pack_inputs([model.tokenize(text), model.tokenize(text[::-1])], 64)
    assert_same(keras([text, text[::-1]]), expected)
    root = hub.KerasLayer(str(whole_case.path))
    assert_same(tf_keras.Model(inputs[0], root(inputs[0]))(text), model(text))
    single = tf_keras.Model(inputs[0], pack([tokenize(inputs[0])]))
    assert single(text)["input_mask"].shape == (6, 64)


def test_static_shapes(whole_case: SavedPreprocessor) -> None:
    model = whole_case.model
    for rows in (None, 8):
        spec = tf.TensorSpec([rows], tf.string)
        root = tf.function(lambda x: model(x)).get_concrete_function(spec)
        shapes = {each.shape[1] for each in root.structured_outputs.values()}
        assert shapes == {128}


def test_saved_again_after_the_first_copy_is_gone(
    whole_case: SavedPreprocessor, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    shutil.copytree(whole_case.path, first)
    loaded = tf.saved_model.load(str(first))
    tf.saved_model.save(loaded, str(second), signatures=dict(loaded.signatures))
    shutil.rmtree(first)
    again = tf.saved_model.load(str(second))
    assert_same(again(tf.constant(TEXTS)), whole_case.model(tf.constant(TEXTS)))
    tokens = again.tokenize(tf.constant(TEXTS))
    assert tokens.to_list() == whole_case.model.tokenize(tf.constant(TEXTS)).to_list()


def test_no_path_is_left_in_any_file(whole_case: SavedPreprocessor) -> None:
    assert_no_path(whole_case.path)
