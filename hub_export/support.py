"""`python -m hub_export.support`: what can be exported, as the code itself says it.

Prints two tables, of architectures and of tokenizer kinds, by the sources that may have them; with
`--markdown`, as README.md has them. Any tokenizer kind goes with any architecture.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Sequence

import encoders
import preprocess
from encoders import Architecture, ConfigError
from hub_export.keras_backbones import BACKBONES
from hub_export.keras_tokenizer import KINDS
from hub_export.tf_families import FAMILIES

YES, NO = "yes", "-"
SOURCES = ("Hugging Face", "Keras preset", "TensorFlow 1")
_PAPER = re.compile(r"https://arxiv\.org/abs/[0-9.]*[0-9]")

Rows = list[tuple[str, ...]]


def architectures() -> Rows:
    """A row a `model_type`, under a header.

    The sources after the first are the preset's class, the checkpoint's configuration file, whether
    an adapter can be merged, and whether random weights can be drawn with the default options.
    """
    header = ("model_type", "paper", "file", *SOURCES, "PEFT adapter", "--weights=none")
    return [header, *map(_architecture, sorted(encoders.architectures()))]


def tokenizers() -> Rows:
    """A row a kind of tokenizers, under a header; an adapter has that of its base model."""
    return [("tokenizer", "paper", "file", *SOURCES), *map(_tokenizer, sorted(preprocess.kinds()))]


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
    parser.add_argument("--markdown", action="store_true", help="as README.md has it")
    form = markdown if parser.parse_args(arguments).markdown else text
    print("\n\n".join(map(form, (architectures(), tokenizers()))))


def _architecture(model_type: str) -> tuple[str, ...]:
    found = encoders.architectures()[model_type]
    module = found.config.__module__
    return (
        model_type,
        _paper(module),
        f"{module.replace('.', '/')}.py",
        YES,
        _listed(name for name, each in BACKBONES.items() if each.model_type == model_type),
        _listed(each.config for each in FAMILIES if each.model_type == model_type),
        YES,  # adapters are merged by the names of tensors, whatever these belong to
        YES if _has_initial(found) else NO,
    )


def _tokenizer(model: str) -> tuple[str, ...]:
    module = preprocess.kinds()[model].compile.__module__
    return (
        model,
        _paper(module),
        f"{module.replace('.', '/')}.py",
        YES,
        _listed(name for name, each in KINDS.items() if each.model == model),
        _listed(each.vocabulary for each in FAMILIES if each.tokenizer_model == model),
    )


def _has_initial(architecture: Architecture) -> bool:
    try:
        return bool(architecture.initial({}))
    except ConfigError:
        return False


def _paper(module: str) -> str:
    """The first paper that a module's docstring names."""
    found = _PAPER.search(sys.modules[module].__doc__ or "")
    return found[0] if found else NO


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or NO


def _linked(cell: str) -> str:
    if _PAPER.fullmatch(cell):
        return f"[{cell.rsplit('/', 1)[-1]}]({cell})"
    return f"`{cell}`" if "." in cell else cell


if __name__ == "__main__":
    main(sys.argv[1:])
