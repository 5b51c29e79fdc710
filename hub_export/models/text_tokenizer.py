"""The tokenizer of a checkpoint as sentence-transformers sets it up."""

from typing import Any

from tokenizers import Tokenizer
from tokenizers.normalizers import Lowercase, Sequence

from hub_export.models.embedding_plan import Plan


def set_up(tokenizer: Tokenizer, plan: Plan) -> None:
    """Makes a tokenizer cut, pad and lower-case as sentence-transformers makes it do so.

    Padding is at the end always: its side changes no vector of a text by itself.
    """
    steps = _steps(tokenizer.normalizer)
    if plan.lower_case and not any(isinstance(step, Lowercase) for step in steps):
        tokenizer.normalizer = Sequence([Lowercase(), *steps])
    side = (tokenizer.truncation or {}).get("direction", "right")
    tokenizer.enable_truncation(plan.max_length, strategy="longest_first", direction=side)
    tokenizer.no_padding()


def prompt_tokens(plan: Plan, tokenizer: Tokenizer) -> int:
    """How many tokens at the beginning of a row belong to a prompt that is not pooled."""
    if plan.pooling is None or plan.pooling.include_prompt or not plan.prompt:
        return 0
    special = {id for id, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    ids = tokenizer.encode(plan.prompt).ids
    return len(ids) - any(id in special for id in ids[-1:])


def _steps(normalizer: Any) -> list[Any]:
    if isinstance(normalizer, Sequence):
        return [normalizer[at] for at in range(len(normalizer))]
    return [] if normalizer is None else [normalizer]
