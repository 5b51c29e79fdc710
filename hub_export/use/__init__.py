"""What consumers of an export import. It stands on TensorFlow and the contract alone.

from hub_export.use import TextModel
model = TextModel("exported/all_minilm_l6_v2_text_embedding/1")
vectors = model(["How old are you?"])["default"]  # float32 [1, 384]
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hub_export.use.models.portable import TextModel

__all__ = ["TextModel"]

# TensorFlow takes seconds to import, and `hub_embed --help` does not need it.
_LATE = {"TextModel": "hub_export.use.models.portable"}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LATE[name]), name)
