"""Compares what exports answer in older TensorFlow with what they answer in this one.

    python -m tools.older_tensorflow exported/*/1

For each version, makes an environment with its tensorflow_text in --environments (kept: the next
run takes seconds), loads every SavedModel there, and runs every signature on random ids, awkward
and random texts, and on lines of each corpus in --assets. Prints a line for each version and model:
whole numbers and strings are equal, or how many are not; of floats, the largest difference. Exits
with 1 if something failed or differs.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401 (the preprocessor's operations)

from hub_export import contract
from hub_export.verify import samples
from tools import answers
from tools.texts import corpora

# TensorFlow -> its tensorflow_text.
VERSIONS = {"2.12.1": "2.12.1", "2.15.1": "2.15.0", "2.18.1": "2.18.1"}
TOLERANCE = 1e-5
"""Of floats, as in the comparison with the source: of the largest value, at least of one."""
_ROWS, _LENGTH, _IDS, _FUZZ, _LINES = 8, 24, 30, 2000, 50
_LETTERS = ["a", "ing", " ", "Ab", "é", "한", "日本", "\x00", "½", "'s", "12", "[SEP]", "\u0301"]
_LETTERS += ["[MASK]", "<mask>", "👩‍👩‍👧", "\ufffe", "\uffff"]


def main() -> int:
    """Builds, runs, compares; returns the exit code."""
    args = arguments()
    lines = [line for each in corpora(args.assets).values() for line in each[: 7 * _LINES : 7]]
    with tempfile.TemporaryDirectory() as scratch:
        environments = args.environments or Path(scratch, "environments")
        found = [
            compare(model, version, environments, args.python, Path(scratch), lines)
            for version in args.versions
            for model in args.models
        ]
    return 0 if all(found) else 1


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", type=Path, help="folders of SavedModels")
    parser.add_argument("--versions", nargs="+", choices=VERSIONS, default=list(VERSIONS))
    parser.add_argument("--environments", type=Path, help="folder for them (a temporary one)")
    parser.add_argument("--assets", type=Path, help="folder of corpora (none: no real texts)")
    parser.add_argument("--python", default="python3.11", help="that makes them (%(default)s)")
    return parser.parse_args()


def compare(
    model: Path,
    version: str,
    environments: Path,
    python: str,
    scratch: Path,
    lines: Sequence[str] = (),
) -> bool:
    """Prints how a model does in a version; returns whether it agrees."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    write_requests(model, folder / "requests", lines)
    answers.main(str(model), str(folder / "requests"), str(folder / "here"))
    command = [str(interpreter(environments / version, version, python)), answers.__file__]
    done = subprocess.run(
        [*command, str(model), str(folder / "requests"), str(folder / "there")],
        capture_output=True,
        text=True,
        check=False,
    )
    agrees, line = (
        (False, f"FAILED, exit code {done.returncode}: {''.join(done.stderr.splitlines()[-1:])}")
        if done.returncode
        else differences(read(folder / "here"), read(folder / "there"))
    )
    print(f"TensorFlow {version:<8} {model.parent.name:<44} {line}", flush=True)
    return agrees


def interpreter(folder: Path, version: str, python: str) -> Path:
    """The Python of an environment, which is made if it is not there."""
    if not folder.exists():
        print(f"making an environment with TensorFlow {version}", file=sys.stderr, flush=True)
        made = [f"tensorflow=={version}", f"tensorflow-text=={VERSIONS[version]}", "setuptools<81"]
        subprocess.run([python, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin/python", "-m", "pip", "install", "-q", *made], check=True)
    return folder / "bin" / "python"


def write_requests(model: Path, folder: Path, lines: Sequence[str]) -> None:
    """Writes one request for each signature of a model; lines are texts to ask about, too."""
    draw = np.random.default_rng(samples.SEED)
    random = ["".join(draw.choice(_LETTERS, 9)) for _ in range(_FUZZ)]
    texts = [*samples.AWKWARD, *lines, *random]
    ids = draw.integers(0, _IDS, (_ROWS, _LENGTH), np.int32)
    mask = (np.arange(_LENGTH) < draw.integers(1, _LENGTH, (_ROWS, 1))).astype(np.int32)
    known = {
        contract.TEXT: texts,
        contract.TEXT_PAIR: texts[::-1],
        contract.LABELS: texts[8:11],
        contract.CHOICES: [[each, f"a {each}"] for each in texts[::-1]],
        contract.IDS: ids.reshape(-1),
        contract.ROW_SPLITS: np.arange(_ROWS + 1, dtype=np.int64) * _LENGTH,
        contract.WORD_IDS: ids * mask,
        contract.MASK: mask,
        contract.TYPE_IDS: np.zeros_like(ids),
    }
    for name, signature in tf.saved_model.load(str(model)).signatures.items():
        (folder / name).mkdir(parents=True)
        for key, spec in signature.structured_input_signature[1].items():
            given = texts if spec.dtype == tf.string else known.get(key)
            if given is None:  # vectors
                given = draw.standard_normal((_ROWS, _LENGTH, spec.shape[-1])).astype(np.float32)
            value = tf.make_tensor_proto(known.get(key, given))
            (folder / name / key).write_bytes(value.SerializeToString())


def read(folder: Path) -> dict[str, np.ndarray]:
    """`signature/output` -> value."""
    files = (file for file in folder.glob("*/*"))
    return {file.relative_to(folder).as_posix(): answers.read(file).numpy() for file in files}


def differences(
    here: Mapping[str, np.ndarray], there: Mapping[str, np.ndarray]
) -> tuple[bool, str]:
    """Whether the answers agree, and how far."""
    other = [name for name in here if name not in there or here[name].shape != there[name].shape]
    floats = [each for each in here if here[each].dtype.kind == "f" and each not in other]
    # np.max keeps a NaN, where max() may lose it.
    apart = float(np.max([_apart(here[each], there[each]) for each in floats], initial=0.0))
    exact = [each for each in here if each not in floats and each not in other]
    unequal = sum(int((here[each] != there[each]).sum()) for each in exact)
    values = sum(here[each].size for each in exact)
    line = f"{len(here)} outputs: {unequal} of {values:,} ids differ; floats by {apart:.1e}"
    agrees = not other and not unequal and apart <= TOLERANCE
    return agrees, line + (f"; other shapes: {', '.join(other)}" if other else "")


def _apart(here: np.ndarray, there: np.ndarray) -> float:
    """The largest difference, in units of the largest value where that is over one."""
    return float(np.abs(here - there).max() / max(1.0, np.abs(here).max()))


if __name__ == "__main__":
    sys.exit(main())
