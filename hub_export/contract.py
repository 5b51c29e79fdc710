"""The contract: every name, dtype and shape that a consumer of an export relies on.

These are the Common SavedModel APIs for Text of TF Hub
(https://www.tensorflow.org/hub/common_saved_model_apis/text). B batch, S sequence length,
D hidden width, L layers.

**Encoder** `encoder(inputs, training=False)`
    inputs: dict of int32 [B, S] `input_word_ids`, `input_mask`, and `input_type_ids`, which may be
        left out (zeros). An encoder without type embedding, or with one type, ignores it.
        An id beyond the vocabulary or the types, under the mask as elsewhere, is an error.
    outputs: dict of float32
        `pooled_output`    [B, D]
        `sequence_output`  [B, S, D]
        `encoder_outputs`  list of L [B, S, D], the output of each block
        `default`          [B, D], the same as `pooled_output`
    attributes: `variables`, `trainable_variables`, `regularization_losses`;
        of the variables, the names of norms contain `layer_norm` (`gamma`, `beta`), and those of
        biases `bias`, as recipes that exempt them from weight decay expect;
        `serve(inputs)`, `serve_training(inputs)` for consumers that pass one argument.
    signatures: `serving_default` -> `pooled_output`, `sequence_output`, `default`;
        `encoder_outputs` -> `encoder_outputs_0` ...
        They compute nothing for padding: what is [B, S, D] has zeros there. The pooled output of
        a row without any real token, or in DeBERTa of one whose first position is masked, means
        nothing, and differs from that of the call.

    by options of the export also outputs `embedding_output` [B, S, D] (what the first block gets)
        and `attentions`, list of L [B, H, S, S] (in ALBERTs whose layers have several blocks, one a
        block); `embeds(inputs, training=False)`, which takes `inputs_embeds` float32 [B, S, E], in
        the place of the word embedding's vectors, instead of `input_word_ids`; an optional input of
        the call, of `serve`, `serve_training`, `embeds` and `mlm`, `head_mask` float32 [L, H], a
        row for each of `attentions`.
        Signatures: `encoder_outputs` gives `embedding_output`, too; `attentions` ->
        `attentions_0` ...; `embeds` -> what `serving_default` gives, but as the call computes it
    of a checkpoint with a head for masked tokens also `mlm(inputs, training=False)`, as Model
        Garden has it: inputs with int32 [B, P] `masked_lm_positions` -> the same outputs and
        `mlm_logits` float32 [B, P, V]. It has `variables`, `trainable_variables` and
        `regularization_losses` of its own, the encoder's among them; the encoder's do not have the
        head's.

**Preprocessor** `preprocessor(sentences)`: string [B] -> the encoder's three inputs, [B, 128]
    `tokenize(sentences)` -> int32 RaggedTensor [B, (words), (pieces)] where the tokenizer is
        WordPiece, [B, (pieces)] otherwise
    `tokenize_with_offsets(sentences)` -> the same, with int64 starts and limits: bytes of the
        original string
    `bert_pack_inputs(segments, seq_length=128)` -> the encoder's inputs; `segments` is a list of
        int32 RaggedTensors [B, (words), (pieces)] or [B, (pieces)], or one of them by itself
        (a list that mixes the two forms takes an explicit `seq_length` as a tensor)
    `detokenize(ids)`: int32 RaggedTensor as above, or dense [B, n] -> string [B], without the
        clean-up of spaces that some decoders do; ids that stand for no token are left out
    `tokenize.get_special_tokens_dict()` -> dict of int32 scalars
    signatures: `serving_default` (`text`), `serving_pair` (`text`, `text_pair`) -> the encoder's
        inputs; `tokenize` (`text`) -> `ids` [n], `row_splits` int64 [B + 1];
        `bert_pack_inputs` (`ids`, `row_splits`) -> the encoder's inputs.

**Text embedding** `model(sentences, training=False)`: string [B] -> float32 [B, D], one vector a
text: pooled, projected, normalised as the checkpoint says; the encoder's `default` where it does
not. D is what the last of its modules gives. A text's vector does not depend on its neighbours.
    attributes: `variables`, `trainable_variables`, `regularization_losses`
    signatures: `serving_default` (`text`) -> `default` [B, D];
        `tokens` (`text`) -> `sequence_output` [B, S, width], `input_mask` int32 [B, S], where S is
        the longest row of the batch; if the checkpoint is a cross-encoder,
        `pair` (`text`, `text_pair`) -> `default`: of both texts in one row, as it reads them.

**Text classification** `model(sentences, training=False)`: string [B] -> dict of
    `logits` [B, C] float32, `probabilities` [B, C] float32 (softmax; sigmoid for several labels at
    once and for a single one; of a regression the logits; a cross-encoder's own activation),
    `label` string [B], that of the largest logit; with one label also `score` [B], its probability
    attributes: `variables`, `trainable_variables`, `regularization_losses`
    signatures: `serving_default` (`text`), `serving_pair` (`text`, `text_pair`) -> the same;
        of a checkpoint for NLI (one label begins with "entail") also `zero_shot` (`text` [B],
        `labels` [C]) -> `scores` float32 [B, C] whose rows sum to one, and
        `zero_shot_multi_label`, the same with each label by itself

**Token classification** `model(sentences, training=False)`: string [B] -> dict, of S tokens, the
longest row of the batch, special ones included:
    `logits` [B, S, C] float32, zeros where a row is padding; `input_mask` int32 [B, S];
    `start`, `limit` int64 [B, S], where each token stands in its text, in bytes; zeros for special
        tokens and padding
    `entities(sentences, aggregation="simple")` -> dict of RaggedTensors [B, (n)]: `label` string,
        `score` float32, `start`, `limit` int64 (bytes of the original text, [start, limit)),
        `text` string, cut out of the original. `aggregation` is `none`, `simple`, `first`,
        `average` or `max`, as the pipeline of `transformers` defines them; what is labelled `O` is
        left out, as there.
    attributes: `variables`, `trainable_variables`, `regularization_losses`
    signatures: `serving_default` (that of `simple`), `none`, `simple`, `first`, `average`, `max`
        (`text`) -> `label`, `score`, `start`, `limit`, `text` [n], `row_splits` int64 [B + 1];
        `logits` (`text`) -> what the call gives

**Question answering** `model.answer(question, context, top_k=1, handle_impossible_answer=False)`:
string [B] each -> dict of the best answers by falling score, [B, top_k] each,
    `answer` string, cut out of the context, `score` float32, `start` and `limit` int64, the bytes
    of the context that it is; where a text has fewer, "", 0, 0 and 0 follow. With
    `handle_impossible_answer` an empty answer at 0, 0 is one of them, and its score how probable it
    is that there is none.
    `model([question, context], training=False)`: what is trained, of a row of the question and as
        much of the context as fits: `start_logits`, `end_logits` [B, S] float32, -10000 where a row
        is padding, and `start`, `limit` [B, S] int64, the bytes of the context at each place (zeros
        where it is none)
    attributes: `variables`, `trainable_variables`, `regularization_losses`
    signatures: all of (`question`, `context`): `serving_default` -> 5 answers; `answer_or_none` ->
        the same with `handle_impossible_answer`; `logits` -> what the call gives

**Multiple choice** `model([text, choices], training=False)`: string [B] and the choices of each,
string [B, C], or a RaggedTensor [B, (C)] where some have more than others -> dict of
    `logits`, `probabilities` float32 [B, C] (their softmax), ragged where the choices are;
    `choice` int64 [B], the best one, counted from 0; `answer` string [B], the text of that. Of no
    choices, it is -1 and "".
    attributes: `variables`, `trainable_variables`, `regularization_losses`
    signatures: `serving_default` (`text` [B], `choices` [B, C]) -> the same. All texts of a request
        have the same number of choices: so inputs and outputs have a row a text, which REST gives
        as plain lists, and which a server puts together where it batches

**Fill-mask** `model(sentences, training=False)`: string [B] -> dict of RaggedTensors, for each mask
token of a text the k = 5 likeliest tokens:
    `token` string [B, (masks), k], `token_id` int32 [B, (masks), k], `score` float32
    [B, (masks), k], and `logits` float32 [B, (masks), V]. A text without a mask has none.
    attributes: `variables`, `trainable_variables`, `regularization_losses`
    signatures: `serving_default` (`text`) -> `token`, `token_id`, `score` [n, k] of all n masks,
        `row_splits` int64 [B + 1]

**Sparse embedding** `model(sentences, training=False)`: string [B] -> float32 [B, V], the weights
of all words of the vocabulary, most of them zero
    attributes: `variables`, `trainable_variables`, `regularization_losses`
    signatures: `serving_default` (`text`) -> `weights` [B, V]; `terms` (`text`) -> `token` string,
        `token_id` int32, `weight` float32 [n], of each text those of a weight, the largest first,
        at most 256; `row_splits` int64 [B + 1]

**Late interaction** `model.query(sentences, training=False)`, `model.document(...)`: string [B] ->
float32 RaggedTensor [B, (tokens), D], a vector of each token that counts, special ones included;
`model(sentences, training=False)` is that of documents
    attributes: `variables`, `trainable_variables`, `regularization_losses`
    signatures: `query`, `document` (`text`) -> `vectors` float32 [n, D], `token` string,
        `token_id` int32 [n], `row_splits` int64 [B + 1]; `serving_default` -> that of documents;
        `serving_pair` (`text`, a query, `text_pair`, a document) -> `score` float32 [B], the sum of
        the largest products of each of the query's vectors with any of the document's (MaxSim),
        or their mean where the checkpoint says so. Where the document has none, the sum is -1e9
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

WORD_IDS, MASK, TYPE_IDS = "input_word_ids", "input_mask", "input_type_ids"
POOLED, SEQUENCE, LAYERS, DEFAULT = (
    "pooled_output",
    "sequence_output",
    "encoder_outputs",
    "default",
)
TEXT, TEXT_PAIR, IDS, ROW_SPLITS = "text", "text_pair", "ids", "row_splits"
QUESTION, CONTEXT = "question", "context"
CHOICES, CHOICE = "choices", "choice"
TEXT_INPUTS = (TEXT, TEXT_PAIR, QUESTION, CONTEXT, CHOICES)
"""Inputs of texts in their order: a SavedModel does not keep that of a signature's inputs."""
SERVING, SERVING_PAIR, TOKENIZE, PACK = (
    "serving_default",
    "serving_pair",
    "tokenize",
    "bert_pack_inputs",
)
TOKENS, PAIR = "tokens", "pair"
EMBEDDED, ATTENTIONS, HEAD_MASK = "embedding_output", "attentions", "head_mask"
EMBEDS, INPUTS_EMBEDS = "embeds", "inputs_embeds"
ZERO_SHOT, ZERO_SHOT_MULTI_LABEL = "zero_shot", "zero_shot_multi_label"
LABELS, SCORES = "labels", "scores"
LOGITS, PROBABILITIES, LABEL, SCORE = "logits", "probabilities", "label", "score"
TOKEN, TOKEN_ID = "token", "token_id"
WEIGHTS, TERMS, WEIGHT = "weights", "terms", "weight"
QUERY, DOCUMENT, VECTORS = "query", "document", "vectors"
POSITIONS, MLM_LOGITS = "masked_lm_positions", "mlm_logits"
ANSWER, START, LIMIT = "answer", "start", "limit"
AGGREGATIONS = NONE, SIMPLE, FIRST, AVERAGE, MAX = "none", "simple", "first", "average", "max"
START_LOGITS, END_LOGITS, ANSWER_OR_NONE = "start_logits", "end_logits", "answer_or_none"
ENGINE, EMBEDDING, TASK, VOCABULARY = "tokenizer_engine", "embedding", "task", "vocabulary"
SEQ_LENGTH = 128
MOST_SEGMENTS = 4

Tensors = dict[str, Any]


def input_specs(types: bool = True) -> dict[str, tf.TensorSpec]:
    """The encoder's inputs, with or without type ids."""
    names = (WORD_IDS, MASK, TYPE_IDS) if types else (WORD_IDS, MASK)
    return {name: tf.TensorSpec([None, None], tf.int32, name) for name in names}


def text_spec(name: str) -> tf.TensorSpec:
    """A batch of strings."""
    return tf.TensorSpec([None], tf.string, name)


def choices_spec() -> tf.TensorSpec:
    """The choices of a batch of strings, as many for each."""
    return tf.TensorSpec([None, None], tf.string, CHOICES)


def ragged_spec(ragged_rank: int) -> tf.RaggedTensorSpec:
    """A segment: int32 [B, (pieces)] or [B, (words), (pieces)]."""
    return tf.RaggedTensorSpec([None] * (ragged_rank + 1), tf.int32)


def outputs(pooled: Any, sequence: Any, layers: Sequence[Any]) -> Tensors:
    """The encoder's outputs by name."""
    return {POOLED: pooled, SEQUENCE: sequence, LAYERS: list(layers), DEFAULT: pooled}


def flat(outputs: Tensors) -> Tensors:
    """The same by flat names, as signatures need them: `encoder_outputs_0` for the first block's.

    >>> flat({"a": 1, "b": [2, 3]})
    {'a': 1, 'b_0': 2, 'b_1': 3}
    """
    found: Tensors = {}
    for name, each in outputs.items():
        listed = isinstance(each, list | tuple)
        found |= {f"{name}_{at}": one for at, one in enumerate(each)} if listed else {name: each}
    return found


def inputs(word_ids: Any, mask: Any, type_ids: Any) -> Tensors:
    """The encoder's inputs by name."""
    return {WORD_IDS: word_ids, MASK: mask, TYPE_IDS: type_ids}
