"""The merge table of a BPE model, compiled so that many merges can be done at once."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from preprocess.core.errors import UnsupportedTokenizerError

Ints = npt.NDArray[np.int32]
Pair = tuple[int, int]

NEVER = 2**30
"""The rank of what no rule ever does."""

_MOST_PAIRS = 2**22


class PairTable(NamedTuple):
    """What is known of pairs of neighbouring symbols; int32 [m] each.

    Attributes:
        pairs: int32 [m, 2], ids of the left and the right symbol.
        rank: the rank of the rule that merges the two, `NEVER` if none does.
        product: the id of what that rule makes.
        left_grown: the lowest rank of a rule that merges a symbol which ends in the left one, but
            is longer, with the right one.
        right_grown: likewise of the left one with a symbol which begins with the right one.
        monotone: whether every rule that uses a symbol comes after all rules that make it. If so,
            `pairs` lists all pairs that any rule may ever join, themselves or grown at both ends;
            otherwise those of the rules, and the last two columns say nothing.
    """

    pairs: Ints
    rank: Ints
    product: Ints
    left_grown: Ints
    right_grown: Ints
    monotone: bool


def compile_merges(model: Mapping[str, Any]) -> PairTable:
    """Compiles the `merges` of the serialised model.

    Raises:
        UnsupportedTokenizerError: a rule makes nothing new, or what shares its id.
    """
    rules = _rules(model)
    made: dict[int, list[Pair]] = defaultdict(list)
    last = defaultdict(lambda: -1)
    for pair, (rank, product) in rules.items():
        made[product].append(pair)
        last[product] = max(last[product], rank)
    monotone = all(max(last[a], last[b]) < rank for (a, b), (rank, _) in rules.items())
    rows = _closure(rules, made) if monotone else None
    if rows is None:
        rows = {pair: [rank, NEVER, NEVER] for pair, (rank, _) in rules.items()}
        monotone = False
    bounds = np.array([*rows.values()], np.int32).reshape(-1, 3)
    product = np.array([rules.get(pair, (0, 0))[1] for pair in rows], np.int32)
    pairs = np.array([*rows], np.int32).reshape(-1, 2)
    return PairTable(pairs, bounds[:, 0], product, bounds[:, 1], bounds[:, 2], monotone)


def _rules(model: Mapping[str, Any]) -> dict[Pair, Pair]:
    """Pair of ids -> rank and product; of rules on the same pair the last one holds."""
    vocab = model["vocab"]
    skipped = len((model.get("continuing_subword_prefix") or "").encode())
    rules: dict[Pair, Pair] = {}
    texts: dict[int, str] = {}
    for rank, merge in enumerate(model["merges"]):
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        text = left + right.encode()[skipped:].decode(errors="replace")
        product = vocab[text]
        if text == left or texts.setdefault(product, text) != text:
            raise UnsupportedTokenizerError(f"the merge of {left!r} and {right!r} into {text!r}")
        rules[vocab[left], vocab[right]] = rank, product
    return rules


def _closure(
    rules: Mapping[Pair, Pair], made: Mapping[int, list[Pair]]
) -> dict[Pair, list[int]] | None:
    """Pair -> rank, left_grown, right_grown; None if the pairs are too many."""
    ends, begins = ({}, {})
    rows: dict[Pair, list[int]] = {}
    for (left, right), (rank, _) in rules.items():
        for a in _side(left, 1, made, ends):
            for b in _side(right, 0, made, begins):
                row = rows.setdefault((a, b), [NEVER] * 3)
                if a == left or b == right:
                    case = 0 if (a, b) == (left, right) else 1 if b == right else 2
                    row[case] = min(row[case], rank)
        if len(rows) > _MOST_PAIRS:
            return None
    return rows


def _side(
    symbol: int, side: int, made: Mapping[int, list[Pair]], known: dict[int, Iterable[int]]
) -> Iterable[int]:
    """The symbols that `symbol` may begin (side 0) or end (side 1) with, itself included."""
    if symbol not in known:
        parts = (_side(pair[side], side, made, known) for pair in made.get(symbol, ()))
        known[symbol] = {symbol}.union(*parts)
    return known[symbol]
