"""What training code leaves around the names of tensors: they are known without it."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from hub_export.sources.formats.tensors import LazyTensors

_RUN, _OF_RUNS = "state_dict.", "model."
"""Of training runs; what Lightning's modules usually call the model that they train."""
_WRAPPERS = (_RUN, "module.", "_orig_mod.", "0.auto_model.")
"""Of training runs, of torch's parallel and compiled modules, of sentence-transformers."""
_SEQUENTIAL = "0."


def wrapper_of(names: Iterable[str]) -> str:
    """What stands in front of the names, such as `module.`; nothing where nothing does.

    A sequence of modules has others behind the one that is wanted.
    """
    found, left = "", [*names]
    while wrapper := next((w for w in _known_behind(found) if _is_around(w, left)), ""):
        found += wrapper
        left = [name.removeprefix(wrapper) for name in left if name.startswith(wrapper)]
    return found


def _known_behind(found: str) -> Sequence[str]:
    may_train = found.startswith(_RUN) and _OF_RUNS not in found
    return (*_WRAPPERS, _OF_RUNS) if may_train else _WRAPPERS


def unwrapped(tensors: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """The tensors without what stands in front of their names; those where it does not are left."""
    if not (wrapper := wrapper_of(tensors)):
        return tensors
    wrapped = [name for name in tensors if name.startswith(wrapper)]
    return LazyTensors.renamed(tensors, {name.removeprefix(wrapper): name for name in wrapped})


def _is_around(wrapper: str, names: list[str]) -> bool:
    has = [name.startswith(wrapper) for name in names]
    return any(has) if wrapper.startswith(_SEQUENTIAL) else bool(has) and all(has)
