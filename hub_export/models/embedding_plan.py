"""What a text embedding does: what the checkpoint says, and what the user asked for instead."""

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from tokenizers.normalizers import Lowercase, Sequence

from encoders import MODES, Dimensions, NormalizeModule, TruncateModule
from hub_export.errors import ExportError, SourceError
from hub_export.settings import NONE, Settings
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.module_list import MODULES
from hub_export.sources.modules import Pipeline, Placed, PoolingOptions
from hub_export.sources.tokenizer.files import restored


@dataclasses.dataclass(frozen=True)
class Plan:
    """What becomes of a text.

    Attributes:
        prompt: what is put before it.
        lower_case: whether texts are lower-cased before anything else.
        max_length: the longest row of tokens; what is longer is cut.
        asked_length: what the checkpoint says it is, where its encoder has fewer positions.
        pooling: makes one vector of it; None takes the encoder's pooled output.
        modules: what follows.
        pairs: whether two texts may share a row.
        width: of the vectors.
        weights: `none` if those of the modules are random, too.
    """

    prompt: str
    lower_case: bool
    max_length: int
    asked_length: int | None
    pooling: PoolingOptions | None
    modules: tuple[Placed, ...]
    pairs: bool
    width: int
    weights: str

    def words(self) -> Mapping[str, Any]:
        """The same for a reader of the report."""
        return {
            "pooling": "the encoder's pooled output"
            if self.pooling is None
            else " + ".join(self.pooling.modes),
            "modules": [each.module.describe() for each in self.modules],
            "dimensions": self.width,
            "max_length": self.max_length,
            "asked_length": self.asked_length,
            "prompt": self.prompt,
            "pairs": self.pairs,
        }

    @property
    def cut(self) -> int | None:
        """How many columns are kept; None for all."""
        modules = (each.module for each in self.modules)
        return next((each.width for each in modules if isinstance(each, TruncateModule)), None)

    @property
    def normalizes(self) -> bool:
        """Whether the last module makes vectors of length one."""
        return isinstance(self.modules[-1].module, NormalizeModule)

    def weights_of(self, placed: Placed) -> Mapping[str, np.ndarray]:
        """The tensors of a module: the checkpoint's, or random ones.

        Raises:
            SourceError: a file of weights cannot be read.
        """
        if self.weights == NONE:
            return placed.module.drawn()
        return placed.weights()

    @contextmanager
    def applied(self, tokenizer: Tokenizer) -> Iterator[bool]:
        """Makes a tokenizer cut, pad and lower-case meanwhile as sentence-transformers makes it.

        Padding is at the end always: its side changes no vector of a text by itself. Gives whether
        the tokenizer lower-cases though its file does not.
        """
        normalizer, steps = tokenizer.normalizer, _steps(tokenizer.normalizer)
        lowers = self.lower_case and not any(isinstance(each, Lowercase) for each in steps)
        with restored(tokenizer):
            side = (tokenizer.truncation or {}).get("direction", "right")
            tokenizer.enable_truncation(self.max_length, strategy="longest_first", direction=side)
            tokenizer.no_padding()
            if lowers:
                tokenizer.normalizer = Sequence([Lowercase(), *steps])
            try:
                yield lowers
            finally:
                if lowers:
                    tokenizer.normalizer = normalizer

    def unpooled(self, tokenizer: Tokenizer) -> int:
        """How many tokens at the beginning of a row belong to a prompt that is not pooled.

        Args:
            tokenizer: with the plan applied.
        """
        if self.pooling is None or self.pooling.include_prompt or not self.prompt:
            return 0
        added = tokenizer.get_added_tokens_decoder().items()
        special = {id for id, token in added if token.special}
        ids = tokenizer.encode(self.prompt).ids
        return len(ids) - any(id in special for id in ids[-1:])


def plan(checkpoint: Checkpoint, settings: Settings, size: Dimensions) -> Plan:
    """Makes the plan.

    Raises:
        SourceError: the checkpoint asks for something that is not supported, or contradicts itself.
        ExportError: the user asks for something that it does not have.
    """
    pipeline = checkpoint.pipeline()
    if checkpoint.is_static and tuple(settings.pooling or ()) not in ((), ("mean",)):
        raise ExportError(
            f"pooling: {checkpoint.name} is a static embedding, which is a mean alone"
        )
    pooling = _pooling(pipeline, settings)
    width = _width(checkpoint, pooling, pipeline.modules, size.width)
    cut, asked = _cut(pipeline, settings, width), pipeline.max_length or size.positions
    return Plan(
        prompt=_prompt(checkpoint, pipeline, settings.prompt),
        lower_case=pipeline.lower_case,
        max_length=min(asked, size.positions),
        asked_length=asked if asked > size.positions else None,
        pooling=pooling,
        modules=(*pipeline.modules, *cut),
        pairs=pipeline.pairs,
        width=cut[0].module.gives(width) if cut else width,
        weights=settings.weights,
    )


def _pooling(pipeline: Pipeline, settings: Settings) -> PoolingOptions | None:
    if not settings.pooling:
        return pipeline.pooling
    if unknown := [mode for mode in settings.pooling if mode not in MODES]:
        raise ExportError(f"pooling must be some of {', '.join(MODES)}, not {', '.join(unknown)}")
    return dataclasses.replace(
        pipeline.pooling or PoolingOptions(()), modes=tuple(settings.pooling)
    )


def _prompt(checkpoint: Checkpoint, pipeline: Pipeline, name: str | None) -> str:
    named = pipeline.default_prompt if name is None else name
    if not named:
        return ""
    if named not in pipeline.prompts:
        known = ", ".join(pipeline.prompts) or "none"
        raise ExportError(f"{checkpoint.name} has no prompt {named!r}; it has: {known}")
    return pipeline.prompts[named]


def _cut(pipeline: Pipeline, settings: Settings, width: int) -> tuple[Placed, ...]:
    """What leaves columns out. sentence-transformers itself does not normalise again."""
    if settings.dimensions is None:
        kept = min(pipeline.dimensions or width, width)
        return (Placed(TruncateModule(kept)),) if pipeline.dimensions else ()
    if not 1 <= settings.dimensions <= width:
        raise ExportError(f"dimensions must be from 1 to {width}, not {settings.dimensions}")
    again = (Placed(NormalizeModule()),) if pipeline.normalizes else ()
    return (Placed(TruncateModule(settings.dimensions)), *again)


def _width(
    checkpoint: Checkpoint,
    pooling: PoolingOptions | None,
    modules: tuple[Placed, ...],
    width: int,
) -> int:
    """The width of the vectors, if every module fits the one before it."""
    file = checkpoint.config_file.with_name(MODULES)
    width *= 1 if pooling is None else len(pooling.modes)
    for module, *_ in modules:
        if module.takes not in (None, width):
            raise SourceError(
                f"{file}: the module {module.describe()} takes vectors of {module.takes}, but gets "
                f"those of {width}; is the pooling another one than it was trained behind?"
            )
        width = module.gives(width)
    return width


def _steps(normalizer: Any) -> list[Any]:
    if isinstance(normalizer, Sequence):
        return [normalizer[at] for at in range(len(normalizer))]
    return [] if normalizer is None else [normalizer]
