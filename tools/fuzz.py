"""Feeds damaged checkpoints to the readers, with the coverage-guided fuzzer atheris.

    pip install atheris
    python -m tools.fuzz tokenizer.json --minutes=10 --findings=FOLDER

Each run puts one damaged file into a tiny checkpoint, and reads what an export would read of it. A
typed error is an answer; anything else is a finding, kept in FOLDER by the place where it arose.
Prints the runs, the findings, and the slowest run; exits with 1 if there is a finding. Libraries
that read in C++ or Rust are not watched by the fuzzer, which knows only what Python does then.
"""

import argparse
import base64
import hashlib
import io
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["hub_export.sources", "encoders.core", "preprocess"]):
    from hub_export import ExportError
    from hub_export.models.session import Session
    from hub_export.settings import Settings
    from hub_export.sources import find

import numpy as np
import sentencepiece
from safetensors.numpy import load_file, save
from sentencepiece import sentencepiece_model_pb2

from tests import checkpoints

SLOW_SECONDS = 30
TENSORS, SENTENCES, CHARSMAP = "model.safetensors", "spiece.model", "charsmap"
ADAPTER = "adapter_config.json"
MODULES = {
    "modules.json": [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "p", "type": "sentence_transformers.models.Pooling"},
    ],
    "p/config.json": {"word_embedding_dimension": 24, "pooling_mode_mean_tokens": True},
    "sentence_bert_config.json": {"max_seq_length": 30, "do_lower_case": False},
    "config_sentence_transformers.json": {"prompts": {"query": "q: "}},
}
ADAPTERS = {
    ADAPTER: {
        "peft_type": "LORA",
        "base_model_name_or_path": "",
        "r": 2,
        "lora_alpha": 4,
        "alpha_pattern": {"query": 3},
        "target_modules": ["query"],
    }
}
WORDS = ("null", "true", "-1", "1e400", "NaN", '""', "[]", "{}", "9" * 400, '"\\ud800"')
"""What the fuzzer may put in: values of another kind, and numbers beyond any."""
MORE = {"special_tokens_map.json": {"pad_token": "[PAD]"}, "added_tokens.json": {"x1": 57}}
TARGETS = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", *MORE, *MODULES),
    *(ADAPTER, "adapter_model.safetensors", TENSORS, SENTENCES, CHARSMAP),
)


class Readers:
    """A tiny checkpoint of which one file is replaced in every run."""

    def __init__(self, folder: Path, target: str) -> None:
        self.folder, self.file, self.target = folder, folder / target, target
        model_type = "albert" if target == SENTENCES else "bert"
        checkpoints.save_model(folder, model_type, num_hidden_layers=1)
        if target == SENTENCES:
            self.file.write_bytes(checkpoints.sentence_pieces())
            (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "AlbertTokenizer"}')
        else:
            checkpoints.save_tokenizer(folder, checkpoints.wordpiece(checkpoints.PIECES))
        if target == "vocab.txt":
            (folder / "tokenizer.json").unlink()
        more = {**MORE, **(MODULES if target in MODULES else {})}
        adapts = target in (ADAPTER, "adapter_model.safetensors")
        for name, content in {**more, **(ADAPTERS if adapts else {})}.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(json.dumps(content))
        if adapts:
            name = "base_model.model.encoder.layer.0.attention.self.query.lora_{}.weight"
            matrices = {"A": np.ones([2, 24], np.float32), "B": np.ones([24, 2], np.float32)}
            tensors = {name.format(key): values for key, values in matrices.items()}
            (folder / "adapter_model.safetensors").write_bytes(save(tensors))
        self.seed = self._seed(target)

    def _seed(self, target: str) -> bytes:
        if target == TENSORS:
            return save(dict([*load_file(self.file).items()][:2]))
        return charsmap() if target == CHARSMAP else self.file.read_bytes()

    def read(self, content: bytes) -> None:
        """What an export reads, up to the graph."""
        if self.file.name == CHARSMAP:
            self._put(content)
        else:
            self.file.write_bytes(content)
        checkpoint = find.read(str(self.folder))
        session = Session(checkpoint, Settings(self.folder, parts=("encoder", "preprocessor")))
        if self.file.name.endswith(".safetensors"):
            _ = session.built
        elif self.target in MODULES:
            _ = session.plan
        else:
            session.tokenization.preprocessor(16)

    def _put(self, charsmap: bytes) -> None:
        """Makes it the charsmap of the tokenizer."""
        file = self.folder / "tokenizer.json"
        content = json.loads(file.read_text())
        encoded = base64.b64encode(charsmap).decode()
        content["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": encoded}
        file.write_text(json.dumps(content))


class Findings:
    """What was no answer, once for each place where it arose."""

    def __init__(self, folder: Path, read: Callable[[bytes], object]) -> None:
        self._folder, self._read = folder, read
        self.runs, self.slowest, self.found = 0, 0.0, dict[str, int]()

    def __call__(self, content: bytes) -> None:
        """One run."""
        self.runs += 1
        began = time.monotonic()
        try:
            self._read(content)
        except ExportError:
            pass
        except BaseException as error:  # a panic of Rust is no Exception
            if isinstance(error, KeyboardInterrupt):
                raise
            self._keep(content, error)
        taken = time.monotonic() - began
        if taken > max(self.slowest, SLOW_SECONDS):
            self._keep(content, TimeoutError(f"{taken:.0f} s"))
        self.slowest = max(self.slowest, taken)

    def summary(self) -> str:
        """The figures."""
        return f"{self.runs} runs, {len(self.found)} findings, slowest run {self.slowest:.1f} s"

    def _keep(self, content: bytes, error: BaseException) -> None:
        frames = traceback.extract_tb(error.__traceback__)[-3:]
        place = " < ".join(f"{Path(each.filename).name}:{each.lineno}" for each in frames[::-1])
        name = f"{type(error).__name__} {place}"
        if name not in self.found:
            print(f"FOUND {name}: {error!s:.200}", flush=True)
            key = hashlib.sha256(name.encode()).hexdigest()[:12]
            (self._folder / key).write_bytes(content)
            (self._folder / f"{key}.txt").write_text("".join(traceback.format_exception(error)))
        self.found[name] = self.found.get(name, 0) + 1


def charsmap() -> bytes:
    """A small one: trie and strings of two rules."""
    with tempfile.TemporaryDirectory() as temporary:
        rules, written = Path(temporary, "rules.tsv"), io.BytesIO()
        rules.write_text("65 301\tE9\n41\t61\n")
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["a b c d e"] * 9),
            model_writer=written,
            vocab_size=9,
            hard_vocab_limit=False,
            minloglevel=2,
            normalization_rule_tsv=str(rules),
        )
    model = sentencepiece_model_pb2.ModelProto.FromString(written.getvalue())
    return bytes(model.normalizer_spec.precompiled_charsmap)


def main() -> None:
    """Fuzzes one target, and says what was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--findings", type=Path, default=Path("findings"))
    options = parser.parse_args()
    (kept := options.findings / options.target.replace("/", "_")).mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp())
    (corpus := place / "corpus").mkdir()
    readers = Readers(place / "checkpoint", options.target)
    (corpus / "seed").write_bytes(readers.seed)
    (place / "words").write_text("\n".join(map(_escaped, WORDS)))
    findings, end = Findings(kept, readers.read), time.monotonic() + 60 * options.minutes

    def run(content: bytes) -> None:
        findings(content)
        if time.monotonic() > end:  # the fuzzer ends without a word, and so does what it calls
            shutil.rmtree(place)
            print(f"{options.target}: {findings.summary()}", flush=True)
            os._exit(bool(findings.found))

    flags = [
        *(f"-dict={place / 'words'}", f"-max_len={2 * len(readers.seed) + 400}", "-timeout=300"),
        *("-rss_limit_mb=6000", f"-artifact_prefix={kept}/", "-verbosity=0", str(corpus)),
    ]
    atheris.Setup([sys.argv[0], *flags], run)
    atheris.Fuzz()


def _escaped(word: str) -> str:
    escaped = "".join(f"\\x{each:02x}" for each in word.encode())
    return f'"{escaped}"'


if __name__ == "__main__":
    main()
