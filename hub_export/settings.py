"""What an export may be asked for, and what its options' values are called."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hub_export.errors import ExportError
from hub_export.options import broken, option

ENCODER, PREPROCESSOR, TEXT_EMBEDDING = "encoder", "preprocessor", "text_embedding"
TASK_MODEL = "task_model"
PRODUCTS = (ENCODER, PREPROCESSOR, TEXT_EMBEDDING, TASK_MODEL)
"""What an export may consist of."""
AUTO, FEATURE_EXTRACTION = "auto", "feature-extraction"
TEXT_CLASSIFICATION, TOKEN_CLASSIFICATION = "text-classification", "token-classification"
QUESTION_ANSWERING, MULTIPLE_CHOICE = "question-answering", "multiple-choice"
FILL_MASK, SPARSE_EMBEDDING = "fill-mask", "sparse-embedding"
LATE_INTERACTION = "late-interaction"
TASKS = (
    AUTO,
    FEATURE_EXTRACTION,
    TEXT_CLASSIFICATION,
    TOKEN_CLASSIFICATION,
    QUESTION_ANSWERING,
    MULTIPLE_CHOICE,
    FILL_MASK,
    SPARSE_EMBEDDING,
    LATE_INTERACTION,
)

INSIDE = ("embedding_output", "attentions", "embeds", "head_mask")
"""Options of what an encoder gives or takes beside its usual inputs and outputs."""
FULL, QUICK, NONE = "full", "quick", "none"
PRETRAINED, TRAINED = "pretrained", "trained"
BFLOAT16 = "bfloat16"
PRECISIONS = FLOAT32, FLOAT16, INT8 = "float32", "float16", "int8"
"""What a LiteRT copy's weights may be stored as, the most exact first."""


def product_of(task: str) -> str:
    """What the model of a task is called: `text-classification` -> `text_classification`."""
    return task.replace("-", "_")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What an export is asked for."""

    model: str | Path = option(
        "Checkpoint to export. A folder: a checkpoint in Hugging Face layout (config.json, "
        "weights, tokenizer), a Keras preset, a checkpoint of TensorFlow 1 (bert_config.json, "
        "bert_model.ckpt.*, vocab.txt), or an adapter (PEFT, AdapterHub). Or a model id of the "
        "Hugging Face hub such as distilbert-base-cased, user/model@revision or hf://user/model; "
        "or a preset of keras-hub such as bert_base_en or kaggle://user/model/keras/variation.",
        recorded=False,
    )
    output_dir: str | Path = option(
        "Folder to write into; made if need be.", "exported", recorded=False
    )
    _: dataclasses.KW_ONLY
    name: str | None = option("What the exports are called. Default: the last part of model.", None)
    version: int = option("Version folder, as TF Serving numbers them.", 1, least=0)
    seq_length: int | None = option(
        "Length of the preprocessor's outputs where a call says none. Default: 128, or the "
        "encoder's number of positions where that is less.",
        None,
        least=1,
    )
    parts: Sequence[str] = option(
        f"Which parts to write: some of {', '.join(PRODUCTS)}. The last is there for checkpoints "
        "that have a task (see task).",
        PRODUCTS,
        choices=PRODUCTS,
        recorded=False,
    )
    task: str = option(
        "What the checkpoint's head was trained for. text-classification: texts, or pairs of them, "
        "to labels (also re-rankers). token-classification: texts to entities. question-answering: "
        "questions and contexts to answers. multiple-choice: texts and their choices to the best "
        "choice. fill-mask: what may stand for a mask token. sparse-embedding: weights of words "
        "(SPLADE). late-interaction: vectors of the tokens of queries and documents (ColBERT). "
        "auto: what its configuration says; "
        "feature-extraction: nothing, its head is left out.",
        AUTO,
        choices=TASKS,
    )
    route: str = option(
        "Which route to export of a model of sentence-transformers that has several (a Router), or "
        "which adapter of one that has them for tasks (Jina Embeddings 3), "
        "such as query or document. Default: the one that the model says a text takes.",
        "",
    )
    hypothesis_template: str | None = option(
        "What zero-shot classification claims of a text, with {} in the place of the label. For "
        "checkpoints that classify NLI. Default: 'This example is {}.'",
        None,
    )
    embedding_output: bool = option(
        "Give what the encoder's first block gets, too: embedding_output [batch, length, width], "
        "hidden_states[0] of transformers.",
        False,
    )
    attentions: bool = option(
        "Give the weights of each layer's attention, too: attentions, a list of [batch, heads, "
        "length, length].",
        False,
    )
    embeds: bool = option(
        "Give the encoder embeds(inputs), which takes vectors, inputs_embeds [batch, length, "
        "width of the embedding], in the place of ids, and gives gradients to them: what "
        "attribution methods need.",
        False,
    )
    head_mask: bool = option(
        "Let the encoder take head_mask [layers, heads] beside its inputs: what the weights of "
        "each head are multiplied by.",
        False,
    )
    verify: str = option(
        "What to compare with the source before anything gets its final name. auto: tokens, and "
        "numbers where torch is installed; full: both, or fail; quick: as auto, with a part of "
        "the texts, while you try things out; none: nothing.",
        "auto",
        choices=("auto", FULL, QUICK, NONE),
    )
    compute_dtype: str = option(
        "What weights are stored and multiplied as. bfloat16 takes half the room, and less time "
        "where the processor has instructions for it (avx512_bf16, amx_bf16); so does float16 on "
        "GPUs, while most processors have none for it. Layer norms, softmax and outputs stay "
        "float32. The report states the loss, as a cosine; where numbers overflow in float16, the "
        "export is refused. For inference: the small steps of an optimizer are lost in both.",
        FLOAT32,
        choices=(FLOAT32, BFLOAT16, FLOAT16),
    )
    tolerance: float | None = option(
        "Largest difference of a number, for activations of unit scale (default 1e-5); with "
        "bfloat16 and float16, how much less than one a cosine may be (default 2e-3 and 1e-4).",
        None,
        least=0,
    )
    overwrite: bool = option("Replace a version that exists.", False, recorded=False)
    ignored_options: Sequence[str] = option(
        "Keys of config.json to pass over. For options that hub_export does not know and that do "
        "not change what the encoder computes; verification shows whether they do.",
        (),
    )
    padded_embedding: bool = option(
        "Accept a word embedding with more rows than a vocab.txt has lines. One whose rows are "
        "these, rounded up to a multiple of 8, 64 or 128, is accepted anyway, and so is any beside "
        "a file that cannot end early: a tokenizer.json, a SentencePiece model.",
        False,
    )
    special_tokens_in_text: bool | None = option(
        "Read a special token in a text, such as [SEP], as one; or as text like any other, so that "
        "no text can forge one. Default: as the source reads it, usually as a special token.",
        None,
    )
    tokenizer_engine: str = option(
        "What tokenizes words. exact: as the source, without exception. fast, for Unigram "
        "tokenizers: SentencePiece's own operation, several times faster; where two ways to cut a "
        "word are as good as equal, its choice may differ from the source's. The report counts "
        "how often.",
        "exact",
        choices=("exact", "fast"),
    )
    base_model: str | Path | None = option(
        "What the adapter adapts, in the words of model. Default: what the adapter says.",
        None,
        recorded=False,
    )
    weights: str | Path = option(
        "pretrained; or none: random weights of the checkpoint's architecture and of its head, or "
        "of any head that task names, to train from scratch; or a path: what became of an export "
        "of the checkpoint in training, as a SavedModel or as a checkpoint of TensorFlow 2, alone "
        "or within a model of yours. All parts are written again, with these weights.",
        PRETRAINED,
    )
    pooling: Sequence[str] = option(
        "How the text embedding makes one vector of a text, instead of what the checkpoint says "
        "(its modules.json; without one, the encoder's pooled output): cls, max, mean, "
        "mean_sqrt_len_tokens, weightedmean, lasttoken, or several, whose vectors are "
        "concatenated.",
        (),
    )
    prompt: str | None = option(
        "Name of the checkpoint's prompt that the text embedding puts before every text, such as "
        "query; so does a sparse embedding, and a cross-encoder before the first text of a pair. "
        "Default: what sentence-transformers would put there unasked, usually nothing; an empty "
        "name for none. Give the models for queries and for documents different names.",
        None,
    )
    dimensions: int | None = option(
        "How many columns of the text embedding's vectors to keep, of a checkpoint that was "
        "trained for it (Matryoshka). Normalised again where the checkpoint normalises.",
        None,
        least=1,
    )
    normalize: bool | None = option(
        "Whether the text embedding's vectors have length one, so that dot products are cosines. "
        "Default: as the checkpoint's modules say.",
        None,
    )
    litert: Sequence[str] = option(
        "Write LiteRT copies, too, for programs without TensorFlow, for phones and browsers, and "
        "for one text at a time: of all parts but the preprocessor, each with weights as float32, "
        "float16 or int8 (or several). They stand beside the rest, as "
        "<name>_text_embedding_litert; see hub_export.litert.",
        (),
        choices=PRECISIONS,
    )
    litert_length: int | None = option(
        "Longest row of tokens of LiteRT copies. Default: 512, or what the model takes if that is "
        "less.",
        None,
        least=16,
    )
    litert_tolerance: float | None = option(
        "How much less than one a cosine may be in LiteRT copies whose weights are float16 or int8 "
        "(default 1e-4 and 2e-2; 5e-2 for the vector of a single token as int8). The report states "
        "what was found.",
        None,
        least=0,
    )
    mediapipe: bool = option(
        "Write copies for MediaPipe, too, of the precisions of litert: what its TextEmbedder and "
        "TextClassifier read on phones and in browsers, as <name>_text_embedding_mediapipe. For "
        "checkpoints whose tokenizer is BERT's and lower-cases; MediaPipe's own leaves accents.",
        False,
    )
    serving_tflite: str = option(
        "Experimental. Put model.tflite beside the encoder's saved_model.pb, its weights stored as "
        "this: what tensorflow_model_server reads instead with --prefer_tflite_model. It takes one "
        "row of seq_length tokens at a time. Default: none.",
        NONE,
        choices=(NONE, *PRECISIONS),
    )
    report: bool = option(
        "Write <name>_report_<version>.html beside the exports, too: how parity was proven, sizes, "
        "and the speed of every copy, measured on this machine, as figures with tables. Needs "
        "pip install '.[report]' in the folder of hub_export.",
        False,
        recorded=False,
    )
    quiet: bool = option("Show nothing but errors.", True, recorded=False)

    def check(self) -> None:
        """Raises ExportError for values that lead nowhere."""
        problems = [*broken(self)]
        if (asked := self.of_embedding) and TEXT_EMBEDDING not in self.parts:
            problems.append(
                f"{', '.join(asked)}: only for the {TEXT_EMBEDDING}, which is not exported"
            )
        if self.prompt is not None and not {TEXT_EMBEDDING, TASK_MODEL} & {*self.parts}:
            problems.append(
                f"prompt: only for the {TEXT_EMBEDDING} and the {TASK_MODEL}, none of which is "
                "exported"
            )
        inner = [key for key in INSIDE if getattr(self, key)]
        if inner and ENCODER not in self.parts:
            problems.append(f"{', '.join(inner)}: only for the {ENCODER}, which is not exported")
        problems += self._of_copies()
        if problems:
            raise ExportError("; ".join(problems))

    def _of_copies(self) -> Iterator[str]:
        """What is wrong with the options of LiteRT copies."""
        converted = {"litert": bool(self.litert), "serving_tflite": self.serving_tflite != NONE}
        further = {"litert_length": self.litert_length is not None, "mediapipe": self.mediapipe}
        if self.litert_tolerance is not None and not any(converted.values()):
            yield "litert_tolerance: only for LiteRT copies; say litert or serving_tflite, too"
        if self.compute_dtype != FLOAT32 and any(converted.values()):
            asked = ", ".join(key for key, said in converted.items() if said)
            yield f"{asked}: of float32 exports, not of {self.compute_dtype}"
        if not self.litert and any(further.values()):
            asked = ", ".join(key for key, said in further.items() if said)
            yield f"{asked}: only for LiteRT copies; say litert, too"
        if converted["serving_tflite"] and ENCODER not in self.parts:
            yield f"serving_tflite: only for the {ENCODER}, which is not exported"

    @property
    def of_embedding(self) -> list[str]:
        """The options that are asked for and that only a text embedding has."""
        defaults: dict[str, Any] = {"pooling": (), "dimensions": None, "normalize": None}
        return [key for key, default in defaults.items() if getattr(self, key) != default]

    @property
    def trained(self) -> Path | None:
        """Where the weights are read from that were trained in TensorFlow; None without any."""
        return None if self.weights in (PRETRAINED, NONE) else Path(self.weights)

    @property
    def compares_numbers(self) -> bool:
        """Whether something is exported that the source in torch computes, too."""
        return bool({*self.parts} - {PREPROCESSOR})
