"""The alphabet in which byte-level vocabularies spell bytes.

As in GPT-2 (https://github.com/openai/gpt-2/blob/master/src/encoder.py): a printable character of
Latin-1 stands for its own byte, the others take the characters from U+0100 on in turn.
"""

_PRINTABLE = {*range(0x21, 0x7F), *range(0xA1, 0x100)} - {0xAD}
_OTHERS = iter(range(0x100, 0x200))

ALPHABET = "".join(chr(each if each in _PRINTABLE else next(_OTHERS)) for each in range(256))
"""The characters for the bytes 0 to 255."""

BYTES = {character: byte for byte, character in enumerate(ALPHABET)}
"""Character -> the byte that it stands for."""


def spelled(piece: str) -> bytes:
    """The bytes that a piece stands for; one with other characters stands for itself.

    >>> spelled("\u0120caf\u00c3\u00a9")
    b' caf\\xc3\\xa9'
    """
    if all(character in BYTES for character in piece):
        return bytes(BYTES[character] for character in piece)
    return piece.encode()
