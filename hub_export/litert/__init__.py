"""LiteRT copies of exports, and how they are asked, without TensorFlow.

    from hub_export.litert import TextModel
    model = TextModel("exported/all_minilm_l6_v2_text_embedding_litert/1", precision="int8")
    vectors = model(["How old are you?", "What is your age?"])  # float32 [2, 384]

It needs numpy, `tokenizers` and `ai-edge-litert` (`pip install hub_export[litert]`), and nothing
else of what hub_export is installed with:

    pip install --no-deps hub_export
    pip install ai-edge-litert tokenizers numpy
"""

from hub_export.litert.model import Model
from hub_export.litert.text_model import TextModel

__all__ = ["Model", "TextModel"]
