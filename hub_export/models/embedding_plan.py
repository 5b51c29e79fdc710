"""What a text embedding does: what the checkpoint says, and what the user asked for instead."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from encoders import MODES, Dimensions
from hub_export.errors import ExportError, SourceError
from hub_export.models.part import Settings
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.module_list import MODULES
from hub_export.sources.modules import (
    Dense,
    LayerNorm,
    Normalize,
    Pipeline,
    Pooling,
    TextModule,
    Truncate,
)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What becomes of a text.

    Attributes:
        prompt: what is put before it.
        lower_case: whether texts are lower-cased before anything else.
        max_length: the longest row of tokens; what is longer is cut.
        pooling: makes one vector of it; None takes the encoder's pooled output.
        modules: what follows.
        pairs: whether two texts may share a row.
        width: of the vectors.
        weights: `none` if those of the modules are random, too.
    """

    prompt: str
    lower_case: bool
    max_length: int
    pooling: Pooling | None
    modules: tuple[TextModule, ...]
    pairs: bool
    width: int
    weights: str

    def words(self) -> Mapping[str, Any]:
        """The same for a reader of the report."""
        return {
            "pooling": "the encoder's pooled output"
            if self.pooling is None
            else self.pooling.words(),
            "modules": [module.words() for module in self.modules],
            "dimensions": self.width,
            "max_length": self.max_length,
            "prompt": self.prompt,
            "pairs": self.pairs,
        }


def plan(checkpoint: Checkpoint, settings: Settings, size: Dimensions) -> Plan:
    """Makes the plan.

    Raises:
        SourceError: the checkpoint asks for something that is not supported, or contradicts itself.
        ExportError: the user asks for something that it does not have.
    """
    pipeline = checkpoint.pipeline()
    pooling = _pooling(pipeline, settings)
    width = _width(checkpoint, pooling, pipeline.modules, size.width)
    cut = _cut(pipeline, settings, width)
    return Plan(
        prompt=_prompt(checkpoint, pipeline, settings.prompt),
        lower_case=pipeline.lower_case,
        max_length=min(pipeline.max_length or size.positions, size.positions),
        pooling=pooling,
        modules=(*pipeline.modules, *cut),
        pairs=pipeline.pairs,
        width=cut[0].width if cut else width,
        weights=settings.weights,
    )


def _pooling(pipeline: Pipeline, settings: Settings) -> Pooling | None:
    if not settings.pooling:
        return pipeline.pooling
    if unknown := [mode for mode in settings.pooling if mode not in MODES]:
        raise ExportError(f"pooling must be some of {', '.join(MODES)}, not {', '.join(unknown)}")
    return dataclasses.replace(pipeline.pooling or Pooling(()), modes=settings.pooling)


def _prompt(checkpoint: Checkpoint, pipeline: Pipeline, name: str | None) -> str:
    named = pipeline.default_prompt if name is None else name
    if not named:
        return ""
    if named not in pipeline.prompts:
        known = ", ".join(pipeline.prompts) or "none"
        raise ExportError(f"{checkpoint.name} has no prompt {named!r}; it has: {known}")
    return pipeline.prompts[named]


def _cut(pipeline: Pipeline, settings: Settings, width: int) -> tuple[Any, ...]:
    """What leaves columns out. sentence-transformers itself does not normalise again."""
    if settings.dimensions is None:
        return (Truncate(min(pipeline.dimensions, width)),) if pipeline.dimensions else ()
    if not 1 <= settings.dimensions <= width:
        raise ExportError(f"dimensions must be from 1 to {width}, not {settings.dimensions}")
    again = (Normalize(),) if pipeline.normalizes else ()
    return (Truncate(settings.dimensions), *again)


def _width(
    checkpoint: Checkpoint,
    pooling: Pooling | None,
    modules: tuple[TextModule, ...],
    width: int,
) -> int:
    """The width of the vectors, if every module fits the one before it."""
    file = checkpoint.config_file.with_name(MODULES)
    width *= 1 if pooling is None else len(pooling.modes)
    for module in modules:
        takes = getattr(module, "inputs", getattr(module, "width", width))
        if isinstance(module, (Dense, LayerNorm)) and takes != width:
            raise SourceError(
                f"{file}: the module {module.words()} takes vectors of {takes}, but gets those of "
                f"{width}; is the pooling another one than it was trained behind?"
            )
        width = module.outputs if isinstance(module, Dense) else width
    return width
