"""What consumers of an export import. It stands on TensorFlow and the contract alone.

from hub_export.use import TextModel
model = TextModel("exported/all_minilm_l6_v2_text_embedding/1")
vectors = model(["How old are you?"])["default"]  # float32 [1, 384]

embed = hub_export.use.load("hf://user/model@revision", "text_embedding")  # from a hub, proven
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hub_export.use.models.portable import TextModel
    from hub_export.use.models.remote import Fetched, fetch, load

__all__ = ["Fetched", "TextModel", "fetch", "load"]

# TensorFlow takes seconds to import, and `hub_embed --help` does not need it.
_LATE = {
    "Fetched": "hub_export.use.models.remote",
    "TextModel": "hub_export.use.models.portable",
    "fetch": "hub_export.use.models.remote",
    "load": "hub_export.use.models.remote",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LATE[name]), name)
