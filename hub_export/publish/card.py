"""What lies beside a model for its users: the report, and a page to read."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hub_export import contract
from hub_export.errors import TargetError
from hub_export.publish import manifest
from hub_export.publish.report import Report

ASSETS, FILE = "assets.extra", "README.md"


def describe(part: str, path: Path, report: Report) -> None:
    """Writes `assets.extra/` of a SavedModel: report, requirements and `README.md`.

    Raises:
        TargetError: there is no room for them.
    """
    lines = [f"# {part.capitalize().replace('_', ' ')} of {report.source['name']}", ""]
    if report.source["revision"]:
        lines += [f"Revision {report.source['revision']}.", ""]
    for note in report.source["notes"]:
        lines += [note, ""]
    lines += [_USAGE[part], "", *_notes(part, report), "## Custom operations", ""]
    lines += [f"- `{name}` (tensorflow_text)" for name in manifest.custom_ops(path)] or ["None."]
    lines += ["", "## Comparison with the source", "", "```", report.table(), "```", ""]
    try:
        report.write(path / ASSETS)
        manifest.write(path, path / ASSETS)
        (path / ASSETS / FILE).write_text("\n".join(lines), encoding="utf-8")
    except OSError as error:
        raise TargetError(f"{path / ASSETS}: cannot be written ({error.strerror})") from error


_USAGE = {
    "encoder": (
        f"Takes a dict of int32 [batch, length] `{contract.WORD_IDS}`, `{contract.MASK}` and, if "
        f"wanted, `{contract.TYPE_IDS}`. Gives `{contract.POOLED}` [batch, width], "
        f"`{contract.SEQUENCE}` [batch, length, width] and `{contract.LAYERS}`, a list of the "
        "outputs of each block."
    ),
    "preprocessor": (
        "Takes a batch of strings and gives the encoder's inputs. For several texts a row, call "
        "`tokenize` on each and `bert_pack_inputs` on the list. Import tensorflow_text before "
        "loading it."
    ),
    "text_embedding": (
        "Takes a batch of strings and gives a vector of each, float32 [batch, width]. Signatures "
        "for TF Serving: "
        f"`{contract.SERVING}` (`{contract.TEXT}` -> `{contract.DEFAULT}`) and "
        f"`{contract.TOKENS}` (`{contract.TEXT}` -> `{contract.SEQUENCE}`, `{contract.MASK}`). "
        "Import tensorflow_text before loading it."
    ),
}


_WEIGHTS = {
    "float32": "Trainable, with `hub.KerasLayer(path, trainable=True)`.",
    "bfloat16": (
        "Weights are stored and multiplied as bfloat16, for inference: the small steps of an "
        "optimizer are lost in them. To fine-tune, take the float32 export."
    ),
}


def _notes(part: str, report: Report) -> Iterator[str]:
    notes = report.notes[part]
    if part != "preprocessor":
        yield from (_WEIGHTS[report.settings["compute_dtype"]], "")
    if contract.POOLED in notes:
        yield from (f"`{contract.POOLED}` is {notes[contract.POOLED]}.", "")
    if contract.ENGINE in notes:
        yield from (f"Words are tokenized by the {notes[contract.ENGINE]}.", "")
    if contract.EMBEDDING in notes:
        yield from _embedding(notes[contract.EMBEDDING])
    if unused := notes.get("unused_tensors"):
        yield "Tensors of the checkpoint that the encoder has no use for:"
        yield from ("", *(f"- `{name}`: {reason}" for name, reason in unused.items()), "")


def _embedding(notes: Mapping[str, Any]) -> Iterator[str]:
    """What becomes of a text, a line a step."""
    yield from ("What becomes of a text:", "")
    if notes["prompt"]:
        yield f"- {notes['prompt']!r} is put before it."
    yield f"- It is cut at {notes['max_length']} tokens, special ones included."
    yield f"- Its vector is made by: {notes['pooling']}."
    yield from (f"- Then: {module}." for module in notes["modules"])
    yield from (f"- The vector has {notes['dimensions']} columns.", "")
    if notes["pairs"]:
        yield (
            f"The signature `{contract.PAIR}` (`{contract.TEXT}`, `{contract.TEXT_PAIR}` -> "
            f"`{contract.DEFAULT}`) takes two texts in one row, as the checkpoint reads them. It "
            "gives the vector that the checkpoint's classifier works on, not a score: the "
            "classifier is left out, like every task head."
        )
        yield ""
