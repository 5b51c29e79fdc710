"""Where the parts of an export are found: beside it, or on a hub, and what the hubs call them."""

import dataclasses
import json
import re
import shlex
from collections.abc import Sequence

from hub_export.publish.pages.facts import Part

TENSORFLOW, TFLITE = "tensorFlow2", "tfLite"
"""Kaggle's words for what loads a part."""


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the models of a page are found. In the forms, words in braces stand for a part's own.

    Attributes:
        owner: the user or organisation.
        model: what the model is called there.
        folder: form of a part's folder, for readers.
        python: form of Python's expression for it.
        versions: form of the folder of its versions, in a shell.
        download: form of a shell command that gets it; empty where it is there.
        imports: line of Python that imports what finds a model.
        prepare: form of a line that gets the parts that `patterns` lists.
    """

    owner: str
    model: str
    folder: str
    python: str
    versions: str
    download: str = ""
    imports: str = ""
    prepare: str = ""

    def of(self, form: str, part: Part) -> str:
        """One of the forms, of a part."""
        return getattr(self, form).format(
            owner=self.owner,
            model=self.model,
            part=part.name,
            place=part.place,
            quoted=json.dumps(part.place, ensure_ascii=False),
            shell=shlex.quote(part.folder.parent.name),
            version=part.version,
            variation=variation(part),
            framework=framework(part),
        )

    def getting(self, parts: Sequence[Part]) -> str:
        """The line that gets some parts."""
        patterns = ", ".join(f'"{part.name}/*"' for part in parts)
        return self.prepare.format(owner=self.owner, model=self.model, patterns=patterns)


def beside(owner: str, model: str) -> Place:
    """In the output folder of the export, or where its folders were copied to."""
    return Place(owner, model, "{place}", "{quoted}", "{shell}")


def on_hugging_face(owner: str, model: str) -> Place:
    """In a repository of the Hugging Face hub: a folder for each part, with its versions."""
    return Place(
        owner,
        model,
        "{part}/{version}",
        'f"{{folder}}/{part}/{version}"',
        "{model}/{part}",
        'hf download {owner}/{model} --include "{part}/*" --local-dir {model}',
        "from huggingface_hub import snapshot_download",
        'folder = snapshot_download("{owner}/{model}", allow_patterns=[{patterns}])',
    )


def on_kaggle(owner: str, model: str) -> Place:
    """In a model of Kaggle: a variation for each part."""
    handle = "{owner}/{model}/{framework}/{variation}"
    get = f"import kagglehub; print(kagglehub.model_download('{handle}'))"
    return Place(
        owner,
        model,
        "{framework}/{variation}",
        f'kagglehub.model_download("{handle}")',
        '"$(dirname "$folder")"',
        f'folder=$(python -c "{get}" | tail -n 1)',
        "import kagglehub",
    )


def variation(part: Part) -> str:
    """What a part is called on Kaggle: `text_embedding_litert` -> `text-embedding-litert`."""
    return part.name.replace("_", "-")


def framework(part: Part) -> str:
    """Kaggle's word for what loads a part."""
    return TFLITE if part.is_copy else TENSORFLOW


def slug(name: str) -> str:
    """What Kaggle takes for a name in an address: `all_MiniLM` -> `all-minilm`."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
