"""A LiteRT file that has one of its signatures alone.

When a file is loaded, XNNPACK brings all weights into a form of its own, for each graph anew: that
takes the memory of as many models as there are signatures. So the lists of graphs and of
signatures are cut to an entry each, in a copy of the file's bytes; all else stays as it is.

A file is a FlatBuffer (https://flatbuffers.dev/internals/): numbers below are places in the bytes.
The fields are those of tensorflow/compiler/mlir/lite/schema/schema.fbs.
"""

import mmap
import struct
from collections.abc import Iterator, Mapping
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
    with file.open("rb") as opened:
        try:
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
                numbers = _changed(data, signature)
            return _with(opened.read(), numbers) if numbers else None
        except (struct.error, ValueError, IndexError):
            return None


def _changed(data: mmap.mmap, name: str) -> Mapping[int, int]:
    """Which numbers of the file are others where it has the signature of a name alone.

    Returns:
        place -> number, uint32; nothing if that cannot be had.
    """
    model = _uint(data, 0)
    graphs, signatures = (_list(data, model, field) for field in (_GRAPHS, _SIGNATURES))
    found = [each for each in _tables(data, signatures) if _text(data, each, _KEY) == name]
    if not 1 < _uint(data, signatures) == _uint(data, graphs) or len(found) != 1:
        return {}
    place = _field(data, found[0], _GRAPH)
    graph = [*_tables(data, graphs)][_uint(data, place) if place else 0]
    first = {place: 0} if place else {}
    return {**first, **_of_one(graphs, graph), **_of_one(signatures, found[0])}


def _of_one(entries: int, table: int) -> Mapping[int, int]:
    """A list with one entry, which says how far behind it its table is."""
    return {entries: 1, entries + 4: table - (entries + 4)}


def _with(data: bytes, numbers: Mapping[int, int]) -> bytes:
    """A copy of the bytes with other numbers."""
    view, parts, begin = memoryview(data), list[bytes | memoryview](), 0
    for place, number in sorted(numbers.items()):
        parts += [view[begin:place], struct.pack("<I", number)]
        begin = place + 4
    return b"".join([*parts, view[begin:]])


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
