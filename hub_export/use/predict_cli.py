"""The command `hub_predict`."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub_export.command import Command
from hub_export.errors import ExportError, TargetError
from hub_export.options import option
from hub_export.settings import AUTO
from hub_export.terminal import Progress, discard, silenced
from hub_export.use.corpora import text_files, text_rows
from hub_export.use.corpora.text_files import STDIO, Beginning
from hub_export.use.corpora.text_job import TextJob, Work
from hub_export.use.corpora.text_rows import Row

if TYPE_CHECKING:
    from hub_export.use.corpora.parquet_rows import ParquetRows
    from hub_export.use.corpora.text_lines import TextLines
    from hub_export.use.models.text_model import AnyTextModel

USAGE = """Asks a text model that hub_export wrote about texts, and writes what it answers as JSON.

  echo "a gem of a film" | hub_predict --model=exported/sst2_text_classification/1
  hub_predict --model=... --input=lines.txt --output=answers.jsonl
  hub_predict --model=... --input=pairs.tsv --columns=premise,hypothesis --keep=id

Line n of the output is an object in JSON with the answer to row n of the input:

  {"label": "positive", "probabilities": [0.001, 0.999]}

Its keys are the outputs of the model's signature. A model that finds any number of things in a text
(entities, masks) gives a list of them, each with its own keys:

  {"found": [{"label": "PER", "text": "Ada", "start": 0, "limit": 3, "score": 0.99}]}

Numbers are the shortest that give the model's float32 back; null stands for what is not finite.

The input's name says its form (--format does, for the standard input); .gz or .zst may stand behind
that of a file of lines:

  .tsv      columns parted by tabs, their names in the first line; no quotes, no escapes
  .jsonl    an object in JSON a line
  .parquet  columns (needs pyarrow, as .zst does: pip install '.[parquet]' in the folder of
            hub_export)
  else      a text a line; an empty line is one, too

Columns that are called as the inputs of the model (text; text and text_pair) need no flag. A text
that is not valid UTF-8 is read with U+FFFD in the place of what is not. Choices are a list of
texts, in .jsonl: {"text": "Ada sat down", "choices": ["to write", "up"]}.

Any number of lines takes the same memory. With --output, the file gets its name when it is
complete. If the command is stopped before that, even killed, or by a line that it cannot read, run
it again with the same arguments: it goes on where it was. It refuses to if the model, the options,
or what it has read of the input have changed since.
"""


@dataclasses.dataclass(frozen=True)
class PredictSettings:
    """What a model is asked."""

    model: Path = option(
        "Folder of the exported model: any that takes texts. Or a file of a LiteRT copy."
    )
    input: str = option(
        "File of texts in UTF-8, as it is or packed; - stands for the standard input.",
        STDIO,
    )
    output: str = option(
        "File to write, .jsonl; - stands for the standard output, where a stopped run is not taken "
        "up.",
        STDIO,
    )
    format: str = option(
        "Form of the input. auto: what its name says.", AUTO, choices=text_rows.FORMATS
    )
    columns: Sequence[str] = option(
        "Columns that are the texts, in the order of the signature's inputs, or in any order where "
        "they have their names. Default: those of these names.",
        (),
    )
    signature: str | None = option(
        "Which signature of the model to ask. Default: the one that takes these columns, "
        "serving_default for one text and serving_pair for two.",
        None,
    )
    fields: Sequence[str] = option("Outputs to write. Default: all but logits.", ())
    keep: Sequence[str] = option(
        "Columns of the input to copy to the output, such as id; of plain lines: text.",
        (),
    )
    batch_size: int = option("Rows that are asked together.", 32, least=1)
    overwrite: bool = option("Replace an output that exists.", False)
    restart: bool = option("Discard what a stopped run left: begin at the first line.", False)
    quiet: bool = option("Show nothing but errors.", False)


def _predict(settings: PredictSettings) -> None:
    """Asks, and writes the answers."""
    with text_files.errors_told(settings.output):
        if settings.output == STDIO:
            _to_stdout(settings)
        else:
            _to_file(settings)


def _to_stdout(settings: PredictSettings) -> None:
    format, model = _checked(settings, []), _model(settings)
    from hub_export.use.corpora.answers import json_lines  # noqa: PLC0415

    with text_files.records(settings.input, format, "answered") as lines:
        work = _work(settings, format, model, lines)
        at_once = settings.input == STDIO and sys.stdin.isatty()
        for rows in lines.windows(work.read, 1 if at_once else work.window_lines):
            found = work.answer(rows, lambda _: None)
            try:
                sys.stdout.buffer.writelines(json_lines(rows, found))
                sys.stdout.buffer.flush()
            except BrokenPipeError:  # its reader has read enough
                discard(sys.stdout.fileno())
                return


def _to_file(settings: PredictSettings) -> None:
    output = Path(settings.output)
    format = _checked(settings, [output])
    beginning = Beginning([output], settings.overwrite, settings.restart)
    beginning.require()
    model, progress = _model(settings), Progress(settings.quiet)
    from hub_export.use.corpora.answers import AnswerFile  # noqa: PLC0415

    with text_files.records(settings.input, format, "answered") as lines:
        job = TextJob(_work(settings, format, model, lines), [AnswerFile(output)])
        state = beginning.state(job, progress)
        with progress.bar("answering", lines.total) as advance:
            rows = job.run(lines, state, advance)
    progress.say(f"{output}: {rows} answers")


def _checked(settings: PredictSettings, outputs: Sequence[Path]) -> str:
    """The format of the input; raises ExportError for arguments that lead nowhere."""
    text_files.require_input(settings.input)
    for output in outputs:
        if output.suffix != ".jsonl":
            raise TargetError(f"{output}: expected a name that ends in .jsonl")
    text_files.require_places(settings.input, outputs)
    format = text_rows.format_of(settings.input, settings.format)
    if format == text_rows.PLAIN and settings.columns:
        raise ExportError("columns: plain lines have none; say --format=tsv, jsonl or parquet")
    return format


def _model(settings: PredictSettings) -> "AnyTextModel":
    with silenced():
        from hub_export.use.models.opening import opened  # noqa: PLC0415

        model = opened(settings.model)
        _ = model.signatures
    return model


def _work(
    settings: PredictSettings,
    format: str,
    model: "AnyTextModel",
    lines: "TextLines | ParquetRows",
) -> Work[Row, Any]:
    """What is done with the lines, after a look at the first one."""
    from hub_export.use.corpora.predictor import Predictor  # noqa: PLC0415
    from hub_export.use.models.signatures import choose  # noqa: PLC0415

    of_lines = (text_rows.PLAIN_COLUMN,) * (format == text_rows.PLAIN)
    said = settings.columns or of_lines
    table = text_rows.table(lines, format, not said and settings.signature is None)
    signature = choose(model, settings.signature, len(said), table.columns)
    with silenced():
        predictor = Predictor(model, signature, settings.fields, settings.batch_size)
    columns = _columns(said, predictor.inputs)
    places = zip(columns, predictor.inputs, strict=True)
    lists = [column for column, name in places if name in predictor.lists]
    if clash := sorted({*settings.keep} & {*predictor.keys}):
        raise ExportError(
            f"keep: {', '.join(clash)}: is what an output is called, too; rename the column, or "
            "leave the output out by --fields"
        )
    options = [format, signature, columns, predictor.fields, settings.keep]
    return Work(
        model.fingerprint,
        text_rows.reader(table, columns, settings.keep, lists),
        predictor,
        json.dumps(options),
        predictor.window_lines,
    )


def _columns(said: Sequence[str], inputs: Sequence[str]) -> Sequence[str]:
    """The columns of the inputs, in their order."""
    if not said or {*said} == {*inputs}:
        return inputs
    if len(said) != len(inputs):
        raise ExportError(
            f"columns: expected {len(inputs)}, for {', '.join(inputs)}; found {', '.join(said)}"
        )
    return said


main = Command(
    "hub_predict",
    USAGE,
    PredictSettings,
    _predict,
    interrupted="with --output, run it again with the same arguments to go on",
)


def run() -> None:
    """The console script."""
    sys.exit(main())


if __name__ == "__main__":
    run()
