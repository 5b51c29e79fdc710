"""How fast texts are embedded."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from hub_export.terminal import Advance
from hub_export.use.corpora.text_rows import Row

if TYPE_CHECKING:
    from hub_export.use.corpora.processes import AnyEmbedder
    from hub_export.use.corpora.vectors import Floats

_SAMPLE = 16  # texts whose tokens are counted


class Pace:
    """Embeds rows, and says how fast.

    Attributes:
        advance: of the bar that it is said behind.
    """

    advance: Advance

    def __init__(self, embedder: "AnyEmbedder") -> None:
        self._embedder, self._begin = embedder, time.monotonic()
        self._texts, self._tokens = 0, 0.0

    def __call__(self, rows: Sequence[Row], advance: Callable[[int], object]) -> "Floats":
        lines = [text for row in rows for text in row.texts if isinstance(text, bytes)]
        vectors = self._embedder(lines, advance)
        self._texts += len(lines)
        sample = lines[:: max(1, len(lines) // _SAMPLE)]
        self._tokens += self._embedder.tokens(sample) / max(1, len(sample)) * len(lines)
        self.advance.note(self._rates()[-1])
        return vectors

    def __str__(self) -> str:
        return f"; {', '.join(self._rates())}" if self._texts else ""

    def _rates(self) -> list[str]:
        """Of the whole run: the tokens, special ones included, are estimated from some texts."""
        seconds = time.monotonic() - self._begin
        rates = [f"{self._texts / seconds:,.0f} texts/s"]
        return rates + [f"about {self._tokens / seconds:,.0f} tokens/s"] * bool(self._tokens)
