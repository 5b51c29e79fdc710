"""Exports text encoders as verified TF Hub SavedModels.

import hub_export
done = hub_export.export("distilbert-base-cased", output_dir="exported")
done.paths["encoder"], done.report.table()
layer = hub_export.HubLayer(str(done.paths["encoder"]), trainable=True)  # in Keras 3
"""

import importlib
from typing import TYPE_CHECKING, Any

from hub_export.errors import ExportError, SourceError, TargetError, VerificationError
from hub_export.version import __version__

if TYPE_CHECKING:
    from hub_export.exporter import Export, export
    from hub_export.use.models.keras import HubLayer

__all__ = [
    "Export",
    "ExportError",
    "HubLayer",
    "SourceError",
    "TargetError",
    "VerificationError",
    "__version__",
    "export",
]

# TensorFlow takes seconds to import, and `hub_export --help` does not need it.
_LATE = {
    "Export": "hub_export.exporter",
    "export": "hub_export.exporter",
    "HubLayer": "hub_export.use.models.keras",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LATE[name]), name)
