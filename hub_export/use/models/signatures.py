"""Which signature of a model to ask, and which of its outputs have a row for each text."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from hub_export.contract import PAIR, ROW_SPLITS, SERVING, SERVING_PAIR
from hub_export.errors import ExportError, SourceError
from hub_export.use.models.text_model import AnyTextModel

_CHOSEN = (SERVING, SERVING_PAIR, PAIR)
"""The signatures that columns choose from, in this order."""
# Of several texts of these kinds a batch does not have as many flat rows as texts, most likely.
_PROBES: Sequence[Sequence[bytes]] = ([b""], [b"a"], [b"a b c", b""], [b"a b c d", b"a", b""])


def choose(model: AnyTextModel, asked: str | None, count: int, columns: Sequence[str]) -> str:
    """The signature to ask.

    Args:
        model: any.
        asked: its name, if it is said.
        count: how many columns are said to be its inputs; 0 if none are.
        columns: those that the file has, which choose where nothing else does: of several
            signatures the one that takes most of them. A file without rows may have none.

    Raises:
        SourceError: there is none.
    """
    takes = {name: each.inputs for name, each in model.signatures.items() if each.takes_texts}
    if asked is not None:
        wanted, candidates = f"the signature {asked}", [asked] if asked in takes else []
    elif count:
        wanted = f"a signature that takes {count} text{'s' * (count > 1)}"
        candidates = [name for name in _CHOSEN if len(takes.get(name, ())) == count]
    else:
        wanted = f"a signature that takes some of the columns {', '.join(columns)}"
        candidates = _fitting(takes, {*columns})
    if not candidates:
        found = "; ".join(f"{name} ({', '.join(inputs)})" for name, inputs in takes.items())
        raise SourceError(
            f"{model}: expected {wanted}, found {found or 'none that takes texts'}; say which "
            "columns by --columns, and what file they are in by its name or --format"
        )
    return candidates[0]


def _fitting(takes: Mapping[str, Sequence[str]], columns: AbstractSet[str]) -> list[str]:
    """The signatures whose inputs are among the columns; those that take most of them first."""
    fitting = [
        name for name in _CHOSEN if name in takes and (not columns or columns >= {*takes[name]})
    ]
    return sorted(fitting, key=lambda name: -len(takes[name]))


def flat_outputs(model: AnyTextModel, signature: str) -> list[str]:
    """The outputs that have as many rows as ROW_SPLITS says, not one for each text.

    No shape says which: so the model is asked until the two numbers differ.
    """
    asked = model.signatures[signature]
    if ROW_SPLITS not in asked.outputs:
        return []
    names = [name for name in asked.outputs if name != ROW_SPLITS]
    for texts in _PROBES:
        columns = dict.fromkeys(asked.inputs, texts)
        try:
            ((_, outputs),) = model(signature, columns, len(texts))
        except ExportError:  # texts that it refuses
            continue
        count = int(outputs[ROW_SPLITS][-1])
        if count != len(texts):
            return [name for name in names if outputs[name].shape[:1] == (count,)]
    return names
