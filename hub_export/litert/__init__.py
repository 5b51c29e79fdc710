"""LiteRT copies of exports, and how they are asked, without TensorFlow.

    from hub_export.litert import TextModel
    model = TextModel("exported/all_minilm_l6_v2_text_embedding_litert/1", precision="int8")
    vectors = model(["How old are you?", "What is your age?"])  # float32 [2, 384]

What a model gives is that of its SavedModel in numpy: see `hub_export.litert.products`.

It needs numpy, `tokenizers` and `ai-edge-litert` (`pip install '.[litert]'` in the folder of
hub_export), and nothing else of what hub_export is installed with:

    pip install --no-deps .
    pip install ai-edge-litert tokenizers numpy
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hub_export.litert.model import Model
    from hub_export.litert.text_model import TextModel

__all__ = ["Model", "TextModel"]

# What only looks at the folder of a copy needs no `tokenizers`.
_LATE = {"Model": "hub_export.litert.model", "TextModel": "hub_export.litert.text_model"}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LATE[name]), name)
