"""Exports text encoders as verified TF Hub SavedModels.

import hub_export
done = hub_export.export("distilbert-base-cased", output_dir="exported")
done.paths["encoder"], done.report.table()
"""

from typing import TYPE_CHECKING, Any

from hub_export.errors import ExportError, SourceError, TargetError, VerificationError

if TYPE_CHECKING:
    from hub_export.pipeline import Export, export

__all__ = ["Export", "ExportError", "SourceError", "TargetError", "VerificationError", "export"]


def __getattr__(name: str) -> Any:
    # TensorFlow takes seconds to import, and `hub_export --help` does not need it.
    if name in ("Export", "export"):
        from hub_export import pipeline  # noqa: PLC0415

        return getattr(pipeline, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
