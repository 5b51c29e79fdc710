"""The command `hub_export`."""

import os
import sys

from absl import app, flags, logging

from hub_export import terminal
from hub_export.errors import ExportError
from hub_export.terminal import silenced

FLAGS = flags.FLAGS

USAGE = """Exports a text encoder as TF Hub SavedModels, verified against its source.

  hub_export --model=distilbert-base-cased
  hub_export --model=./my_bert --output_dir=exported --verify=full
  hub_export --model=distil_bert_base_en_uncased

writes <output_dir>/<name>_L-<layers>_H-<width>_A-<heads>/<version>/ (the encoder),
<output_dir>/<name>_preprocess/<version>/ (strings to encoder inputs) and
<output_dir>/<name>_text_embedding/<version>/ (strings to vectors). Exit code 0 means that all of
it was written and agrees with the checkpoint; otherwise nothing is left under these names.
"""

flags.DEFINE_string(
    "model",
    None,
    "Checkpoint to export. A folder: a checkpoint in Hugging Face layout (config.json, weights, "
    "tokenizer), a Keras preset, a checkpoint of TensorFlow 1 (bert_config.json, bert_model.ckpt.*,"
    " vocab.txt), or a PEFT adapter. Or a model id of the Hugging Face hub such as "
    "distilbert-base-cased or user/model@revision; or a preset of keras-hub such as bert_base_en "
    "or kaggle://user/model/keras/variation.",
)
flags.DEFINE_string("output_dir", "exported", "Folder to write into; made if need be.")
flags.DEFINE_string("name", None, "What the exports are called. Default: the last part of --model.")
flags.DEFINE_integer("version", 1, "Version folder, as TF Serving numbers them.", lower_bound=0)
flags.DEFINE_integer(
    "seq_length",
    None,
    "Length of the preprocessor's outputs where a call says none. Default: 128, or the encoder's "
    "number of positions where that is less.",
    lower_bound=1,
)
flags.DEFINE_list(
    "export",
    ["encoder", "preprocessor", "text_embedding"],
    "Which parts to write: some of encoder, preprocessor, text_embedding.",
)
flags.DEFINE_enum(
    "verify",
    "auto",
    ["auto", "full", "none"],
    "What to compare with the source before anything gets its final name. auto: tokens, and "
    "numbers where torch is installed; full: both, or fail; none: nothing.",
)
flags.DEFINE_enum(
    "compute_dtype",
    "float32",
    ["float32", "bfloat16"],
    "What weights are stored and multiplied as. bfloat16 takes half the room, and less time where "
    "the processor has instructions for it (avx512_bf16, amx_bf16). Layer norms, softmax and "
    "outputs stay float32. The report states the loss, as a cosine. For inference: to fine-tune, "
    "take float32.",
)
flags.DEFINE_float(
    "tolerance",
    None,
    "Largest difference of a number, for activations of unit scale (default 1e-5); with bfloat16, "
    "how much less than one a cosine may be (default 2e-3).",
    lower_bound=0.0,
)
flags.DEFINE_bool("overwrite", False, "Replace a version that exists.")
flags.DEFINE_list(
    "ignored_options",
    [],
    "Keys of config.json to pass over. For options that hub_export does not know and that do not "
    "change what the encoder computes; verification shows whether they do.",
)
flags.DEFINE_bool(
    "padded_embedding",
    False,
    "Accept a word embedding with more rows than the vocabulary has entries.",
)
flags.DEFINE_bool(
    "special_tokens_in_text",
    True,
    "Read a special token in a text, such as [SEP], as one, as the source does. With "
    "--nospecial_tokens_in_text it is text like any other: no text can then forge a special token.",
)
flags.DEFINE_enum(
    "tokenizer_engine",
    "exact",
    ["exact", "fast"],
    "What tokenizes words. exact: as the source, without exception. fast, for Unigram tokenizers: "
    "SentencePiece's own operation, several times faster; where two ways to cut a word are as good "
    "as equal, its choice may differ from the source's. The report counts how often.",
)
flags.DEFINE_string(
    "base_model",
    None,
    "What the PEFT adapter --model adapts, in the same words. Default: what the adapter says.",
)
flags.DEFINE_enum(
    "weights",
    "pretrained",
    ["pretrained", "none"],
    "none: random weights of the checkpoint's architecture, to train from scratch.",
)
flags.DEFINE_list(
    "pooling",
    [],
    "How the text embedding makes one vector of a text, instead of what the checkpoint says (its "
    "modules.json; without one, the encoder's pooled output): cls, max, mean, "
    "mean_sqrt_len_tokens, weightedmean, lasttoken, or several, whose vectors are "
    "concatenated.",
)
flags.DEFINE_string(
    "prompt",
    None,
    "Name of the checkpoint's prompt that the text embedding puts before every text, such as "
    "query. Default: what sentence-transformers would put there unasked, usually nothing; "
    "--prompt= for none. Give the models for queries and for documents different --name.",
)
flags.DEFINE_integer(
    "dimensions",
    None,
    "How many columns of the text embedding's vectors to keep, of a checkpoint that was trained "
    "for it (Matryoshka). Normalised again where the checkpoint normalises.",
    lower_bound=1,
)
flags.DEFINE_bool("quiet", False, "Show nothing but errors.")


def main(argv: list[str]) -> int:
    """Exports, and says what was written; returns the exit code."""
    if len(argv) > 1:
        return _fail(f"unexpected arguments: {' '.join(argv[1:])}; see hub_export --help")
    if not FLAGS.model:
        return _fail("--model is missing: a folder, or a model id; see hub_export --help")
    terminal.heed_signals()
    try:
        _run()
    except ExportError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return _fail("interrupted; nothing was written")
    return 0


def _run() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.set_verbosity(logging.ERROR)
    with silenced():
        from hub_export.exporter import export  # noqa: PLC0415

    done = export(
        FLAGS.model,
        FLAGS.output_dir,
        name=FLAGS.name,
        version=FLAGS.version,
        seq_length=FLAGS.seq_length,
        parts=FLAGS.export,
        verify=FLAGS.verify,
        compute_dtype=FLAGS.compute_dtype,
        tolerance=FLAGS.tolerance,
        overwrite=FLAGS.overwrite,
        ignored_options=FLAGS.ignored_options,
        padded_embedding=FLAGS.padded_embedding,
        special_tokens_in_text=FLAGS.special_tokens_in_text,
        tokenizer_engine=FLAGS.tokenizer_engine,
        base_model=FLAGS.base_model,
        weights=FLAGS.weights,
        pooling=FLAGS.pooling,
        prompt=FLAGS.prompt,
        dimensions=FLAGS.dimensions,
        quiet=FLAGS.quiet,
    )
    if not FLAGS.quiet:
        print(done.report.table())
        for part, path in done.paths.items():
            print(f"{part:<14}  {path}")


def _fail(message: str) -> int:
    print(f"hub_export: {message}", file=sys.stderr)
    return 1


def run() -> None:
    """The console script."""
    sys.modules["__main__"].__doc__ = USAGE
    for flag in FLAGS.get_flags_for_module(__name__):
        FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    app.run(main)
