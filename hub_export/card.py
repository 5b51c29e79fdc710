"""What lies beside a model for its users: the report, and a page to read."""

from collections.abc import Iterator
from pathlib import Path

from hub_export import contract, manifest
from hub_export.errors import TargetError
from hub_export.report import Report

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
        "outputs of each block. Trainable, with `hub.KerasLayer(path, trainable=True)`."
    ),
    "preprocessor": (
        "Takes a batch of strings and gives the encoder's inputs. For several texts a row, call "
        "`tokenize` on each and `bert_pack_inputs` on the list. Import tensorflow_text before "
        "loading it."
    ),
    "text_embedding": (
        "Takes a batch of strings and gives a vector of each, float32 [batch, width]. Trainable, "
        "with `hub.KerasLayer(path, trainable=True)`. Signatures for TF Serving: "
        f"`{contract.SERVING}` (`{contract.TEXT}` -> `{contract.DEFAULT}`) and "
        f"`{contract.TOKENS}` (`{contract.TEXT}` -> `{contract.SEQUENCE}`, `{contract.MASK}`). "
        "Import tensorflow_text before loading it."
    ),
}


def _notes(part: str, report: Report) -> Iterator[str]:
    notes = report.notes[part]
    if contract.POOLED in notes:
        yield from (f"`{contract.POOLED}` is {notes[contract.POOLED]}.", "")
    if contract.ENGINE in notes:
        yield from (f"Words are tokenized by the {notes[contract.ENGINE]}.", "")
    if unused := notes.get("unused_tensors"):
        yield "Tensors of the checkpoint that the encoder has no use for:"
        yield from ("", *(f"- `{name}`: {reason}" for name, reason in unused.items()), "")
