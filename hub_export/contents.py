"""What an export consists of: `contents.json`, its files with their sizes and checksums.

It stands beside the report, and is written last: a folder that has it was whole once.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from hub_export.checksums import sha256
from hub_export.errors import SourceError, TargetError

FILE, ASSETS = "contents.json", "assets.extra"
FORMAT = 1
"""Counted up where an older `hub_export` would misread what a newer one writes."""
_PLACES = (Path(ASSETS, FILE), Path(FILE))
"""In a SavedModel, and in a LiteRT copy."""


class FormatError(SourceError):
    """An export is of a later version of the format."""


class NoContentsError(SourceError):
    """A folder does not tell its files: what an older `hub_export` wrote does not."""


class Entry(NamedTuple):
    """A file.

    Attributes:
        size: in bytes.
        sha256: of its content, in hexadecimal digits.
    """

    size: int
    sha256: str


def model_of(part: str) -> str:
    """The part that a copy for LiteRT or MediaPipe is of; others are their own.

    >>> model_of("text_embedding_litert")
    'text_embedding'
    """
    return part.removesuffix("_litert").removesuffix("_mediapipe")


@dataclasses.dataclass(frozen=True)
class Contents:
    """The files of an export.

    Attributes:
        part: which part it is, such as `text_embedding` or `encoder_litert`.
        assets: the folder of its report.
        files: path within its folder, parted by slashes -> what it should be.
    """

    part: str
    assets: Path
    files: Mapping[str, Entry]

    @property
    def of(self) -> str:
        """The part that it is, or is a copy of for LiteRT or MediaPipe."""
        return model_of(self.part)

    def extra(self, folder: Path) -> list[str]:
        """Files in the folder that are not the export's, such as warm-up requests."""
        return sorted({*_files(folder)} - self.files.keys())

    def check(self, folder: Path, deep: bool = True) -> None:
        """Compares the files on disk.

        Args:
            folder: of the export.
            deep: whether to read them all; else their sizes alone are compared.

        Raises:
            SourceError: some are missing, or are not what was written.
        """
        problems = [*self._problems(folder, deep)]
        if problems:
            more = f"; and {len(problems) - 3} more" * (len(problems) > 3)
            raise SourceError(
                f"{folder}: damaged, or copied in part: {'; '.join(problems[:3])}{more}; "
                "copy it again, or export it again"
            )

    def _problems(self, folder: Path, deep: bool) -> Iterator[str]:
        for name, entry in self.files.items():
            try:
                size = (folder / name).stat().st_size
                if size != entry.size:
                    yield f"{name}: expected {entry.size} bytes, found {size}"
                elif deep and sha256(folder / name) != entry.sha256:
                    yield f"{name}: its sha256 is not that of the file that was written"
            except OSError as error:
                yield f"{name}: {error.strerror}"


def write(folder: Path, part: str) -> None:
    """Writes which files an export consists of; nothing else may be written after it.

    Raises:
        TargetError: there is no room for it.
    """
    place = folder / ASSETS / FILE if (folder / ASSETS).is_dir() else folder / FILE
    try:
        files = {
            name: Entry((folder / name).stat().st_size, sha256(folder / name))._asdict()
            for name in sorted(_files(folder))
        }
        content = {"format": FORMAT, "part": part, "files": files}
        place.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise TargetError(f"{place}: cannot be written ({error.strerror})") from error


def read(folder: Path) -> Contents:
    """Which files an export consists of.

    Raises:
        SourceError: the file is damaged; a NoContentsError where there is none, a FormatError where
            a later `hub_export` wrote it.
    """
    file = _find(folder)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise FormatError(
                f"{file}: expected format {FORMAT}, found {content['format']!r:.80}, which a later "
                "hub_export wrote; update hub_export"
            )
        files = {_inner(name): Entry(**entry) for name, entry in content["files"].items()}
        return Contents(str(content["part"]), file.parent, files)
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise SourceError(
            f"{file}: damaged ({error!r:.200}); copy the export again, or export it again"
        ) from error


def _find(folder: Path) -> Path:
    for place in _PLACES:
        if (folder / place).is_file():
            return folder / place
    found = f"found no {ASSETS}/{FILE}" if folder.is_dir() else "found no such folder"
    raise NoContentsError(
        f"{folder}: expected the folder of an export, <output_dir>/<name>/<version>, {found}; what "
        "an older hub_export wrote has none: export it again"
    )


def _inner(name: str) -> str:
    """A path that stays within its folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or str(path) != name or "\\" in name:
        raise ValueError(f"a file is called {name!r:.80}")
    return name


def _files(folder: Path) -> Iterator[str]:
    """Paths of the files within a folder, but for that of the contents themselves."""
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        if path.is_file() and relative not in _PLACES:
            yield relative.as_posix()
