"""The story of an export: read, build, save, verify, describe."""

import dataclasses
import gc
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import tensorflow_text  # noqa: F401 (loading a preprocessor needs its operations)

import preprocess
from hub_export.errors import ExportError
from hub_export.models.part import Part, Settings, untrained
from hub_export.models.parts import PARTS
from hub_export.publish import card
from hub_export.publish.report import Check, Report, source
from hub_export.publish.staging import Staging
from hub_export.sources import find
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.formats import torch_files
from hub_export.terminal import Progress
from hub_export.verify.closeness import CLOSENESS

VERIFY = ("auto", "full", "none")
WEIGHTS = ("pretrained", "none")


@dataclasses.dataclass(frozen=True)
class Export:
    """What an export wrote.

    Attributes:
        paths: part (`encoder`, `preprocessor`, `text_embedding`) -> the folder of its SavedModel.
        report: how it was verified.
    """

    paths: dict[str, Path]
    report: Report


def export(
    model: str | Path,
    output_dir: str | Path = "exported",
    *,
    name: str | None = None,
    version: int = 1,
    seq_length: int | None = None,
    parts: Sequence[str] = tuple(PARTS),
    verify: str = "auto",
    compute_dtype: str = "float32",
    tolerance: float | None = None,
    overwrite: bool = False,
    ignored_options: Sequence[str] = (),
    padded_embedding: bool = False,
    special_tokens_in_text: bool = True,
    tokenizer_engine: str = preprocess.EXACT,
    base_model: str | Path | None = None,
    weights: str = "pretrained",
    pooling: Sequence[str] = (),
    prompt: str | None = None,
    dimensions: int | None = None,
    quiet: bool = True,
) -> Export:
    """Exports a checkpoint as verified SavedModels.

    Args:
        model: a folder (a checkpoint in Hugging Face layout, a Keras preset, a checkpoint of
            TensorFlow 1, a PEFT adapter); a hub id (`user/model`, `hf://user/model`,
            `user/model@revision`); a preset of keras-hub (`bert_base_en`,
            `kaggle://user/model/keras/variation`).
        output_dir: where to write; made if need be.
        name: what the exports are called; by default the last part of `model`.
        version: number of the folder inside, as TF Serving wants it.
        seq_length: length of the preprocessor's outputs where a call says none; by default 128, or
            the encoder's number of positions where that is less.
        parts: which of `encoder`, `preprocessor` and `text_embedding` to write.
        verify: `auto` compares tokens always, and numbers where torch is installed; `full` fails
            where it is not; `none` compares nothing.
        compute_dtype: `float32`, or `bfloat16`: weights are stored and multiplied as such, which
            takes half the room and, on processors that have instructions for it, less time. Layer
            norms, softmax and outputs stay float32. For inference: the small steps of an optimizer
            are lost in bfloat16.
        tolerance: the largest difference of a number, for activations of unit scale, by default
            1e-5; with bfloat16, how much less than one a cosine may be, by default 2e-3.
        overwrite: whether to replace a version that exists.
        ignored_options: keys of the configuration to pass over, unknown ones for instance.
        padded_embedding: whether the word embedding may have more rows than the vocabulary.
        special_tokens_in_text: whether a special token in a text, such as `[SEP]`, is one (as in
            the source by default) rather than text like any other.
        tokenizer_engine: `exact`, or for Unigram tokenizers `fast`: SentencePiece's own operation,
            which may differ from the source where two ways to cut a word are as good as equal.
        base_model: what an adapter adapts, in the words of `model`; by default what it says.
        weights: `pretrained`, or `none` for random ones, to train from scratch.
        pooling: how the text embedding makes one vector of a text, instead of what the checkpoint
            says: some of `cls`, `max`, `mean`, `mean_sqrt_len_tokens`, `weightedmean`,
            `lasttoken`, whose vectors are concatenated.
        prompt: name of the checkpoint's prompt that the text embedding puts before every text; by
            default the checkpoint's default one, if it has one; empty for none.
        dimensions: how many columns of the text embedding's vectors to keep (Matryoshka);
            normalised again where the checkpoint normalises.
        quiet: whether to write nothing to the terminal.

    Returns:
        Paths and report. The same report stands in each SavedModel's
        `assets.extra/verification.json`.

    Raises:
        ExportError: a SourceError, TargetError or VerificationError says what is wrong; nothing
            has been written then.
    """
    progress = Progress(quiet)
    settings = Settings(
        name=name or "",
        version=version,
        seq_length=seq_length,
        verify=verify,
        compute_dtype=compute_dtype,
        tolerance=tolerance,
        ignored_options=tuple(ignored_options),
        padded_embedding=padded_embedding,
        special_tokens_in_text=special_tokens_in_text,
        tokenizer_engine=tokenizer_engine,
        weights=weights,
        pooling=tuple(pooling),
        prompt=prompt,
        dimensions=dimensions,
    )
    _check(settings, parts)
    progress.say(f"reading {model}")
    base = None if base_model is None else str(base_model)
    checkpoint = find.read(str(model), base, weights == "pretrained")
    settings = dataclasses.replace(settings, name=_identifier(name, checkpoint))
    if unknown := set(settings.ignored_options) - checkpoint.config.keys():
        raise ExportError(
            f"ignored_options: {checkpoint.config_file} has no {', '.join(sorted(unknown))}"
        )
    if weights == "none":
        checkpoint = untrained(checkpoint, settings)
    chosen = {part: PARTS[part](checkpoint, settings) for part in parts}
    with Staging(Path(output_dir), overwrite) as staging:
        report = _write(chosen, checkpoint, settings, staging, progress)
        return Export(dict(zip(chosen, staging.commit(), strict=True)), report)


def _write(
    parts: Mapping[str, Part],
    checkpoint: Checkpoint,
    settings: Settings,
    staging: Staging,
    progress: Progress,
) -> Report:
    """Saves, verifies and describes every part, before any of them gets its final name."""
    version = str(settings.version)
    places = {name: staging.place(Path(part.folder, version)) for name, part in parts.items()}
    for name, part in parts.items():
        progress.say(f"building and saving the {name}")
        part.save(places[name])
        gc.collect()  # functions and their graphs refer to each other
    checks = [
        check
        for name, part in parts.items()
        if settings.verify != "none"
        for check in _verified(part, places[name], progress)
    ]
    notes = {name: part.notes for name, part in parts.items()}
    report = Report(source(checkpoint), dataclasses.asdict(settings), notes, checks)
    report.raise_if_failed()
    progress.say("describing and moving into place")
    for name, place in places.items():
        card.describe(name, place, report)
    return report


def _verified(part: Part, place: Path, progress: Progress) -> list[Check]:
    progress.say(f"loading and verifying {part.folder}")
    return part.verify(place, progress)


def _check(settings: Settings, parts: Sequence[str]) -> None:
    """Raises ExportError for arguments that lead nowhere."""
    choices = {
        "verify": VERIFY,
        "weights": WEIGHTS,
        "compute_dtype": tuple(CLOSENESS),
    }
    given = dataclasses.asdict(settings)
    least = {"version": 0, "seq_length": 1, "tolerance": 0}
    problems = [
        f"{key} must be {low} or more, not {given[key]}"
        for key, low in least.items()
        if given[key] is not None and not given[key] >= low
    ]
    problems += [
        f"{key} must be one of {', '.join(values)}, not {given[key]}"
        for key, values in choices.items()
        if given[key] not in values
    ]
    if not parts or not set(parts) <= PARTS.keys():
        problems.append(
            f"parts must be some of {', '.join(PARTS)}, not {', '.join(parts) or 'none'}"
        )
    asked = [key for key in ("pooling", "prompt", "dimensions") if given[key] not in (None, ())]
    if asked and "text_embedding" not in parts:
        problems.append(f"{', '.join(asked)}: only for the text_embedding, which is not exported")
    if settings.verify == "full" and set(parts) - {"preprocessor"} and not torch_files.available():
        problems.append(f"verify=full needs torch ({torch_files.INSTALL})")
    if problems:
        raise ExportError("; ".join(problems))


def _identifier(name: str | None, checkpoint: Checkpoint) -> str:
    """`distilbert-base-cased` -> `distilbert_base_cased`."""
    if name is not None:
        if not re.fullmatch(r"[0-9A-Za-z_]+", name):
            raise ExportError(f"name must be letters, digits and underscores, not {name!r}")
        return name
    last = checkpoint.name.rsplit("/", 1)[-1]
    identifier = re.sub(r"[^0-9A-Za-z]+", "_", last).strip("_")
    if not identifier:
        raise ExportError(f"no name can be made of {last!r}; give one (name, --name)")
    return identifier
