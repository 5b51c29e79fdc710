"""Poolings in sentence-transformers' words, read from their folders."""

from pathlib import Path

from encoders import MODES
from hub_export.errors import SourceError
from hub_export.sources.formats.json_files import read_json
from hub_export.sources.formats.options import Options
from hub_export.sources.modules import CONFIG, PoolingOptions

# Booleans of older files, in the order of the vectors.
_LEGACY = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


def read_pooling(folder: Path) -> PoolingOptions:
    """Reads the pooling.

    Raises:
        SourceError: it is not supported, or its file is missing or damaged.
    """
    options = Options(folder / CONFIG, read_json(folder / CONFIG))
    legacy = {key: options.take(key, bool, False) for key in _LEGACY}
    default = [mode for key, mode in _LEGACY.items() if legacy[key]] or ["mean"]
    modes = options.take("pooling_mode", str | list, default)
    modes = [modes] if isinstance(modes, str) else modes
    unknown = [mode for mode in modes if not (isinstance(mode, str) and mode in MODES)]
    if unknown or not modes:
        raise SourceError(
            f"{options.file}: the pooling {unknown} is not supported; supported: {', '.join(MODES)}"
        )
    for key in ("word_embedding_dimension", "embedding_dimension"):
        options.take(key, int, 0)
    pooling = PoolingOptions(tuple(modes), options.take("include_prompt", bool, True))
    options.close()
    return pooling


def read_splade(folder: Path) -> tuple[bool, bool]:
    """Reads the pooling of a sparse embedding.

    Raises:
        SourceError: it is not supported, or its file is missing or damaged.
    """
    options = Options(folder / CONFIG, read_json(folder / CONFIG))
    found = []
    for key, known in (
        ("pooling_strategy", ("max", "sum")),
        ("activation_function", ("relu", "log1p_relu")),
    ):
        value = options.take(key, str, known[0])
        if value not in known:
            raise SourceError(
                f"{options.file}: {key}: expected {' or '.join(known)}, found {value!r}"
            )
        found.append(value == known[1])
    for key in ("word_embedding_dimension", "embedding_dimension", "chunk_size"):
        options.take(key, int | None)
    options.close()
    is_sum, is_doubled = found
    return is_sum, is_doubled
