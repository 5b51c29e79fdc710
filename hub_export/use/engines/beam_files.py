"""Files as Beam finds them."""

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from hub_export.errors import ExportError


def matching(pattern: str) -> list[str]:
    """Those that match; raises ExportError where Beam has no filesystem for them."""
    try:
        [found] = FileSystems.match([pattern])
    except (ValueError, BeamIOError) as error:
        raise ExportError(
            f"{pattern}: cannot be looked at ({error}); gs:// needs apache-beam[gcp], s3:// "
            "apache-beam[aws], and their credentials"
        ) from error
    return sorted(each.path for each in found.metadata_list)
