"""What `transformers` makes of a tokenizer.json.

It builds some classes of tokenizers anew from the vocabulary, with the steps of the class instead
of those in tokenizer.json. An export follows tokenizer.json, and says where that matters. What runs
in Python there (see `fastbpe`, `esm`) is the source itself, and no difference is allowed.
"""

import re
from collections.abc import Sequence, Sized
from typing import Any

from tokenizers import Tokenizer

from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.tokenizer.built import runs_in_python
from hub_export.sources.tokenizer.files import unpacked
from hub_export.sources.tokenizer.names import CONFIGS, TOKENIZER
from hub_export.verify import samples
from hub_export.verify.checks import Check, Outcome

SUBJECT = "tokens, against transformers' own reading"
_FUZZ = 400


class InPython:
    """A tokenizer of `transformers` that is not made of `tokenizers`."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Those of each text, special tokens among them, neither cut nor padded."""
        found: list[list[int]] = self._tokenizer([*texts], verbose=False)["input_ids"]
        return found


Reading = Tokenizer | InPython | Exception | None
"""A tokenizer, or why there is none; nothing where there are not two readings."""


def read(checkpoint: Checkpoint, special_in_text: bool | None) -> Reading:
    """The tokenizer of `transformers`, where that is not what the source was built from.

    Args:
        checkpoint: where both are from.
        special_in_text: whether special tokens in a text are special, where the user says so.
    """
    file = checkpoint.tokenizer_file
    in_python = runs_in_python(file)
    if checkpoint.is_static or not (in_python or file.name == TOKENIZER):
        return None
    import transformers  # noqa: PLC0415 (slow)

    transformers.utils.logging.set_verbosity_error()
    try:
        loaded = transformers.AutoTokenizer.from_pretrained(
            file.parent, local_files_only=True, trust_remote_code=False
        )
        is_text = loaded.split_special_tokens if special_in_text is None else not special_in_text
        if in_python:
            loaded.split_special_tokens = is_text
            return InPython(loaded)
        theirs: Tokenizer = loaded.backend_tokenizer
    except Exception as error:  # of any kind: the library has no base class of its own
        return error
    theirs.encode_special_tokens = is_text  # set at every call there
    return theirs


def compare(theirs: Reading, source: Tokenizer) -> list[Check]:
    """Compares the source tokenizer with what `read` gave."""
    if theirs is None:
        return []
    if isinstance(theirs, Exception):
        # A path of this machine is nobody's business.
        reason = re.sub(r"\S*/(?=[^/\s]+)", "", str(theirs).strip().split("\n")[0])
        return [Check(SUBJECT, Outcome.NOT_COMPARED, f"transformers cannot read it: {reason:.200}")]
    special = [token.content for token in source.get_added_tokens_decoder().values()]
    texts = [*samples.AWKWARD, *samples.fuzz(sorted(source.get_vocab()), special, _FUZZ)]
    found = _differing(theirs, source, texts)
    words = f"{len(found)} differences in {len(texts):,}"
    figures = {"compared": len(texts), "differences": len(found), "first": found[:3]}
    if isinstance(theirs, InPython):
        words += f", the first: {found[0][:60]!a}" if found else ""
        return [Check(SUBJECT, Outcome.FAILED if found else Outcome.PASSED, words, figures)]
    if found:
        words += f": the export follows {TOKENIZER}; the first: {found[0][:60]!a}"
    if _most(found, texts):
        words += f"; {_advice(theirs, source)}"
    return [Check(SUBJECT, Outcome.DIFFERS if found else Outcome.PASSED, words, figures)]


def alike(theirs: Reading, source: Tokenizer, texts: Sequence[str]) -> list[str]:
    """The texts that `transformers` reads as the source does; none where it misreads the most."""
    if theirs is None or isinstance(theirs, Exception):
        return [*texts]
    found = {*_differing(theirs, source, texts)}
    return [] if _most(found, texts) else [text for text in texts if text not in found]


def _advice(theirs: Tokenizer, source: Tokenizer) -> str:
    """How to have `transformers` read what stands there."""
    read, written = (type(each.model).__name__ for each in (theirs, source))
    how = f"as {read}, not {written}" if read != written else "by the rules of its class"
    return (
        f"transformers reads it {how}: for it to follow the file as well, say "
        f'"tokenizer_class": "PreTrainedTokenizerFast" in {CONFIGS[1]}'
    )


def _most(found: Sized, texts: Sized) -> bool:
    return 2 * len(found) > len(texts)


def _differing(theirs: Tokenizer | InPython, source: Tokenizer, texts: Sequence[str]) -> list[str]:
    with unpacked(source):
        ours = [each.ids for each in source.encode_batch(texts)]
    try:
        others = _ids(theirs, texts)
    except Exception:  # of no other type: no token stands for what is unknown
        return [*texts]
    rows = zip(texts, ours, others, strict=True)
    return [text for text, our, other in rows if our != other]


def _ids(theirs: Tokenizer | InPython, texts: Sequence[str]) -> list[list[int]]:
    if isinstance(theirs, InPython):
        return theirs.ids(texts)
    with unpacked(theirs):
        return [each.ids for each in theirs.encode_batch(texts)]
