"""Arrow, which reads and writes Parquet and unpacks Zstandard: no other part needs it."""

import importlib
from typing import Any

from hub_export.errors import ExportError


def arrow(what: str, module: str = "pyarrow") -> Any:
    """A module of it.

    Args:
        what: needs it, for errors.
        module: its name.

    Raises:
        ExportError: it is not installed.
    """
    try:
        importlib.import_module("pyarrow")
        return importlib.import_module(module)
    except ImportError as error:
        raise ExportError(
            f"{what} needs pyarrow (pip install '.[parquet]' in the folder of hub_export)"
        ) from error
