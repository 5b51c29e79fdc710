"""The command `hub_export`."""

import sys
from collections.abc import Callable, Mapping, Sequence

from hub_export.command import Command
from hub_export.publish import list_cli, publish_cli, verify_cli
from hub_export.settings import Settings
from hub_export.terminal import show, silenced

USAGE = """Exports a text encoder as TF Hub SavedModels, verified against its source.

  hub_export --model=distilbert-base-cased
  hub_export --model=./my_bert --output_dir=exported --verify=full
  hub_export --model=distil_bert_base_en_uncased

writes <output_dir>/<name>_L-<layers>_H-<width>_A-<heads>/<version>/ (the encoder),
<output_dir>/<name>_preprocess/<version>/ (strings to encoder inputs),
<output_dir>/<name>_text_embedding/<version>/ (strings to vectors) and, of a checkpoint with the
head of a task, <output_dir>/<name>_<task>/<version>/ (strings to answers). With --litert, copies
for LiteRT stand beside them, as <name>_..._litert. Exit code 0 means that all of it was written and
agrees with the checkpoint; otherwise nothing is left under these names.

What to do with exports (each has --help):

  hub_export list FOLDER                   shows what a folder holds
  hub_export verify PATH                   proves one again, without its source
                                           (or with it: --checkpoint=FOLDER)
  hub_export publish --archive=FILE PATH   packs one for TensorFlow Hub; --page writes pages on it,
                                           --push sends it to a hub
"""


def _run(settings: Settings) -> None:
    """Exports, and says what was written."""
    settings.check()
    with silenced():
        from hub_export import exporter  # noqa: PLC0415

    done = exporter.run(settings)
    if not settings.quiet:
        width = max(map(len, done.paths))
        paths = (f"{part:<{width}}  {path}" for part, path in done.paths.items())
        show("\n".join([done.report.table(), *paths]))


_export = Command(
    "hub_export",
    USAGE,
    Settings,
    _run,
    interrupted="a model that has its final name is whole, and nothing else is left",
    aliases={"export": "parts"},
    defaults={"quiet": False},
)

_COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "list": list_cli.main,
    "publish": publish_cli.main,
    "verify": verify_cli.main,
}
"""Those that take what was exported, by their names."""


def main(argv: Sequence[str] | None = None) -> int:
    """Exports, or runs the command that the first argument names; returns the exit code."""
    line = [*(sys.argv[1:] if argv is None else argv)]
    return _COMMANDS[line[0]](line[1:]) if line[:1] and line[0] in _COMMANDS else _export(line)


def run() -> None:
    """The console script."""
    sys.exit(main())
