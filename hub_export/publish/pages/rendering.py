"""Markdown of templates."""

import functools
import re

import jinja2

from hub_export.errors import SourceError

_BLANK = re.compile(r"\n{3,}")


def render(template: str, **known: object) -> str:
    """What a template says; it ends with a line break, and blank lines never follow each other.

    Args:
        template: its file's name, without `.md.jinja`.
        **known: what it tells.

    Raises:
        SourceError: what it tells is not known: the report of an export lacks something.
    """
    try:
        made = _templates().get_template(f"{template}.md.jinja").render(**known)
    except jinja2.UndefinedError as error:
        raise SourceError(
            f"the page {template} cannot be written: the export's report does not say all that it "
            f"tells ({error}); export the model again"
        ) from error
    return _BLANK.sub("\n\n", made).strip("\n") + "\n"


@functools.cache
def _templates() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("hub_export.publish.pages"),
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["repr"] = repr
    made.filters["quoted"] = quoted
    return made


def quoted(text: str) -> str:
    """Markdown as a quotation: a mark before each line.

    >>> print(quoted("a\\n\\nb"))
    > a
    >
    > b
    """
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())
