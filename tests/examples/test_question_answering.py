"""The example of question answering: it learns, and what it exports is what it learned."""

import itertools
import json
from pathlib import Path

import tensorflow as tf

import hub_export
from examples import question_answering


def squad(path: Path) -> Path:
    """Whoever asks is answered by the letter behind `é x`; a question with `z` has no answer."""
    letters = "abcdefgh"
    paragraphs = []
    for at, (before, answer) in enumerate(itertools.permutations(letters, 2)):
        context = f"{before} " * (1 + at % 3) + f"é x {answer} y"
        place = {"text": answer, "answer_start": len(context) - 3}
        qas = [
            {"question": "x", "answers": [place]},
            {"question": "z", "answers": [], "is_impossible": True},
        ]
        paragraphs.append({"context": context, "qas": qas})
    path.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}), encoding="utf-8")
    return path


def test_it_learns(calm_export: hub_export.Export, tmp_path: Path) -> None:
    path = squad(tmp_path / "squad.json")
    [first, second, *_] = question_answering.read(path)
    assert first.context.encode()[first.start : first.limit] == b"b"
    assert (second.start, second.limit) == (0, 0)
    flags = {
        **{part: calm_export.paths[part] for part in ("encoder", "preprocessor")},
        **{"train": path, "eval": path, "output_dir": tmp_path / "out", "seq_length": 20},
        **{"batch_size": 16, "epochs": 12, "learning_rate": 3e-3},
    }
    right = question_answering.main([f"--{key}={value}" for key, value in flags.items()])
    assert right > 0.9  # half of the questions have no answer
    served = tf.saved_model.load(str(tmp_path / "out" / "serving" / "1"))
    found = served.signatures["serving_default"](
        question=tf.constant(["x", "z", "x"]), context=tf.constant(["a é x b y"] * 2 + [""])
    )
    assert found["answer"].numpy().tolist() == [b"b", b"", b""]
