"""The pages of an export: for TensorFlow Hub, for the Hugging Face hub, for Kaggle."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from hub_export.errors import TargetError
from hub_export.publish.card import title
from hub_export.publish.pages import licenses
from hub_export.publish.pages.facts import Facts, Part
from hub_export.publish.pages.places import (
    Place,
    beside,
    framework,
    on_hugging_face,
    on_kaggle,
    slug,
    variation,
)
from hub_export.publish.pages.rendering import render
from hub_export.publish.report import Verified
from hub_export.publish.staging import Staging
from hub_export.settings import (
    ENCODER,
    FILL_MASK,
    LATE_INTERACTION,
    MULTIPLE_CHOICE,
    PREPROCESSOR,
    PRETRAINED,
    QUESTION_ANSWERING,
    SPARSE_EMBEDDING,
    TEXT_CLASSIFICATION,
    TEXT_EMBEDDING,
    TOKEN_CLASSIFICATION,
    TRAINED,
    product_of,
)

MODEL_METADATA, INSTANCE_METADATA = "model-metadata.json", "model-instance-metadata.json"
_LIBRARY, _RELATIONS = "tensorflow", {PRETRAINED: "quantized", TRAINED: "finetune"}
"""The same weights in another format: the closest of the hub's words is quantized."""
_LONGEST_TITLE, _LONGEST_SUBTITLE = 50, 80

_TAGS = {
    TEXT_EMBEDDING: "sentence-similarity",
    ENCODER: "feature-extraction",
    PREPROCESSOR: "feature-extraction",
    product_of(LATE_INTERACTION): "sentence-similarity",
    product_of(SPARSE_EMBEDDING): "feature-extraction",
    **{
        product_of(task): task
        for task in (
            TEXT_CLASSIFICATION,
            TOKEN_CLASSIFICATION,
            QUESTION_ANSWERING,
            MULTIPLE_CHOICE,
            FILL_MASK,
        )
    },
}
"""Part -> the Hugging Face hub's word for what it does."""
_TF_HUB_TASKS = {
    PREPROCESSOR: "text-preprocessing",
    product_of(TEXT_CLASSIFICATION): "text-classification",
    product_of(QUESTION_ANSWERING): "text-question-answering",
    product_of(FILL_MASK): "text-language-model",
}
"""Those of tfhub.dev; of all others, `text-embedding`."""


def all_pages(facts: Facts, owner: str, model: str) -> dict[str, str]:
    """Name of a file -> its text, of every page.

    Args:
        facts: of the export.
        owner: the user or organisation on the hubs.
        model: what the model is called there.
    """
    found = {
        "tfhub.md": tf_hub(facts, beside(owner, model)),
        "huggingface/README.md": hugging_face(facts, on_hugging_face(owner, model)),
        f"kaggle/{MODEL_METADATA}": _json(kaggle_model(facts, owner, model)),
    }
    for part in facts.parts:
        instance = kaggle_instance(facts, part, owner, model, variation(part))
        found[f"kaggle/{variation(part)}/{INSTANCE_METADATA}"] = _json(instance)
    return found


def tf_hub(facts: Facts, place: Place) -> str:
    """The page in the form of tfhub.dev: properties in comments, below the title."""
    task = _TF_HUB_TASKS.get(facts.parts[0].contents.of, "text-embedding")
    return render("tfhub", facts=facts, place=place, task=task, title=title)


def hugging_face(facts: Facts, place: Place) -> str:
    """The card of a repository on the Hugging Face hub."""
    body = render("page", facts=facts, place=place, title=title)
    return str(ModelCard(f"---\n{metadata(facts).to_yaml()}\n---\n\n{body}"))


def metadata(facts: Facts) -> ModelCardData:
    """What stands in front of the card, for the hub's search."""
    tags = ["savedmodel", "tf-hub", *sorted({each.name.replace("_", "-") for each in facts.parts})]
    if any(part.is_copy for part in facts.parts):
        tags.append("tflite")
    relation = _RELATIONS.get(facts.weights, "")
    known: dict[str, Any] = {
        "language": facts.languages,
        "license": facts.license,
        "license_name": facts.card.license_name if facts.license == "other" else "",
        "license_link": facts.card.license_link,
        "library_name": _LIBRARY,
        # Of random weights none: the hub would make up how the two are related.
        "base_model": facts.base_model if relation else "",
        "base_model_relation": relation if facts.base_model else "",
        "pipeline_tag": facts.card.pipeline_tag or _TAGS[facts.parts[0].contents.of],
        "datasets": [*facts.card.datasets],
        "tags": tags,
    }
    return ModelCardData(**{name: value for name, value in known.items() if value})


def kaggle_model(facts: Facts, owner: str, model: str) -> dict[str, Any]:
    """`model-metadata.json`: what Kaggle shows of a model.

    The form is that of https://github.com/Kaggle/kaggle-api, docs/models_metadata.md.
    """
    found = facts.stated.revision
    models = f"{'verified ' * (facts.stated.verified == Verified.YES)}SavedModels"
    return {
        "ownerSlug": owner,
        "slug": slug(model),
        "title": facts.name.replace("_", " ")[:_LONGEST_TITLE],
        "subtitle": f"{facts.source_name} as {models}"[:_LONGEST_SUBTITLE],
        "isPrivate": True,
        "description": render("page", facts=facts, place=on_kaggle(owner, model), title=title),
        "publishTime": "",
        "provenanceSources": facts.source_name + (f", revision {found}" if found else ""),
    }


def kaggle_instance(
    facts: Facts, part: Part, owner: str, model: str, variation: str
) -> dict[str, Any]:
    """`model-instance-metadata.json`: what Kaggle shows of one part of it."""
    alone = dataclasses.replace(facts, parts=[part])
    trainable = not part.is_copy and part.name != PREPROCESSOR
    trainable &= facts.stated.compute_dtype == "float32"
    url = f"https://huggingface.co/{facts.base_model}" if facts.base_model else ""
    return {
        "ownerSlug": owner,
        "modelSlug": slug(model),
        "instanceSlug": variation,
        "framework": framework(part),
        "overview": f"{title(part.name)} of {facts.source_name}",
        "usage": render("usage", facts=alone, place=on_kaggle(owner, model), title=title),
        "licenseName": licenses.KAGGLE.get(facts.license, ""),
        "fineTunable": trainable,
        "trainingData": [*facts.card.datasets],
        "modelInstanceType": "externalVariant" if url else "unspecified",
        "baseModelInstance": "",
        "externalBaseModelUrl": url,
    }


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def write(pages: Mapping[str, str], folder: Path, overwrite: bool) -> list[Path]:
    """Writes pages into a folder, all of them or none; returns the files.

    Raises:
        TargetError: one exists, and is not to be overwritten; or there is no room for them.
    """
    with Staging(folder, overwrite) as staging:
        for name, text in pages.items():
            try:
                staging.place(Path(name)).write_text(text, encoding="utf-8")
            except OSError as error:
                raise TargetError(
                    f"{folder / name}: cannot be written ({error.strerror})"
                ) from error
        return staging.commit()
