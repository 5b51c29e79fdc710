"""An export as one file, `.tar.gz`, that `hub.load` and `hub.KerasLayer` take from a web server.

The same export gives the same bytes: files in the order of their names, without times and owners,
each folder before what is in it, as `tensorflow_hub.file_utils` wants them. It holds the files that
`contents.json` names, and that file.
"""

import gzip
import io
import tarfile
from pathlib import Path, PurePosixPath
from typing import IO

from hub_export import contents
from hub_export.contents import ASSETS, Contents
from hub_export.errors import ExportError, SourceError, TargetError
from hub_export.publish import report
from hub_export.publish.report import Verified
from hub_export.publish.staging import Staging

SUFFIXES = (".tar.gz", ".tgz")
_MODEL = "saved_model.pb"


def write(
    folder: Path, archive: Path, *, overwrite: bool = False, unverified: bool = False
) -> list[str]:
    """Writes the archive of an export; it gets its name when it is complete.

    Args:
        folder: of the export, one version of a SavedModel.
        archive: the file to write.
        overwrite: whether to replace one that exists.
        unverified: whether to take an export that was not compared with its source.

    Returns:
        Files of the folder that are not part of the export, and so not in the archive.

    Raises:
        SourceError: the export is damaged, none, or of a later format.
        ExportError: it was not verified.
        TargetError: the archive exists or cannot be written; nothing is left of it then.
    """
    if not archive.name.endswith(SUFFIXES):
        raise TargetError(f"{archive}: expected a name that ends in {' or '.join(SUFFIXES)}")
    if archive.is_dir():
        raise TargetError(f"{archive}: is a folder; choose another name")
    found = contents.read(folder)
    if _MODEL not in found.files:
        raise SourceError(
            f"{folder}: expected a SavedModel, which hub.load takes, found the {found.part}"
        )
    found.check(folder)
    if report.read(found.assets).verified == Verified.NO and not unverified:
        raise ExportError(
            f"{folder}: not verified against its source; export it again with verify=auto or full, "
            "or say unverified to publish it as it is"
        )
    with Staging(archive.parent, overwrite) as staging:
        place = staging.place(Path(archive.name))
        try:
            with place.open("wb") as file:
                _pack(folder, found, file)
        except OSError as error:
            raise TargetError(f"{archive}: cannot be written ({error.strerror})") from error
        staging.commit()
    return found.extra(folder)


def _pack(folder: Path, found: Contents, file: IO[bytes]) -> None:
    names = sorted([*found.files, f"{ASSETS}/{contents.FILE}"])
    folders = {str(each) for name in names for each in PurePosixPath(name).parents if each.name}
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in sorted([*folders, *names]):
            entry = tarfile.TarInfo(name)
            if name in folders:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry, io.BytesIO())
                continue
            with (folder / name).open("rb") as stream:
                entry.size = (folder / name).stat().st_size
                tar.addfile(entry, stream)
