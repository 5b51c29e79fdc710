"""Questions and contexts in, answers out: against the pipeline of transformers 4.

That of question answering is not in transformers 5: `Pipeline` follows what it did.
"""

import functools
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import torch
import transformers
from tokenizers import pre_tokenizers

import hub_export
from hub_export import ExportError, SourceError
from hub_export.litert.text_model import TextModel
from hub_export.litert.windows import windows
from hub_export.models import litert
from hub_export.models.tasks import passages
from hub_export.verify import samples
from hub_export.verify.checks import Outcome
from hub_export.verify.loaded import NUMBER, TEXT, of_any_size
from tests import checkpoints, unsaved
from tests.outcomes import assert_passed

Answering = dict[bool, Callable[..., Any]]
"""The method of a model: whether there may be no answer -> of questions, contexts and `top_k`."""
PART = "question_answering"
LAYERS = {"num_hidden_layers": 1}
TOLERANCE = 1e-5
RELATIVE = 2e-4
"""Of a score, whose logits may differ by 1e-5 times their own scale."""


def save_bert(folder: Path, **options: Any) -> None:
    options = {**LAYERS, **options}
    checkpoints.save_model(folder, "bert", "BertForQuestionAnswering", **options)
    checkpoints.save_tokenizer(folder, checkpoints.wordpiece(checkpoints.PIECES))


def save_roberta(folder: Path) -> None:
    size = checkpoints.save_byte_pairs(folder)
    options = {"vocab_size": size, "type_vocab_size": 1, "pad_token_id": 1, **LAYERS}
    positions = {"max_position_embeddings": 122}
    checkpoints.save_model(folder, "roberta", "RobertaForQuestionAnswering", **options, **positions)


def save_albert(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "spiece.model").write_bytes(checkpoints.sentence_pieces())
    size = len(transformers.AlbertTokenizer.from_pretrained(folder))
    options = {"vocab_size": size, "max_position_embeddings": 64, **LAYERS}
    checkpoints.save_model(folder, "albert", "AlbertForQuestionAnswering", **options)


def save_modernbert(folder: Path) -> None:
    tokenizer = checkpoints.bpe(pre_tokenizers.ByteLevel(add_prefix_space=False))
    sizes = {"vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": 120}
    options = {**sizes, **LAYERS}
    checkpoints.save_model(
        folder, "modernbert", "ModernBertForQuestionAnswering", pad_token_id=0, **options
    )
    checkpoints.save_tokenizer(folder, tokenizer)
    named = {"cls_token": "[CLS]", "pad_token": "[PAD]", "mask_token": "[MASK]"}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", **named}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def save_xlnet(folder: Path) -> None:
    """Pads on the left: the context comes first, and the token for no answer last."""
    folder.mkdir(parents=True)
    (folder / "spiece.model").write_bytes(checkpoints.sentence_pieces())
    size = len(transformers.XLNetTokenizer.from_pretrained(folder))
    options = {"vocab_size": size, "n_positions": 40, "n_layer": 1}
    checkpoints.save_model(folder, "xlnet", "XLNetForQuestionAnsweringSimple", **options)


SAVE = {
    "bert": save_bert,
    "roberta": save_roberta,
    "albert": save_albert,
    "modernbert": save_modernbert,
}


class Answer(NamedTuple):
    score: float
    text: str
    start: int
    end: int


class Pipeline:
    """The answers of the pipeline of transformers 4 (version 4.57), without spans of score zero.

    Where the context comes first, it puts answers into questions, and reads at the first place how
    probable it is that there is none, wherever models are trained to say so: not here.
    """

    def __init__(self, folder: Path, longest: int) -> None:
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.model = transformers.AutoModelForQuestionAnswering.from_pretrained(folder).eval()
        # ALBERT's tokenizer gives none in transformers 5, as it did in 4.
        config = self.model.config
        self.has_types = config.model_type == "xlnet" or getattr(config, "type_vocab_size", 0) > 1
        is_first = self.tokenizer.padding_side == "left"
        self.side, self.none = (0, -1) if is_first else (1, 0)
        self.longest, self.stride = min(longest, 384), min(min(longest, 384) // 2, 128)

    def takes(self, question: str, context: str) -> bool:
        """Whether it has room for a question, puts no answers into it, and makes a few windows."""
        ids, read = (
            self.tokenizer(each, add_special_tokens=False)["input_ids"]
            for each in (question, context)
        )
        # Where a question spells out the token that stands for no answer, answers begin there.
        fits = len(ids) < self.longest - 4 - self.stride
        # The `tokenizers` library needs gigabytes for hundreds of windows.
        few = len(read) < 16 * (self.longest - 4 - self.stride - len(ids))
        return fits and few and self.tokenizer.cls_token_id not in ids

    def rows(self, question: str, context: str) -> Any:
        return self.tokenizer(
            *(question, context) if self.side else (context, question),
            truncation="only_second" if self.side else "only_first",
            max_length=self.longest,
            stride=self.stride,
            return_overflowing_tokens=True,
            return_token_type_ids=self.has_types,
        )

    def __call__(
        self, question: str, context: str, top_k: int, none: bool = False
    ) -> tuple[list[Answer], bool]:
        """All answers by falling score, and whether no near score was left out of any window."""
        null, merged, clear = 1e6, dict[str, Answer](), True
        for window, start, end in self.windows(question, context):
            ids = window.ids
            null = min(null, float(start[self.none] * end[self.none]))
            products = np.tril(np.triu(start[:, np.newaxis] * end), 14)
            products[self.none] = products[:, self.none] = 0
            order = np.argsort(-products, axis=None, kind="stable")
            scores = products.reshape(-1)[order]
            cut = 2 * top_k + 10
            next = [*scores[cut - 1 : cut + 1], 0.0, 0.0]
            clear &= next[0] <= TOLERANCE or next[0] - next[1] > RELATIVE * next[0]
            for place, score in zip(order[:cut], scores[:cut], strict=True):
                first, last = divmod(int(place), len(ids))
                if score > 0:
                    begin, limit = self.extent(window, first, last)
                    text = context[begin:limit]
                    known = merged.setdefault(text.lower(), Answer(0.0, text, begin, limit))
                    merged[text.lower()] = known._replace(score=known.score + float(score))
        answers = [*merged.values(), *([Answer(null, "", 0, 0)] if none else [])]
        return sorted(answers, key=lambda each: -each.score), clear

    @functools.cache  # noqa: B019 (of one test)
    def windows(self, question: str, context: str) -> list[tuple[Any, Any, Any]]:
        """Each window, and how probable it is that an answer begins, and ends, at each place."""
        read, made = self.rows(question, context), []
        for at, window in enumerate(read.encodings):
            names = ("input_ids", "attention_mask", *["token_type_ids"] * self.has_types)
            with torch.inference_mode():
                found = self.model(**{name: torch.tensor([read[name][at]]) for name in names})
            kept = np.array([side == self.side for side in window.sequence_ids])
            kept |= np.array(window.ids) == self.tokenizer.cls_token_id
            probable = [
                self.softmax(np.where(kept, each[0].numpy(), np.float32(-10000)))
                for each in (found.start_logits, found.end_logits)
            ]
            made.append((window, *probable))
        return made

    @staticmethod
    def softmax(x: Any) -> Any:
        raised = np.exp(x - x.max())
        return raised / raised.sum()

    def extent(self, window: Any, first: int, last: int) -> tuple[int, int]:
        words = [window.token_to_word(each) for each in (first, last)]
        begin, limit = (window.word_to_chars(word, sequence_index=self.side) for word in words)
        return begin[0], limit[1]


def same(
    found: dict[str, Any], at: int, wanted: Sequence[Answer], context: str, top_k: int
) -> None:
    """One text's answers are those; another order only where scores are as good as equal."""
    padded = [*wanted, *[Answer(0.0, "", 0, 0)] * (top_k + 1)][: top_k + 1]
    scores = [each.score for each in padded]
    np.testing.assert_allclose(found["score"][at], scores[:top_k], rtol=0, atol=TOLERANCE)
    for rank, answer in enumerate(padded[:top_k]):
        near = [np.inf, *scores][rank] - answer.score, answer.score - scores[rank + 1]
        if min(near) > 2 * TOLERANCE or (rank == 0 and near[1] > 2 * TOLERANCE):
            extent = [len(context[:place].encode()) for place in (answer.start, answer.end)]
            given = found["start"][at, rank], found["limit"][at, rank]
            assert (found["answer"][at, rank].decode(), *given) == (answer.text, *extent)


def answering(model: Any) -> Answering:
    return {
        none: of_any_size(
            functools.partial(model.answer, handle_impossible_answer=none), TEXT, TEXT, NUMBER
        )
        for none in (False, True)
    }


def compare(
    answer: Answering, pipeline: Pipeline, pairs: Sequence[tuple[str, str]], top_k: int
) -> int:
    """How many of the pairs could be compared."""
    compared = 0
    for begin in range(0, len(pairs), 16):
        some = pairs[begin : begin + 16]
        texts = [tf.constant(each) for each in zip(*some, strict=True)]
        for none in (False, True):
            answers = answer[none](*texts, top_k)
            found = {name: each.numpy() for name, each in answers.items()}
            for at, (question, context) in enumerate(some):
                wanted, clear = pipeline(question, context, top_k, none)
                if clear:
                    same(found, at, wanted, context, top_k)
                    compared += not none
    return compared


def texts(tokenizer: Any) -> list[tuple[str, str]]:
    """Awkward and random pairs that the pipeline has room for, most in several windows."""
    pieces = sorted(tokenizer.get_vocab())
    fuzz = [*samples.fuzz(pieces, tokenizer.all_special_tokens, 100)]
    long = [*samples.lengths(pieces, 30, 200)]
    whole = [each.encode("utf-8", "replace").decode() for each in (*samples.AWKWARD, *fuzz, *long)]
    pairs = [(question[:6], context[:400]) for question, context in itertools.pairwise(whole)]
    for at in range(0, len(whole), 3):
        pairs[at] = pairs[at][0], " ".join(each[:120] for each in whole[at : at + 5])
    return [pair for pair in pairs if pair[0] and pair[1]]


@pytest.mark.parametrize("case", SAVE)
def test_the_pipeline_of_transformers(case: str, tmp_path: Path) -> None:
    folder = tmp_path / "source"
    SAVE[case](folder)
    model, notes = unsaved.product(folder, "task_model")
    answer = answering(model)
    pipeline = Pipeline(folder, notes["task"]["max_length"])
    fitting = [pair for pair in texts(pipeline.tokenizer) if pipeline.takes(*pair)]
    assert sum(len(pipeline.rows(*pair).encodings) > 1 for pair in fitting) >= 30
    assert compare(answer, pipeline, fitting[:80], top_k=3) >= 60
    assert compare(answer, pipeline, fitting[::8], top_k=1) >= 10
    texts_ = [tf.constant(each) for each in zip(*fitting[:20], strict=True)]
    named = dict(zip(("question", "context"), texts_, strict=True))
    for name, none in (("serving_default", False), ("answer_or_none", True)):
        served = model.signatures[name](**named)
        called = answer[none](*texts_, 5)
        for output in ("answer", "score", "start", "limit"):
            np.testing.assert_array_equal(served[output], called[output])


def test_contexts_before_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In graph and LiteRT copy: `verify` compares the latter, and its windows are compared here."""
    monkeypatch.setattr(litert, "LENGTHS", (40,))
    save_xlnet(tmp_path / "source")
    done = hub_export.export(
        tmp_path / "source", tmp_path / "out", parts=["task_model"], litert=["float32"]
    )
    pipeline = Pipeline(tmp_path / "source", 40)
    pairs = [pair for pair in texts(pipeline.tokenizer) if pipeline.takes(*pair)][::2]
    assert sum(len(pipeline.rows(*pair).encodings) > 1 for pair in pairs) >= 10
    model = tf.saved_model.load(str(done.paths[PART]))
    assert compare(answering(model), pipeline, pairs, top_k=3) >= 30
    copy = TextModel(done.paths[f"{PART}_litert"])
    assert compare({none: copied(copy, none) for none in (False, True)}, pipeline, pairs, 3) >= 30


def copied(copy: Any, none: bool) -> Callable[..., Any]:
    """What a LiteRT copy answers, as a SavedModel does."""

    def answer(questions: tf.Tensor, contexts: tf.Tensor, top_k: int) -> dict[str, tf.Tensor]:
        columns = [[*each.numpy()] for each in (questions, contexts)]
        found = copy.answer(*columns, top_k, handle_impossible_answer=none)
        said = [[each.encode() for each in row] for row in found["answer"]]
        return {
            **{key: tf.constant(each) for key, each in found.items() if key != "answer"},
            "answer": tf.constant(said),
        }

    return answer


@pytest.mark.parametrize(
    ("name", "kind", "family"),
    [
        ("bert-base-cased", "BertTokenizer", ("bert", "BertForQuestionAnswering")),
        ("roberta", "RobertaTokenizer", ("roberta", "RobertaForQuestionAnswering")),
        ("albert-privately", "AlbertTokenizer", ("albert", "AlbertForQuestionAnswering")),
    ],
)
def test_real_paragraphs(
    name: str, kind: str, family: tuple[str, str], assets: Path, tmp_path: Path
) -> None:
    """Tokens of published tokenizers, one paragraph or several behind each other as a context."""
    source, folder = assets / "tokenizers" / name, tmp_path / "source"
    tokenizer = getattr(transformers, kind).from_pretrained(source)
    tokenizer.save_pretrained(folder)
    options = {"pad_token_id": tokenizer.pad_token_id, "vocab_size": len(tokenizer), **LAYERS}
    if name != "bert-base-cased":  # as published: the source's windows but the first have odd types
        options["type_vocab_size"] = 1
    checkpoints.save_model(folder, *family, max_position_embeddings=514, **options)
    answer = answering(unsaved.product(folder, "task_model").model)
    lines = (assets / "corpora" / "squad" / "questions.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    contexts = [*dict.fromkeys(row["context"] for row in rows)]
    pairs = [(row["question"], row["context"]) for row in rows[::5]]
    pairs += [(rows[at]["question"], "\n\n".join(contexts[at : at + 3])) for at in range(3)]
    assert compare(answer, Pipeline(folder, 512), pairs, top_k=2) >= 60


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "squad"
    save_bert(folder)
    return folder


@pytest.fixture(scope="module")
def exported(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported")
    done = hub_export.export(source, out, parts=("task_model",), verify="full")
    assert_passed(done.report.checks)
    assert done.paths[PART] == out / "squad_question_answering" / "1"
    return done.paths[PART]


@pytest.fixture(scope="module")
def model(exported: Path) -> Any:
    return tf.saved_model.load(str(exported))


@pytest.fixture(scope="module")
def answer(model: Any) -> Answering:
    return answering(model)


def test_odd_batches(model: Any, answer: Answering) -> None:
    strange = b"a\xff b\0c " + "Straße 👩‍👩‍👧".encode() + b"\xe3\x81"
    contexts = [strange, strange.decode(errors="replace").encode(), b"", b" \n", b"d " * 5000]
    questions = [b"\xff?", "\ufffd?".encode(), b"a", b"", b"q " * 300]
    found = model.answer(questions, contexts, 4)
    found = {name: each.numpy() for name, each in found.items()}
    np.testing.assert_allclose(found["score"][0], found["score"][1], rtol=0, atol=1e-6)
    for at, context in enumerate(contexts):
        for rank in range(4):
            start, limit = found["start"][at, rank], found["limit"][at, rank]
            assert context[start:limit] == found["answer"][at, rank]
    assert (found["score"][[0, 1, 4]] > 0).all()
    assert not (found["score"][2:4].any() or found["limit"][2:4].any())
    nothing = answer[True](["a"], [""], 2)
    assert nothing["answer"].numpy().tolist() == [[b"", b""]]
    np.testing.assert_allclose(nothing["score"], [[1, 0]], atol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError, match="as many questions"):
        answer[False](["a", "b"], ["a"], 1)


def test_a_question_that_leaves_no_room(source: Path, model: Any, answer: Answering) -> None:
    """It is cut to half of what windows do not share; one that leaves room is not."""
    context = "a b c d e f g h i j k l m n o p q r s t u v w x y z"
    # 40 places, 3 special tokens, 20 shared: 16 tokens leave room for a window of 21.
    for tokens, kept in ((16, 16), (17, 8), (60, 8)):
        question = " ".join("abcdefghij"[at % 10] for at in range(tokens))
        found = model.signatures["logits"](
            question=tf.constant([question]), context=tf.constant([context])
        )
        assert int(np.argmax(found["limit"].numpy()[0] > 0)) == kept + 2
        tokenizer = transformers.AutoTokenizer.from_pretrained(source).backend_tokenizer
        rows = [*windows(tokenizer, question, context, 40, passages.OVERLAP)]
        assert rows[0].place == kept + 2
        assert len(rows) == -(-(26 - (37 - kept)) // (17 - kept)) + 1
        assert answer[False]([question], [context], 1)["score"][0, 0] > 0
    # It need not leave room for more than the context.
    question = " ".join("a" * 34)
    found = model.signatures["logits"](
        question=tf.constant([question]), context=tf.constant(["b c d"])
    )
    assert int(np.argmax(found["limit"].numpy()[0] > 0)) == 36


def test_windows_from_the_end(tmp_path: Path) -> None:
    """Where the tokenizer cuts beginnings."""
    save_bert(tmp_path / "source")
    config = tmp_path / "source" / "tokenizer_config.json"
    options = {**json.loads(config.read_text()), "truncation_side": "left"}
    config.write_text(json.dumps(options))
    model = unsaved.product(tmp_path / "source", "task_model").model
    pipeline = Pipeline(tmp_path / "source", 40)
    assert pipeline.tokenizer.truncation_side == "left"
    pairs = [("a b", " ".join("abcdefghijklmnopqrstuvwxyz"[:count]) * 2) for count in (5, 18, 26)]
    assert compare(answering(model), pipeline, pairs, top_k=3) >= 2
    found = model.signatures["logits"](
        question=tf.constant(["a"]), context=tf.constant([pairs[-1][1]])
    )
    assert int(found["limit"][0].numpy().max()) == len(pairs[-1][1])


def test_a_changed_head_fails(source: Path, monkeypatch: Any) -> None:
    """Its variables are compared bit by bit as those of the encoder are."""
    from encoders import QuestionAnswering

    fill = QuestionAnswering.fill

    def spoilt(self: Any, *arguments: Any) -> Any:
        taken = fill(self, *arguments)
        self.output.bias.assign_add([0.0, 1e-7])
        return taken

    monkeypatch.setattr(QuestionAnswering, "fill", spoilt)
    _, (weights, *_) = unsaved.checks(source, "task_model")
    assert weights.outcome is Outcome.FAILED
    assert "headed.head.output.bias[1]: expected" in weights.found


def test_signatures(model: Any) -> None:
    for name in ("serving_default", "answer_or_none"):
        outputs = model.signatures[name].structured_outputs
        assert {key: (each.dtype, each.shape.as_list()) for key, each in outputs.items()} == {
            "answer": (tf.string, [None, 5]),
            "score": (tf.float32, [None, 5]),
            "start": (tf.int64, [None, 5]),
            "limit": (tf.int64, [None, 5]),
        }
    outputs = model.signatures["logits"].structured_outputs
    assert {key: (each.dtype, each.shape.as_list()) for key, each in outputs.items()} == {
        "start_logits": (tf.float32, [None, None]),
        "end_logits": (tf.float32, [None, None]),
        "start": (tf.int64, [None, None]),
        "limit": (tf.int64, [None, None]),
    }


def test_refusals(tmp_path: Path) -> None:
    save_bert(tmp_path / "short", max_position_embeddings=5)
    with pytest.raises(SourceError, match="rows of 5 tokens, 3 of them special, have no room"):
        hub_export.export(tmp_path / "short", tmp_path / "out", parts=("task_model",))
    checkpoints.save_model(tmp_path / "other", "bert", "BertForSequenceClassification")
    checkpoints.save_tokenizer(tmp_path / "other", checkpoints.wordpiece(checkpoints.PIECES))
    with pytest.raises(ExportError, match=r"expected \.\.\.ForQuestionAnswering under"):
        hub_export.export(tmp_path / "other", tmp_path / "out", task="question-answering")
