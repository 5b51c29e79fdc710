"""What an export may consist of. Each product is made of the session alone."""

from collections.abc import Callable, Mapping

from hub_export.models import classification, encoder, preprocessor, text
from hub_export.models.product import Product
from hub_export.models.session import Session
from hub_export.settings import ENCODER, PREPROCESSOR, TASK_MODEL, TEXT_EMBEDDING

PRODUCTS: Mapping[str, Callable[[Session], Product | None]] = {
    ENCODER: encoder.product,
    PREPROCESSOR: preprocessor.product,
    TEXT_EMBEDDING: text.product,
    TASK_MODEL: classification.product,
}
