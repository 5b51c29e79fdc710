"""Strings as models read them."""


def utf8(text: str) -> bytes:
    """The bytes of a string; a lone surrogate, which JSON can escape, becomes U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
