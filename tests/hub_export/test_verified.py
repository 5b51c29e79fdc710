"""What verification sees: every element of every variable, every entry of the vocabulary."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tokenizers import Tokenizer

import hub_export
import preprocess
from hub_export import SourceError
from hub_export.models.session import Session
from hub_export.settings import Settings
from hub_export.sources import find
from hub_export.sources.tokenizer.files import unpacked
from hub_export.terminal import Progress
from hub_export.verify import samples, weights
from hub_export.verify.checks import Outcome
from hub_export.verify.tokens import preprocessor
from tests import checkpoints, unsaved
from tools import token_parity

PARTS = ("encoder", "text_embedding")


@pytest.fixture(scope="module")
def session(tiny_bert: Path) -> Session:
    made = Session(find.read(str(tiny_bert)), Settings(str(tiny_bert)))
    _ = made.built
    made.release()
    return made


@pytest.mark.parametrize("part", PARTS)
def test_one_element_of_each_variable(
    session: Session, tiny_export: hub_export.Export, part: str
) -> None:
    """The least change that float32 has, in each variable in turn, at a place of its own."""
    model, draw = tf.saved_model.load(str(tiny_export.paths[part])), np.random.default_rng(1)

    def check() -> Any:
        return weights.compare(model, session, part, Progress(quiet=True))

    assert check().outcome == Outcome.PASSED
    assert len(model.variables) > 20
    for variable in model.variables:
        right = variable.numpy()
        at = tuple(int(draw.integers(size)) for size in right.shape)
        wrong = right.copy()
        wrong[at] = np.nextafter(right[at], np.float32(np.inf))
        variable.assign(wrong)
        found = check()
        path = variable.name.removesuffix(":0").replace("/", ".")
        assert found.outcome == Outcome.FAILED
        assert f"1 of {len(model.variables)} variables differ" in found.found
        assert f"{path}{list(at)}: expected" in found.found
        variable.assign(right)
    assert check().outcome == Outcome.PASSED


def test_a_variable_of_no_tensor_is_found(session: Session, tiny_export: hub_export.Export) -> None:
    model = tf.saved_model.load(str(tiny_export.paths["encoder"]))
    model.variables.append(tf.Variable(1.0, name="stray"))
    found = weights.compare(model, session, "encoder", Progress(quiet=True))
    assert "stray:0 is not the source's" in found.found


@pytest.mark.parametrize("part", PARTS)
def test_an_element_that_no_sample_has(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row of 30,000 of the word table, which no sample happens to look up."""
    pieces = [*checkpoints.PIECES, *(f"w{at}" for at in range(30_000))]
    source, save = tmp_path / "large", tf.saved_model.save
    checkpoints.save_model(source, "bert", vocab_size=len(pieces), hidden_size=6)
    checkpoints.save_tokenizer(source, checkpoints.wordpiece(pieces))

    def careless(model: Any, *arguments: Any, **options: Any) -> None:
        table = next(each for each in model.variables if "word/table" in each.name)
        table[20_011, 3].assign(table[20_011, 3] * 1.01)
        save(model, *arguments, **options)

    monkeypatch.setattr(tf.saved_model, "save", careless)
    with pytest.raises(hub_export.VerificationError, match=r"weights of the .*FAILED.*20011, 3"):
        hub_export.export(source, tmp_path / "out", parts=[part])


def altered(source: Tokenizer, edit: Any) -> Tokenizer:
    content = json.loads(source.to_str())
    edit(content["model"]["vocab"])
    return Tokenizer.from_str(json.dumps(content))


def renamed(vocabulary: dict[str, int]) -> None:
    vocabulary["##ably"] = vocabulary.pop("##able")


def swapped(vocabulary: dict[str, int]) -> None:
    one, other = "##qqqqz", "##zzzzq"
    vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]


@pytest.mark.parametrize(
    ("edit", "subject"),
    [
        (renamed, "tokens, every vocabulary entry"),
        (renamed, "vocabulary, every entry"),
        (swapped, "vocabulary, every entry"),
    ],
)
def test_an_entry_that_is_another(edit: Any, subject: str) -> None:
    """A continuation piece renamed; two that no text reaches swapped."""
    # What begins like the last two is itself an entry, so that nothing is left for them.
    whole = [f"{first}{rest}" for rest in ("qqqqz", "zzzzq") for first in "abc"]
    source = checkpoints.wordpiece([*checkpoints.PIECES, "##able", "##qqqqz", "##zzzzq", *whole])
    other = altered(source, edit)
    model = Model(preprocess.build(other, "[PAD]", "[MASK]", 16, 2))
    few = samples.Amount(step=10**6, fuzz=50, pairs=5)
    checks = preprocessor.compare(model, source, 2, Progress(quiet=True), few)
    failed = [each.subject for each in checks if each.outcome == Outcome.FAILED]
    assert subject in failed


class Model:
    """A preprocessor with the calls of an exported one."""

    def __init__(self, made: preprocess.Preprocessor) -> None:
        self._made = made
        self.tokenize = Tokenize(made)
        self.tokenize_with_offsets = made.tokenizer.tokenize_with_offsets
        self.detokenize = made.tokenizer.detokenize

    def bert_pack_inputs(self, segments: Any, seq_length: Any) -> dict[str, tf.Tensor]:
        packed = self._made.packer([preprocess.flat_segment(each) for each in segments], seq_length)
        return {
            "input_word_ids": packed.word_ids,
            "input_mask": packed.mask,
            "input_type_ids": packed.type_ids,
        }


class Tokenize:
    """`tokenize` with its special tokens."""

    def __init__(self, made: preprocess.Preprocessor) -> None:
        self._made = made

    def __call__(self, texts: tf.Tensor) -> tf.RaggedTensor:
        return self._made.tokenizer.tokenize(texts)

    def get_special_tokens_dict(self) -> dict[str, int]:
        return {"padding_id": self._made.special.padding}


def test_every_entry_that_a_text_can_give_is_given(assets: Path) -> None:
    """Nearly all of a published vocabulary; those left are counted."""
    source = token_parity.published(assets)["bert-base-uncased"]()
    with unpacked(source):
        texts, unreached = samples.vocabulary(source)
        rows = source.encode_batch(texts, add_special_tokens=False)
    given = {id for row in rows for id in row.ids}
    assert len(set(source.get_vocab().values()) - given) == unreached
    assert unreached < 0.1 * source.get_vocab_size()


def test_a_source_that_cannot_compute(tmp_path: Path) -> None:
    """FNet's code wants all rows to have one length there."""
    checkpoints.save_model(tmp_path, "fnet", use_tpu_fourier_optimizations=True)
    with pytest.raises(SourceError, match=r"cannot compute: ValueError: .*verify=none"):
        unsaved.compared(tmp_path)
