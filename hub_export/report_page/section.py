"""The parts that a page is made of: sections, figures with their words, and tables."""

from collections.abc import Sequence
from typing import NamedTuple

_BEGIN, _END = 9, 19
"""Letters of a label that stay at either end where it is too long."""


class Table(NamedTuple):
    """Attributes: header: a name for each column; rows: of words and numbers."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


class Plot(NamedTuple):
    """A figure.

    Attributes:
        title: what it is of.
        svg: an element of the page.
        table: the same in numbers.
    """

    title: str
    svg: str
    table: Table


class Section(NamedTuple):
    """A part of the page.

    Attributes:
        key: what a link to it is called.
        title: what it is about.
        text: how to read it.
        plots: the figures; none where nothing is known.
        items: what the numbers on figures stand for.
    """

    key: str
    title: str
    text: str
    plots: Sequence[Plot]
    items: Sequence[str] = ()


def short(label: str) -> str:
    """A label that leaves room for its bar; its end tells it from others.

    >>> short("building and saving the text_embedding")
    'building …the text_embedding'
    """
    return label if len(label) <= _BEGIN + _END else f"{label[:_BEGIN]}…{label[-_END:].lstrip()}"
