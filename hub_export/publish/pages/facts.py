"""What is known of an export: the one source of all its pages.

It comes from what the export carries: its report (`verification.json`), its list of files, the
graphs themselves, and the documents of its source.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hub_export import contents, parts
from hub_export.contents import Contents
from hub_export.errors import SourceError
from hub_export.publish import report
from hub_export.publish.card import FILE, SOURCE
from hub_export.publish.pages import licenses, signatures, source_card
from hub_export.publish.pages.signatures import Signature
from hub_export.publish.pages.source_card import SourceCard
from hub_export.publish.report import Stated
from hub_export.settings import ENCODER, FLOAT32, PREPROCESSOR, PRETRAINED, TEXT_EMBEDDING
from hub_export.sources.checkpoint import BASE
from hub_export.terminal import Progress
from hub_export.verify.checks import Check, Outcome

_COPIES = ("_litert", "_mediapipe")
_COMMIT, _LANGUAGE = re.compile(r"[0-9a-f]{40}"), re.compile(r"[a-z]{2,3}|multilingual|code")


@dataclasses.dataclass(frozen=True)
class Part:
    """One model of an export.

    Attributes:
        name: which one, such as `text_embedding` or `encoder_litert`.
        folder: where it is.
        contents: its files.
        stated: its report, as far as commands ask.
        signatures: what it takes and gives; a copy has none here.
        parameters: how many numbers its variables have; None of a copy.
    """

    name: str
    folder: Path
    contents: Contents
    stated: Stated
    signatures: Sequence[Signature]
    parameters: int | None

    @property
    def is_copy(self) -> bool:
        """Whether it is for LiteRT or MediaPipe, and no SavedModel."""
        return self.contents.of != self.name

    @property
    def place(self) -> str:
        """Its folder within the output folder."""
        return f"{self.folder.parent.name}/{self.folder.name}"

    @property
    def version(self) -> str:
        """Its version folder."""
        return self.folder.name

    @property
    def size(self) -> int:
        """In bytes, of all its files."""
        return sum(entry.size for entry in self.contents.files.values())

    @property
    def models(self) -> Mapping[str, int]:
        """Of a copy: file -> its size, in bytes."""
        files = self.contents.files.items()
        return {name: entry.size for name, entry in files if name.endswith(".tflite")}

    @property
    def notes(self) -> Mapping[str, Any]:
        """What a user of it should know."""
        noted: Mapping[str, Any] = self.stated.report.notes.get(self.name, {})
        return noted


class Speed(NamedTuple):
    """Of one model.

    Attributes:
        part: which one.
        precision: what the weights of a copy are stored as; empty of a SavedModel.
        milliseconds: of one text, the median of several calls.
        texts_per_second: where a batch of texts is asked together.
    """

    part: str
    precision: str
    milliseconds: float
    texts_per_second: float


@dataclasses.dataclass(frozen=True)
class Facts:
    """All that a page tells.

    Attributes:
        parts: the models, the one that a reader looks for first in front.
        cards: of the source, and of the models that it adapts; None for one without a card.
        license: the hub's word for it; empty where nobody names one.
        base_model: the source's id on the Hugging Face hub; empty where it is not known.
        speeds: of the parts, where they were measured.
        machine: what on.
    """

    parts: Sequence[Part]
    cards: Sequence[SourceCard | None]
    license: str
    base_model: str
    speeds: Sequence[Speed] = ()
    machine: str = ""

    @property
    def stated(self) -> Stated:
        """The report, as far as commands ask; that of the first part."""
        return self.parts[0].stated

    @property
    def name(self) -> str:
        """What the export is called."""
        return str(self.stated.report.settings["name"])

    @property
    def source_name(self) -> str:
        """What the source is called, on the Hugging Face hub where that is known."""
        return self.base_model or self.stated.name

    @property
    def rounded(self) -> list[str]:
        """What weights of copies are stored as, where that is less exact than the source's."""
        found = {name.rpartition("_")[2].partition(".")[0] for p in self.parts for name in p.models}
        return sorted(found - {FLOAT32})

    @property
    def weights(self) -> str:
        """PRETRAINED where they are the source's; TRAINED, or NONE where they are random."""
        return str(self.stated.report.settings.get("weights", PRETRAINED))

    @property
    def takes_texts(self) -> bool:
        """Whether strings go in; an encoder by itself takes ids."""
        return any(each.contents.of != ENCODER for each in self.parts)

    @property
    def source(self) -> Mapping[str, Any]:
        """What the report says of the source."""
        return self.stated.report.source

    @property
    def card(self) -> SourceCard:
        """The source's card; an empty one where it has none."""
        return self.cards[0] or SourceCard()

    @property
    def size(self) -> Mapping[str, int]:
        """Sizes of the encoder, where the report tells them."""
        return {name: value for name, value in self.source.get("size", {}).items() if value}

    @property
    def seq_length(self) -> int:
        """The default length of the preprocessor's rows."""
        asked = self.stated.report.settings.get("seq_length")
        return int(asked or min(128, self.size.get("positions", 128)))

    @property
    def languages(self) -> list[str]:
        """Their codes, those that are some."""
        return [each for each in self.card.languages if _LANGUAGE.fullmatch(each)]

    @property
    def task(self) -> Part | None:
        """The model of the task, if there is one."""
        known = (ENCODER, PREPROCESSOR, TEXT_EMBEDDING)
        models = (each for each in self.parts if each.name not in known and not each.is_copy)
        return next(models, None)

    @property
    def differing(self) -> list[Check]:
        """Comparisons that found differences that are allowed, or were left out."""
        checks = self.stated.report.checks
        return [each for each in checks if each.outcome in (Outcome.DIFFERS, Outcome.NOT_COMPARED)]

    def part(self, name: str) -> Part | None:
        """A part by its name."""
        return next((each for each in self.parts if each.name == name), None)


def gather(
    path: Path, wanted: Sequence[str] = (), license: str = "", base_model: str = ""
) -> Facts:
    """What is known of an export, of all its parts that lie beside each other.

    Args:
        path: folder of one version of one of its parts.
        wanted: which parts are meant; by default all that are there.
        license: what the user says its licence is called.
        base_model: what the user says the source is called on the Hugging Face hub.

    Raises:
        SourceError: a part is damaged, or of a later format; or one that is wanted is not there.
        ExportError: the source's card names another licence.
    """
    path = path.resolve()  # of `.`, the name says nothing
    contents.read(path)  # says best what is wrong with it
    found = sorted((_part(folder) for folder in _beside(path)), key=_rank)
    chosen = choose(found, wanted, path)
    stated = chosen[0].stated
    cards = [*_cards(chosen[0].contents.assets / SOURCE, stated)]
    of_hub = stated.name if _COMMIT.fullmatch(stated.revision or "") else ""
    return Facts(chosen, cards, licenses.named(cards, license), base_model or of_hub)


def check(parts: Sequence[Part], progress: Progress) -> None:
    """Reads all their files; raises SourceError where one is not what was written."""
    for part in parts:
        progress.say(f"reading the files of {part.folder}")
        part.contents.check(part.folder)


def choose(parts: Sequence[Part], wanted: Sequence[str], path: Path) -> list[Part]:
    """Those parts of an export that are wanted; all where none is named.

    Args:
        parts: of the export.
        wanted: their names.
        path: where the export was looked for, for the error.

    Raises:
        SourceError: one is not there.
    """
    names = [each.name for each in parts]
    if not {*wanted} <= {*names}:
        raise SourceError(
            f"{path}: expected the parts {', '.join(wanted)} of its export beside it, found "
            f"{', '.join(names)}; parts of one export have one output folder and one version"
        )
    return [each for each in parts if not wanted or each.name in wanted]


def _beside(path: Path) -> Iterator[Path]:
    """A part's folder, those of its export beside it, and their copies."""
    own = _source(path)
    siblings = parts.siblings(_original(path, own))
    yield from siblings
    for sibling in siblings:
        for mark in _COPIES:
            copy = sibling.parent.with_name(sibling.parent.name + mark) / sibling.name
            if copy.is_dir() and _source(copy) == own:
                yield copy


def _original(path: Path, source: Mapping[str, Any]) -> Path:
    """What a folder is a copy of, if that lies beside it; else the folder itself."""
    found = contents.read(path)
    name = path.parent.name.removesuffix(found.part.removeprefix(found.of))
    original = path.parent.with_name(name) / path.name
    return original if original.is_dir() and _source(original) == source else path


def _source(folder: Path) -> Mapping[str, Any]:
    return report.read(contents.read(folder).assets).report.source


def _part(folder: Path) -> Part:
    folder = folder.resolve()
    found = contents.read(folder)
    found.check(folder, deep=False)
    stated, is_model = report.read(found.assets), "saved_model.pb" in found.files
    return Part(
        found.part,
        folder,
        found,
        stated,
        signatures.read(folder) if is_model else (),
        signatures.parameters(folder) if is_model else None,
    )


def _rank(part: Part) -> tuple[bool, int]:
    """Models of tasks first, the preprocessor last, copies behind all."""
    order = (TEXT_EMBEDDING, ENCODER, PREPROCESSOR)
    return part.is_copy, order.index(part.name) + 1 if part.name in order else 0


def _cards(folder: Path, stated: Stated) -> Iterator[SourceCard | None]:
    """That of the source, and of each model below it; one without documents has no folder."""
    below = max((name.count(BASE) for name in stated.report.source.get("sha256", ())), default=0)
    for depth in range(below + 1):
        yield source_card.read(folder.joinpath(*["base"] * depth, FILE))
