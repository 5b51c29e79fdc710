"""`python -m hub_export.support`: what can be exported, as the code itself says it.

Prints three tables: architectures and tokenizer kinds by the sources that may have them, and the
architectures of each task; with `--markdown`, as docs/supported.md has them. Any tokenizer kind
goes with any architecture. Whether LiteRT can compute an architecture, and whether it holds in
bfloat16, is what was tried when `tried.json` was written: `--try` writes it anew.
"""

import argparse
import dataclasses
import importlib
import json
import pkgutil
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import tensorflow as tf

import encoders
import preprocess
from encoders import SIZES, Architecture, ConfigError, Encoder
from hub_export.contract import SERVING
from hub_export.errors import ExportError
from hub_export.models.encoder import of_rows
from hub_export.models.litert import converted, trace
from hub_export.models.task import KINDS
from hub_export.settings import FLOAT32, TASKS
from hub_export.sources.adapters import adapterhub, peft
from hub_export.sources.keras.backbones import BACKBONES
from hub_export.sources.keras.tokenizer import CLASSES
from hub_export.sources.tensorflow1.families import FAMILIES
from hub_export.verify.closeness import closeness

YES, NO = "yes", "-"
SOURCES = ("Hugging Face", "Keras preset", "TensorFlow 1")
TRIED = LITERT, BFLOAT16 = "LiteRT", "bfloat16"
_FILE, _NOT_TRIED = Path(__file__).with_name("tried.json"), "not tried"
_SHAPE = (1, 16)
_SMALL = {"layers": 1, "width": 64, "heads": 2, "vocabulary": 99, "positions": 64, "padding": 0}
_RELATED = {"num_attention_heads": 2, "num_key_value_heads": 2, "embedding_size": 64}
"""Sizes that only some have, and that must go with those."""
_PAPER = re.compile(r"https://arxiv\.org/abs/[0-9.]*[0-9]")

Rows = list[tuple[str, ...]]


def architectures() -> Rows:
    """A row a `model_type`, under a header.

    The sources after the first are the preset's class, the checkpoint's configuration file, whether
    an adapter can be merged, the same of AdapterHub's, and whether random weights can be drawn with
    the default options. Behind them stands what was tried.
    """
    adapters, known = ("PEFT adapter", "AdapterHub"), tried()
    header = ("model_type", "paper", "file", *SOURCES, *adapters, "--weights=none", *TRIED)
    rows = (
        (
            model_type,
            *_described(module),
            *_sources(model_type, module.ARCHITECTURE),
            *(known.get(model_type, {}).get(name, _NOT_TRIED) for name in TRIED),
        )
        for module in _modules(encoders)
        for model_type in module.ARCHITECTURE.model_types
    )
    return [header, *sorted(rows)]


def tokenizers() -> Rows:
    """A row a kind of tokenizers, under a header; an adapter has that of its base model."""
    rows = (
        (module.KIND.model, *_described(module), *_tokenizer_sources(module.KIND.model))
        for module in _modules(preprocess)
    )
    return [("tokenizer", "paper", "file", *SOURCES), *sorted(rows)]


def tasks() -> Rows:
    """A row a task, under a header."""
    rows = (
        (name, f"...{kind.head.ending}", ", ".join(sorted(kind.head.forms)) or "any")
        for name, kind in KINDS.items()
    )
    return [("task", "head in transformers", "model_type"), *rows]


def tried() -> Mapping[str, Mapping[str, str]]:
    """model_type -> what was tried -> yes, or what is in the way."""
    found: Mapping[str, Mapping[str, str]] = json.loads(_FILE.read_text(encoding="utf-8"))
    return found


def attempt(architecture: Architecture) -> Mapping[str, str]:
    """Tries an architecture, small and with the default options; see `tried`."""
    config = small(architecture)
    tensors = {name: draw() for name, draw in architecture.initial(config).items()}
    encoder, narrow = (
        architecture.build(config, tensors, dtype)[0] for dtype in (tf.float32, tf.bfloat16)
    )
    return {LITERT: _converts(encoder), BFLOAT16: _holds(encoder, narrow)}


def _write_tried() -> None:
    """Tries every architecture by itself, and writes what came of it: a minute for all."""
    found = dict[str, Mapping[str, str]]()
    for module in _modules(encoders):
        architecture = module.ARCHITECTURE
        found |= dict.fromkeys(architecture.model_types, attempt(architecture))
    content = json.dumps(found, indent=2, sort_keys=True)
    _FILE.write_text(content + "\n", encoding="utf-8")


def text(rows: Rows) -> str:
    """A table in aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def markdown(rows: Rows) -> str:
    """A table in Markdown, its papers as links."""
    header, *body = rows
    rule = ("---",) * len(header)
    cells = (header, rule, *(tuple(map(_linked, row)) for row in body))
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def main(arguments: Sequence[str]) -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(prog="hub_export.support", description="What is supported.")
    parser.add_argument("--markdown", action="store_true", help="as docs/supported.md has it")
    parser.add_argument("--try", action="store_true", help="try LiteRT and bfloat16 first")
    asked = vars(parser.parse_args(arguments))
    if asked["try"]:
        _write_tried()
    form = markdown if asked["markdown"] else text
    print("\n\n".join(form(table()) for table in (architectures, tokenizers, tasks)))


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    """The modules of a package that declare an architecture or a kind."""
    for found in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{found.name}")
        if hasattr(module, "ARCHITECTURE") or hasattr(module, "KIND"):
            yield module


def _described(module: ModuleType) -> tuple[str, str]:
    """The first paper that a module names, and its file."""
    paper = _PAPER.search(module.__doc__ or "")
    place = module.__name__.replace(".", "/")
    return paper[0] if paper else NO, f"{place}/" if hasattr(module, "__path__") else f"{place}.py"


def _sources(model_type: str, architecture: Architecture) -> tuple[str, ...]:
    return (
        YES,
        _listed(name for name, each in BACKBONES.items() if each.model_type == model_type),
        _listed(each.config for each in FAMILIES if each.model_type == model_type),
        NO if model_type in peft.UNSUPPORTED else YES,
        YES if model_type in adapterhub.SUPPORTED else NO,
        YES if _has_initial(architecture) else NO,
    )


def _tokenizer_sources(model: str) -> tuple[str, ...]:
    return (
        YES,
        _listed(name for name, each in CLASSES.items() if each.model == model),
        _listed(each.vocabulary for each in FAMILIES if each.tokenizer_model == model),
    )


def _has_initial(architecture: Architecture) -> bool:
    try:
        return bool(architecture.initial({}))
    except ConfigError:
        return False


def small(architecture: Architecture) -> Mapping[str, int]:
    """A configuration of one narrow layer, the rest as it is by default."""
    names = {**SIZES, **architecture.config.sizes}
    options = {field.name for field in dataclasses.fields(architecture.config)}
    sizes = {**{names[size]: n for size, n in _SMALL.items()}, **_RELATED}
    return {name: n for name, n in sizes.items() if name in options}


def _converts(encoder: Encoder) -> str:
    with tempfile.TemporaryDirectory() as folder:
        trace(of_rows(encoder), {SERVING: _SHAPE}, Path(folder))
        try:
            return YES if converted(Path(folder), [SERVING], FLOAT32) else NO
        except ExportError as error:
            return f"{NO} ({error})"


def _holds(encoder: Encoder, narrow: Encoder) -> str:
    """Whether an encoder in bfloat16 is as close as an export has to be."""
    draw, close = np.random.default_rng(0), closeness(BFLOAT16)
    ids = draw.integers(0, encoder.dimensions.vocabulary, _SHAPE).astype(np.int32)
    wanted, found = (
        each(tf.constant(ids), tf.ones(_SHAPE, tf.int32)) for each in (encoder, narrow)
    )
    distance = close.distance(found.sequence.numpy(), wanted.sequence.numpy())
    is_close = distance <= close.tolerance
    return YES if is_close else f"{NO} ({close.words(distance, close.tolerance)})"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or NO


def _linked(cell: str) -> str:
    if _PAPER.fullmatch(cell):
        return f"[{cell.rsplit('/', 1)[-1]}]({cell})"
    is_code = "." in cell or cell.endswith("/") or cell in TASKS
    return f"`{cell}`" if is_code else cell


if __name__ == "__main__":
    main(sys.argv[1:])
