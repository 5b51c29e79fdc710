"""What inputs, outputs and signatures of copies are called: as those of SavedModels are.

`hub_export.contract` tells of them all; it imports TensorFlow, which copies do without.
"""

TEXT, TEXT_PAIR, CHOICES = "text", "text_pair", "choices"
SERVING, SERVING_PAIR, PAIR, ROW_SPLITS = (
    "serving_default",
    "serving_pair",
    "pair",
    "row_splits",
)
DEFAULT, MASK, LOGITS, PROBABILITIES = "default", "input_mask", "logits", "probabilities"
LABEL, SCORE, START, LIMIT = "label", "score", "start", "limit"
TOKEN, TOKEN_ID, WEIGHTS, WEIGHT, TERMS = "token", "token_id", "weights", "weight", "terms"
QUESTION, CONTEXT, ANSWER_OR_NONE = "question", "context", "answer_or_none"
START_LOGITS, END_LOGITS = "start_logits", "end_logits"
CHOICE, ANSWER, QUERY, DOCUMENT, VECTORS = "choice", "answer", "query", "document", "vectors"
AGGREGATIONS = NONE, SIMPLE, FIRST, AVERAGE, MAX = "none", "simple", "first", "average", "max"
