"""Reading checkpoints whose code is remote, each as an encoder that is known here.

What is compared with is never the code that came with them, which does not run: it is the class
that `transformers` has for the same encoder or, where it has none, ours in torch.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hub_export.errors import SourceError
from hub_export.sources import huggingface, module_list
from hub_export.sources.checkpoint import Checkpoint
from hub_export.sources.formats.json_files import read_json
from hub_export.sources.formats.options import Options
from hub_export.sources.remote import gte, jina_bert, jina_embeddings_v3, nomic_bert_moe


class Published(Protocol):
    """What a file of this room says of its layout."""

    NOTE: str
    """What to tell of it."""

    def recognises(self, config: Mapping[str, Any]) -> bool:
        """Whether a configuration is that of such a checkpoint."""

    def configuration(self, options: Options) -> Mapping[str, Any]:
        """The configuration in the words that are known."""

    def tensors(self, found: Checkpoint) -> Mapping[str, np.ndarray]:
        """The tensors under the names that are known."""


_PUBLISHED: tuple[Published, ...] = (gte, jina_bert, jina_embeddings_v3, nomic_bert_moe)


def recognises(folder: Path) -> bool:
    """Whether a folder holds one; one whose files are damaged does not."""
    return _published(folder) is not None


def routes(folder: Path) -> Sequence[str]:
    """The names of the adapters that one in a folder has, of which one may be followed."""
    published = _published(folder)
    return jina_embeddings_v3.routes(_config(folder)) if published is jina_embeddings_v3 else ()


def read(
    folder: Path, name: str, revision: str = "", weights: bool = True, route: str = ""
) -> Checkpoint:
    """Reads one.

    Args:
        folder: where its files are.
        name: what the user calls it.
        revision: the commit of the hub, if it is from there.
        weights: whether its weights are wanted.
        route: which of its adapters is wanted.

    Raises:
        SourceError: a file is missing or damaged, or an option is not supported; or it has no such
            adapter.
    """
    published = _published(folder)
    assert published is not None
    found = huggingface.read(folder, name, revision, weights)
    if published is jina_embeddings_v3:
        found = _with_adapter(found, route)
    # Of what code that is not followed reads nothing is known: no option is passed over.
    told = huggingface.passing_over(found.unread)
    return dataclasses.replace(
        found,
        folder=None,
        config=published.configuration(Options(found.config_file, found.config)),
        tensors=functools.partial(published.tensors, found),
        unread=frozenset(),
        notes=(*(note for note in found.notes if note not in told), published.NOTE),
    )


def _with_adapter(found: Checkpoint, route: str) -> Checkpoint:
    """The checkpoint that follows one of its adapters, or none.

    Raises:
        SourceError: it has no such adapter.
    """
    routes = jina_embeddings_v3.routes(found.config)
    if route and route not in routes:
        raise SourceError(
            f"{found.config_file}: the model has the adapters {', '.join(routes) or '(none)'}, of "
            f"which --route names one (found {route!r})"
        )
    found = dataclasses.replace(found, route=route)
    told = f"Adapter: {route or 'none'}, of {', '.join(routes)} (--route)."
    return dataclasses.replace(
        found,
        pipeline=functools.partial(jina_embeddings_v3.pipeline, found),
        notes=(*found.notes, *([told] if routes else [])),
    )


def _config(folder: Path) -> Mapping[str, Any]:
    return read_json(module_list.encoder_folder(folder) / huggingface.CONFIG)


def _published(folder: Path) -> Published | None:
    try:
        config = _config(folder)
    except SourceError:
        return None
    return next((each for each in _PUBLISHED if each.recognises(config)), None)
