"""A LiteRT file that has one of its signatures alone.

When a file is loaded, XNNPACK brings all weights into a form of its own, for each graph anew. That
takes a model of ten signatures ten times as long as one that is asked about texts of one length
needs. So the lists of graphs and of signatures are cut to an entry each, in a copy of the file's
bytes; all else stays as it is.

A file is a FlatBuffer (https://flatbuffers.dev/internals/): numbers below are places in the bytes.
The fields are those of tensorflow/compiler/mlir/lite/schema/schema.fbs.
"""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

_GRAPHS, _SIGNATURES = 2, 7
"""Fields of `Model`."""
_KEY, _GRAPH = 2, 4
"""Fields of `SignatureDef`."""


def content(file: Path, signature: str) -> bytes | None:
    """The bytes of a file with one of its signatures, or nothing if the whole file is as good.

    It is where it has no other, and where graphs may call each other: where there are more of them
    than signatures. A file that is damaged is left to what loads it whole.

    Raises:
        OSError: the file cannot be read.
    """
    with file.open("rb") as opened, _copied(opened.fileno()) as data:
        try:
            return data[:] if _keep(data, signature) else None
        except (struct.error, ValueError):
            return None


def _copied(descriptor: int) -> mmap.mmap:
    """The bytes of a file, of which a page is copied when it is written to."""
    return mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY)


def _keep(data: mmap.mmap, name: str) -> bool:
    """Cuts the lists to what the signature of a name needs; whether there is such a one."""
    model = _uint(data, 0)
    graphs, signatures = (_list(data, model, field) for field in (_GRAPHS, _SIGNATURES))
    if not 1 < _uint(data, signatures) == _uint(data, graphs):
        return False
    found = [each for each in _tables(data, signatures) if _text(data, each, _KEY) == name]
    if len(found) != 1:
        return False
    place = _field(data, found[0], _GRAPH)
    number = _uint(data, place) if place else 0
    _cut(data, graphs, [*_tables(data, graphs)][number])
    _cut(data, signatures, found[0])
    if place:
        struct.pack_into("<I", data, place, 0)
    return True


def _cut(data: mmap.mmap, entries: int, table: int) -> None:
    """Makes a table the one entry of a list, which says how far behind it the table is."""
    struct.pack_into("<II", data, entries, 1, table - (entries + 4))


def _list(data: mmap.mmap, table: int, field: int) -> int:
    """A list: how many entries it has, and behind that the entries."""
    place = _field(data, table, field)
    if not place:
        raise ValueError(f"no field {field}")
    return place + _uint(data, place)


def _tables(data: mmap.mmap, entries: int) -> Iterator[int]:
    """The tables of a list."""
    for at in range(_uint(data, entries)):
        place = entries + 4 * (at + 1)
        yield place + _uint(data, place)


def _text(data: mmap.mmap, table: int, field: int) -> str:
    place = _list(data, table, field)
    return data[place + 4 : place + 4 + _uint(data, place)].decode()


def _field(data: mmap.mmap, table: int, field: int) -> int:
    """Where the value of a field is; 0 where it has its default."""
    [back] = struct.unpack_from("<i", data, table)
    [size] = struct.unpack_from("<H", data, table - back)
    entry = 4 + 2 * field
    if entry >= size:
        return 0
    [offset] = struct.unpack_from("<H", data, table - back + entry)
    return table + offset if offset else 0


def _uint(data: mmap.mmap, place: int) -> int:
    [found] = struct.unpack_from("<I", data, place)
    return int(found)
