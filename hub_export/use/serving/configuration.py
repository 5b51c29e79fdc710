"""Makes exports ready for TF Serving: warm-up requests, and the files that configure a server.

    hub_export_serving exported/bert_text_embedding exported/bert_preprocess --output_dir=serving

Each model is a folder of numbered versions. Writes warm-up requests into each version that is
served (assets.extra/tf_serving_warmup_requests), and

    serving/models.config             the models, their versions and labels
    serving/batching_parameters.txt   how requests are put together
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from google.protobuf import text_format

from hub_export import parts
from hub_export.errors import ExportError, SourceError, TargetError
from hub_export.litert import description
from hub_export.options import broken, option, taking
from hub_export.terminal import Progress, silenced

INSTALL = "pip install '.[serving]' in the folder of hub_export"
MODELS, BATCHING = "models.config", "batching_parameters.txt"
COMMAND = """tensorflow_model_server --rest_api_port=8501 --model_config_file={}/models.config \\
  --allow_version_labels_for_unavailable_models \\
  --enable_batching --batching_parameters_file={}/batching_parameters.txt"""
_OF_ONE_LENGTH = (
    f"no warm-up requests, for its {description.SERVED} takes rows of one length alone; with "
    "--prefer_tflite_model, start a server without --enable_batching"
)
_PARAMETERS = """# Texts of any length share a batch. Ids [batch, length] share one with ids of the
# same length only: the server pads with a row's first value, which is wrong for a mask.
max_batch_size {{ value: {} }}
batch_timeout_micros {{ value: {} }}
max_enqueued_batches {{ value: {} }}
num_batch_threads {{ value: {} }}
"""


@dataclasses.dataclass(frozen=True)
class ServingSettings:
    """What a server is asked for."""

    models: Sequence[str | Path] = option(
        "Folders of numbered versions; the server calls a model what its folder is called."
    )
    output_dir: str | Path = option("Where the files go; made if need be.", "serving")
    _: dataclasses.KW_ONLY
    labels: Mapping[str, int] | None = option(
        "Versions to serve under labels, of which each model has those that it has. Default: the "
        "newest as stable.",
        None,
    )
    base_path: str | Path = option("Where the server finds the folders of the models.", "/models")
    lengths: Sequence[int] = option(
        "Tokens of the texts in the warm-up requests.", (16, 64, 128), least=1
    )
    max_batch_size: int = option("Rows of a batch.", 32, least=1)
    batch_timeout_micros: int = option(
        "Microseconds that a request waits for others.", 1000, least=0
    )
    num_batch_threads: int = option(
        "Batches that are computed at once; the server's number of cores is a good start.",
        2,
        least=1,
    )
    quiet: bool = option("Show nothing but errors.", True)


def run(settings: ServingSettings) -> Path:
    """Writes warm-up requests, `models.config` and `batching_parameters.txt`.

    Returns:
        The path of `models.config`.

    Raises:
        SourceError: a folder has no versions, or none with a label; two models are not of one
            export, though both are parts of one by their names; all are LiteRT copies or files.
        ExportError: a model cannot answer a warm-up request; tensorflow-serving-api is missing.
        TargetError: a file cannot be written.
    """
    if problems := [*broken(settings)]:
        raise ExportError("; ".join(problems))
    try:
        with silenced():
            from tensorflow_serving.config import model_server_config_pb2  # noqa: PLC0415

            from hub_export.use.serving import warmup  # noqa: PLC0415
    except ImportError as error:
        raise ExportError(f"{error}; {INSTALL}") from error
    progress, config = Progress(settings.quiet), model_server_config_pb2.ModelServerConfig()
    folders = [*_of_saved_models(_folders(settings.models), progress)]
    if not folders:
        raise SourceError("expected folders of SavedModels, found LiteRT copies and files alone")
    served_versions = {folder: _served(folder, settings.labels) for folder in folders}
    _refuse_strangers(served_versions)
    for folder, served in served_versions.items():
        entry = config.model_config_list.config.add(name=folder.name, model_platform="tensorflow")
        entry.base_path = Path(settings.base_path, folder.name).as_posix()
        entry.model_version_policy.specific.versions.extend(sorted(set(served.values())))
        entry.version_labels.update(served)
        for version in entry.model_version_policy.specific.versions:
            place = folder / str(version)
            if (place / description.SERVED).is_file():
                progress.say(f"{place}: {_OF_ONE_LENGTH}")
                continue
            progress.say(f"warm-up requests of {place}")
            warmup.write(place, folder.name, settings.lengths)
    threads = settings.num_batch_threads
    batching = _PARAMETERS.format(
        settings.max_batch_size, settings.batch_timeout_micros, 100 * threads, threads
    )
    _write(Path(settings.output_dir, BATCHING), batching)
    return _write(Path(settings.output_dir, MODELS), text_format.MessageToString(config))


prepare = taking(ServingSettings)(run)


def _folders(models: Sequence[str | Path]) -> list[Path]:
    """The folders, each with a name of its own: a server tells models apart by their names."""
    folders = [Path(model).absolute() for model in models]
    names = [folder.name for folder in folders]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SourceError(f"{', '.join(twice)}: several models have this name; rename a folder")
    return folders


def _of_saved_models(folders: Sequence[Path], progress: Progress) -> Iterator[Path]:
    """Those of SavedModels: `exported/bert_*` names LiteRT copies and the report's page, too."""
    for folder in folders:
        if folder.is_file():
            progress.say(f"{folder}: left out, a file")
        elif any(folder.glob(f"*/{description.FILE}")):
            progress.say(f"{folder}: left out, a LiteRT copy, which the server does not load")
        else:
            yield folder


def _served(folder: Path, labels: Mapping[str, int] | None) -> dict[str, int]:
    """Label -> version, of the versions that a model has."""
    names = (each.parent.name for each in folder.glob("*/saved_model.pb"))
    versions = [int(name) for name in names if name.isdecimal()]
    if not versions:
        raise SourceError(f"{folder}: expected folders of versions, such as {folder}/1; found none")
    if labels is None:
        return {"stable": max(versions)}
    served = {label: version for label, version in labels.items() if version in versions}
    if not served:
        raise SourceError(
            f"{folder}: has the versions {sorted(versions)}, none of which is labelled"
        )
    return served


def _refuse_strangers(served: Mapping[Path, Mapping[str, int]]) -> None:
    models = [folder / str(version) for folder in served for version in served[folder].values()]
    for model, other in parts.strangers([*dict.fromkeys(models)]):
        raise SourceError(
            f"{other}: not of the export that wrote {model}: an export was stopped at its last "
            "step, or wrote some parts alone; export all parts again in one (overwrite), or serve "
            "the two by a command each"
        )


def _write(path: Path, content: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise TargetError(f"{path}: cannot be written ({error.strerror})") from error
    return path
