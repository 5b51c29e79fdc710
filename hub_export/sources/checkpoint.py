"""A checkpoint as every part of an export sees it, wherever it came from."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from encoders import Adapters, Form
from hub_export.sources.modules import Pipeline

BASE = "base model: "
"""Stands in front of the names of files of the model that a checkpoint adapts."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A source model; weights and tokenizer are read when they are asked for.

    Attributes:
        name: what the user calls it: a hub id, or the name of its folder.
        revision: the commit of the hub, or nothing.
        folder: where its files are, if `transformers` can load it from there by itself.
        subfolder: where in it the encoder's own files are; nothing where they lie in itself.
        route: the route that was taken, of those that a router of sentence-transformers has.
        config: its configuration, in the words of `transformers`.
        config_file: the file that says so.
        unread: options of the configuration that the source's own code never looks at.
        weights_file: the file (or index of files) that its tensors come from.
        tokenizer_file: the file that its tokenizer comes from.
        vocabulary_file: the file of its vocabulary, where that is another one.
        tensors: reads the tensors, by name.
        tokenizer: reads the tokenizer, without truncation and padding.
        special_tokens: role (`pad_token`, `mask_token`) -> token, where the checkpoint tells.
        files: every file that was read -> its sha256.
        pipeline: reads what stands around the encoder when it makes vectors of texts.
        is_late: tells whether its files say that it is for late interaction.
        unused: tensors that the source has beside these -> the reason to pass over them.
        notes: what a user of the exports should know about the source.
        adapters: those that its encoder has in its blocks; their tensors are among the others.
        head_form: the form of its head, where that isn't its family's.
        is_static: whether it is a table of vectors and a tokenizer alone, without an encoder.
        documents: its card, licence and notices: name -> file; those of a base model in `base/`.
        head_problem: why the head that it has is not supported; empty where it is.
    """

    name: str
    revision: str
    folder: Path | None
    config: Mapping[str, Any]
    config_file: Path
    weights_file: Path
    tokenizer_file: Path
    tensors: Callable[[], Mapping[str, np.ndarray]]
    tokenizer: Callable[[], Tokenizer]
    special_tokens: Mapping[str, str]
    files: Mapping[str, str]
    pipeline: Callable[[], Pipeline] = Pipeline
    is_late: Callable[[], bool] = lambda: False
    unused: Mapping[str, str] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unread: frozenset[str] = frozenset()
    subfolder: str = ""
    route: str = ""
    adapters: Adapters | None = None
    head_form: Form | None = None
    is_static: bool = False
    head_problem: str = ""
    vocabulary_file: Path | None = None
    documents: Mapping[str, Path] = dataclasses.field(default_factory=dict)
