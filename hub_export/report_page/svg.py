"""What Matplotlib draws, as a part of a page: in its colours, light or dark, and its font."""

import re
import xml.etree.ElementTree as ET

INK, MUTED, GRID, LIMIT = "ink", "muted", "grid", "limit"
SERIES = ("one", "two", "three", "four", "five", "six")
"""Names of the page's colours for what is compared."""
COLOURS = {name: f"#0000{at:02x}" for at, name in enumerate((INK, MUTED, GRID, LIMIT, *SERIES), 1)}
"""What stands for a colour of the page while Matplotlib draws."""
_VARIABLES = {colour: f"var(--{name})" for name, colour in COLOURS.items()}
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML does not allow (https://www.w3.org/TR/xml/#charsets)."""
_LINK = "{http://www.w3.org/1999/xlink}"


def allowed(text: str) -> str:
    """A text as XML can hold it.

    >>> ascii(allowed("a\\0b\\udc80c"))
    "'a\\\\ufffdb\\\\ufffdc'"
    """
    return _FORBIDDEN.sub("\ufffd", text)


def inline(svg: str, key: str, alt: str) -> str:
    """An SVG as an element of a page."""
    root = ET.fromstring(svg)
    # The description of the file, and a style that would be the whole page's.
    for each in (root[0], root[1]):
        root.remove(each)
    for element in root.iter():
        element.tag = element.tag.partition("}")[2]
        element.attrib.pop("id", None) if element.tag == "g" else None
        for name, value in [*element.attrib.items()]:
            del element.attrib[name]
            element.attrib[name.replace(_LINK, "")] = _of_page(name, value, key)
    box = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib.update({"viewBox": box, "role": "img", "aria-label": alt, "class": "figure"})
    return ET.tostring(root, encoding="unicode")


def _of_page(name: str, value: str, key: str) -> str:
    """An attribute with the page's colours and font, and with names of this figure."""
    if name == "id":
        return f"{key}-{value}"
    value = re.sub(r"^#", f"#{key}-", value) if name.endswith("href") else value
    value = re.sub(r"url\(#", f"url(#{key}-", value)
    value = re.sub(r"font-family: [^;]*; ", "", value)
    return re.sub("#0000[0-9a-f]{2}", lambda match: _VARIABLES[match[0]], value)
