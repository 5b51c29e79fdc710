"""The story of a push: what is known, what must hold, what goes where."""

import dataclasses
import functools
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from hub_export import contents
from hub_export.errors import ExportError
from hub_export.publish.pages import licenses, pages, places
from hub_export.publish.pages.facts import Facts, Part, check, choose, gather
from hub_export.publish.push import hugging_face, kaggle, targets
from hub_export.publish.push.hugging_face import PAGE
from hub_export.publish.push.targets import HuggingFace, Kaggle
from hub_export.publish.report import Verified
from hub_export.terminal import Progress, show

Files = Mapping[str, Path]
"""Place on the hub -> a file."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What a push is asked for.

    Attributes:
        target: the address, see `targets`.
        parts: which parts go to the Hugging Face hub; by default all.
        license: what the user has read, and names.
        base_model: what the user says the source is called on the Hugging Face hub.
        private: whether a model that is new there is seen by nobody else.
        dry_run: whether to show only what would be done.
    """

    target: str
    parts: Sequence[str] = ()
    license: str = ""
    base_model: str = ""
    private: bool = True
    dry_run: bool = False


def run(path: Path, options: Options, progress: Progress) -> str:
    """Pushes an export, or shows what would be pushed; returns its address, with the revision.

    Args:
        path: folder of one version of one of its parts.
        options: what is asked for.
        progress: says what is done.

    Raises:
        SourceError: a part is damaged, or of a later format.
        ExportError: the address is none; the licence is not known, or forbids it; a part was not
            verified; a library is missing.
        TargetError: the hub refuses it, or cannot be reached.
    """
    target = targets.parse(options.target)
    if options.parts and isinstance(target, Kaggle):
        raise ExportError(
            "push: parts are for the Hugging Face hub; Kaggle has a variation for each: leave "
            "them out, and give the folder of the one to push"
        )
    facts = gather(path, license=options.license, base_model=options.base_model)
    licence = licenses.check(facts.cards, options.license)
    if isinstance(target, Kaggle):
        sent = [_own(path, facts, target)]
    else:
        sent = choose(facts.parts, options.parts, path)
    for part in sent:
        _refuse_unverified(part)
    check(sent, progress)
    files = _files(sent, target)
    if options.dry_run:
        made = {} if isinstance(target, Kaggle) else {PAGE: _page(facts, sent, target, progress)}
        show(_plan({**made, **files}, facts, target, licence, options))
        return str(target)
    progress.say(f"pushing {len(files)} files to {target}")
    if isinstance(target, HuggingFace):
        page = functools.partial(_page, facts, sent, target, progress)
        done = hugging_face.push(files, page, target, options.private)
    else:
        made = pages.kaggle_model(facts, target.owner, target.model)
        instance = pages.kaggle_instance(facts, sent[0], *target[:2], target.variation)
        instance["licenseName"] = licenses.on_kaggle(licence)
        done = kaggle.push(files, target, {**made, "isPrivate": options.private}, instance)
    progress.say(done)
    return done


def _refuse_unverified(part: Part) -> None:
    """Raises ExportError where it was not compared with its source, or did not agree."""
    if part.stated.verified == Verified.NO:
        raise ExportError(
            f"{part.folder}: not verified against its source; export it again with verify=auto or "
            "full: what is not verified is not pushed"
        )


def _own(path: Path, facts: Facts, target: Kaggle) -> Part:
    """The part that a path is; Kaggle has a variation for each."""
    licenses.on_kaggle(facts.license)
    (part,) = (each for each in facts.parts if each.folder == path.resolve())
    if places.framework(part) != target.framework:
        raise ExportError(
            f"push: expected the framework {places.framework(part)} for the {part.name}, found "
            f"{target.framework}"
        )
    return part


def _page(
    facts: Facts,
    sent: Sequence[Part],
    target: HuggingFace,
    progress: Progress,
    there: Collection[str] = (),
) -> bytes:
    """The card of a repository: on what is sent, and on other parts of the export that are there.

    Args:
        facts: of the whole export.
        sent: the parts that are sent.
        target: where to.
        progress: told of parts that are there and not beside the export.
        there: the files that the repository has.
    """
    place = places.on_hugging_face(*target)
    found = {name.split("/")[0] for name in there if name.endswith(f"/{contents.FILE}")}
    if unknown := sorted(found - {part.name for part in facts.parts}):
        progress.say(f"{PAGE} tells nothing of {', '.join(unknown)}: there, but not beside this")

    def is_told(part: Part) -> bool:
        folder = place.of("folder", part) + "/"
        return part in sent or any(each.startswith(folder) for each in there)

    told = dataclasses.replace(facts, parts=[*filter(is_told, facts.parts)])
    return pages.hugging_face(told, place).encode()


def _files(sent: Sequence[Part], target: HuggingFace | Kaggle) -> Files:
    """All that goes there, but for a page; nothing that the export does not list."""
    if isinstance(target, Kaggle):
        return _of_part(sent[0], "")
    place, found = places.on_hugging_face(*target), dict[str, Path]()
    for part in sent:
        found |= _of_part(part, place.of("folder", part) + "/")
    return found


def _of_part(part: Part, before: str) -> dict[str, Path]:
    own = (part.contents.assets / contents.FILE).relative_to(part.folder).as_posix()
    return {f"{before}{name}": part.folder / name for name in sorted([*part.contents.files, own])}


def _plan(
    files: Mapping[str, Path | bytes],
    facts: Facts,
    target: HuggingFace | Kaggle,
    licence: str,
    options: Options,
) -> str:
    """What would be pushed, a line a file."""
    sizes = {name: _size(content) for name, content in files.items()}
    lines = [
        f"to        {target} ({'private' if options.private else 'public'}, where it is new)",
        f"source    {facts.stated.name} {facts.stated.revision or ''}".rstrip(),
        f"licence   {licence}",
        f"verified  {facts.stated.verified.value}",
        f"files     {len(files)}, {sum(sizes.values()) / 1e6:.1f} MB",
        *(
            f"  {sizes[name]:>12,}  {name}  <- "
            + (str(content) if isinstance(content, Path) else "made of what is known")
            for name, content in files.items()
        ),
    ]
    return "\n".join(lines)


def _size(content: Path | bytes) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size
