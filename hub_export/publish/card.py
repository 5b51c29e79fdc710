"""What lies beside a model for its users: the report, and a page to read."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hub_export import contract
from hub_export.errors import TargetError
from hub_export.litert.description import SERVED, model_file
from hub_export.models import mediapipe, served_litert
from hub_export.models.litert import LiteRtCopy
from hub_export.models.mediapipe import MediaPipeCopy
from hub_export.models.product import Product
from hub_export.publish import manifest
from hub_export.publish.report import Report
from hub_export.settings import ENCODER, PREPROCESSOR

ASSETS, FILE = "assets.extra", "README.md"
_SHOWN = 40  # tokens


def describe(product: Product, path: Path, report: Report) -> None:
    """Writes `assets.extra/` of a SavedModel: report, requirements and `README.md`.

    Raises:
        TargetError: there is no room for them.
    """
    lines = [*_head(product.name, report), product.usage, "", *_notes(product.name, report)]
    lines += _served(report) if product.name == ENCODER else ()
    lines += ["## Custom operations", ""]
    lines += [f"- `{name}` (tensorflow_text)" for name in manifest.custom_ops(path)] or ["None."]
    with _explained(path / ASSETS):
        (path / ASSETS).mkdir(exist_ok=True)
        manifest.write(path, path / ASSETS)
    _write(path / ASSETS, [*lines, ""], report)


def describe_copy(copy: LiteRtCopy, path: Path, report: Report) -> None:
    """Writes report and `README.md` into a LiteRT copy's folder.

    Raises:
        TargetError: there is no room for them.
    """
    kind, takes = ("Model", "ids") if copy.of.name == ENCODER else ("TextModel", "texts")
    place = f"{copy.folder}/{report.settings['version']}"
    first = f"{place}/{model_file(report.notes[copy.name]['precisions'][0])}"
    lines = [
        *_head(copy.name, report),
        *(_of_mediapipe(copy, first) if isinstance(copy, MediaPipeCopy) else ()),
        f"The {copy.of.name.replace('_', ' ')} for LiteRT. It takes {takes}:",
        *("", "```python", f"from hub_export.litert import {kind}", ""),
        *(f'model = {kind}("{place}")', "```", ""),
        "That needs `ai-edge-litert`, `tokenizers` and numpy, and no TensorFlow. A row has at most "
        f"{report.notes[copy.name]['longest']} tokens, special ones included.",
        "",
    ]
    for file in sorted(path.glob("*.tflite")):
        lines.append(f"- `{file.name}`: {file.stat().st_size / 1e6:.1f} MB")
    _write(path, [*lines, ""], report)


_MEDIAPIPE = """A file is what MediaPipe's `{task}` reads, on phones, in browsers and in Python:

```python
from mediapipe.tasks.python.text import {task}

task = {task}.create_from_model_path("{place}")
```

MediaPipe tokenizes by itself. It lower-cases ASCII letters alone and leaves accents: give it texts
in lower case whose accents are gone (NFD without combining marks), and nearly all tokens are those
of the source. What follows reads texts as the source does, always; so did the comparison below.
"""


def _of_mediapipe(copy: MediaPipeCopy, place: str) -> list[str]:
    """How MediaPipe asks a copy."""
    return [_MEDIAPIPE.format(task=mediapipe.TASKS[copy.of.name], place=place)]


def _served(report: Report) -> Iterator[str]:
    """What lies beside an encoder for TF Serving."""
    if served := report.notes.get(ENCODER + served_litert.SUFFIX):
        yield from (
            f"`{SERVED}`, its weights stored as {', '.join(served['precisions'])}, is what "
            "`tensorflow_model_server --prefer_tflite_model` reads instead of `saved_model.pb` "
            "(experimental). Its only signature, `serving_default`, takes one row of exactly "
            f"{served['longest']} tokens; without `--enable_batching`.",
            "",
        )


def _head(name: str, report: Report) -> Iterator[str]:
    """Title, revision and notes."""
    title = name.capitalize().replace("_litert", " (LiteRT)").replace("_mediapipe", " (MediaPipe)")
    title = title.replace("_", " ")
    yield from (f"# {title} of {report.source['name']}", "")
    if report.source["revision"]:
        yield from (f"Revision {report.source['revision']}.", "")
    for note in report.source["notes"]:
        yield from (note, "")


def _write(folder: Path, lines: Sequence[str], report: Report) -> None:
    """Writes the report, and a page that ends with it."""
    compared = ["## Comparison with the source", ""]
    compared += [f"Computed on: {report.device}.", ""] if report.checks else []
    compared += ["```", report.table(), "```", ""]
    with _explained(folder):
        report.write(folder)
        (folder / FILE).write_text("\n".join([*lines, *compared]), encoding="utf-8")


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TargetError(f"{folder}: cannot be written ({error.strerror})") from error


_WEIGHTS = {
    "float32": "Trainable, with `hub.KerasLayer(path, trainable=True)`.",
    "bfloat16": (
        "Weights are stored and multiplied as bfloat16, for inference: the small steps of an "
        "optimizer are lost in them. To fine-tune, take the float32 export."
    ),
}


def _notes(name: str, report: Report) -> Iterator[str]:
    notes = report.notes[name]
    if name != PREPROCESSOR:
        yield from (_WEIGHTS[report.settings["compute_dtype"]], "")
    if contract.POOLED in notes:
        yield from (f"`{contract.POOLED}` is {notes[contract.POOLED]}.", "")
    if remark := notes.get(contract.VOCABULARY):
        yield from (remark, "")
    if contract.ENGINE in notes:
        yield from (f"Words are tokenized by the {notes[contract.ENGINE]}.", "")
    if contract.EMBEDDING in notes:
        yield from _embedding(notes[contract.EMBEDDING])
    if contract.TASK in notes:
        yield from _task(notes[contract.TASK])
    if unused := notes.get("unused_tensors"):
        yield "Tensors of the checkpoint that the encoder has no use for:"
        yield from ("", *(f"- `{name}`: {reason}" for name, reason in unused.items()), "")


def _task(notes: Mapping[str, Any]) -> Iterator[str]:
    """What becomes of a text, and the labels."""
    if notes["prompt"]:
        yield f"{notes['prompt']!r} is put before a text."
    if "late" in notes:
        yield from (_side(name, side) for name, side in notes["late"].items())
    else:
        yield f"A text is cut at {notes['max_length']} tokens, special ones included."
    if "activation" in notes:
        yield f"Probabilities are made of logits by: {notes['activation']}."
    if "zero_shot" in notes:
        yield f"Zero-shot classification claims of a text: {notes['zero_shot']['template']!r}."
    if "labels" in notes:
        yield from ("", "Labels, in the order of the columns:", "")
        yield from (f"- {label}" for label in notes["labels"])
    yield ""


def _side(name: str, notes: Mapping[str, Any]) -> str:
    """What becomes of a query or a document."""
    cut = f"it is cut at {notes['max_length']} tokens, special ones included"
    steps = [f"{notes['prompt']!r} is put before it"] * bool(notes["prompt"]) + [cut]
    if notes["filled_to"]:
        steps.append(f"filled up to {notes['filled_to']} with `{notes['filled_with']}`")
    if left_out := notes["left_out"]:
        shown = " ".join(left_out[:_SHOWN]) + " ..." * (len(left_out) > _SHOWN)
        steps.append(f"{len(left_out)} tokens get no vector: `{shown}`")
    return f"Of a {name}: {', '.join(steps)}."


def _embedding(notes: Mapping[str, Any]) -> Iterator[str]:
    """What becomes of a text, a line a step."""
    yield from ("What becomes of a text:", "")
    if notes["prompt"]:
        yield f"- {notes['prompt']!r} is put before it."
    asked = notes["asked_length"]
    why = f": the encoder has no positions for {asked}, which the checkpoint asks for" * bool(asked)
    yield f"- It is cut at {notes['max_length']} tokens, special ones included{why}."
    yield f"- Its vector is made by: {notes['pooling']}."
    yield from (f"- Then: {module}." for module in notes["modules"])
    yield from (f"- The vector has {notes['dimensions']} columns.", "")
    if notes["pairs"]:
        yield (
            f"The signature `{contract.PAIR}` (`{contract.TEXT}`, `{contract.TEXT_PAIR}` -> "
            f"`{contract.DEFAULT}`) takes two texts in one row, as the checkpoint reads them. It "
            "gives the vector that the checkpoint's classifier works on, not a score: that is what "
            "the text classification gives."
        )
        yield ""
