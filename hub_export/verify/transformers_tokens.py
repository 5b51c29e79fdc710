"""What `transformers` makes of a tokenizer.json.

It builds some classes of tokenizers anew from the vocabulary, with the steps of the class instead
of those in tokenizer.json. An export follows tokenizer.json, and says where that matters.
"""

import re
from collections.abc import Sequence

from tokenizers import Tokenizer

from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.tokenizer.files import TOKENIZER, unpacked
from hub_export.verify import samples
from hub_export.verify.checks import Check, Outcome

SUBJECT = "tokens, against transformers' own reading"
_FUZZ = 400

Reading = Tokenizer | Exception | None
"""A tokenizer, or why there is none; nothing where there are not two readings."""


def read(checkpoint: Checkpoint, special_in_text: bool | None) -> Reading:
    """The tokenizer of `transformers`, if there is a tokenizer.json; else it is the source itself.

    Args:
        checkpoint: where both are from.
        special_in_text: whether special tokens in a text are special, where the user says so.
    """
    if checkpoint.tokenizer_file.name != TOKENIZER:
        return None
    import transformers  # noqa: PLC0415 (slow)

    transformers.utils.logging.set_verbosity_error()
    try:
        loaded = transformers.AutoTokenizer.from_pretrained(
            checkpoint.tokenizer_file.parent, local_files_only=True, trust_remote_code=False
        )
        theirs: Tokenizer = loaded.backend_tokenizer
    except Exception as error:  # of any kind: the library has no base class of its own
        return error
    # Set at every call there.
    theirs.encode_special_tokens = (
        loaded.split_special_tokens if special_in_text is None else not special_in_text
    )
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
    if found:
        words += f": the export follows tokenizer.json; the first: {found[0][:60]!a}"
    figures = {"compared": len(texts), "differences": len(found), "first": found[:3]}
    return [Check(SUBJECT, Outcome.DIFFERS if found else Outcome.PASSED, words, figures)]


def alike(theirs: Reading, source: Tokenizer, texts: Sequence[str]) -> list[str]:
    """The texts without those that `transformers` reads otherwise, unless these are the most."""
    if theirs is None or isinstance(theirs, Exception):
        return [*texts]
    found = {*_differing(theirs, source, texts)}
    return [text for text in texts if 2 * len(found) > len(texts) or text not in found]


def _differing(theirs: Tokenizer, source: Tokenizer, texts: Sequence[str]) -> list[str]:
    with unpacked(source), unpacked(theirs):
        rows = zip(texts, source.encode_batch(texts), theirs.encode_batch(texts), strict=True)
        return [text for text, ours, other in rows if ours.ids != other.ids]
