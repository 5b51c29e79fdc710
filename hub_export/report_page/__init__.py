"""A page to look at: what an export found out about itself, as figures with tables under them.

What is known is in `facts`; `recording` and `speed` find out what comparing has not. `parity` and
`copies` make sections of it, `plots` and `svg` draw, and `page` makes one file that loads nothing.
"""

import importlib.util

from hub_export.errors import ExportError

_NEEDS = ("fontTools", "jinja2", "matplotlib")


def check() -> None:
    """Raises ExportError where a package is not installed that a page needs."""
    if missing := [name for name in _NEEDS if importlib.util.find_spec(name) is None]:
        raise ExportError(
            f"report: needs {', '.join(missing)} (pip install '.[report]' in the folder of "
            "hub_export)"
        )
