"""What an export costs: its time, its peak memory, and how long the encoder takes to load.

    python -m benchmarks.exporting [--rounds 5]
    python -m benchmarks.exporting --base=bert [--dtype=bfloat16] [--verify=full]

With `--base`, a checkpoint of the base size with random weights is made and exported; with
`--verify=full`, it is compared with the source as well. Every figure comes from a fresh process and
leaves out the import of TensorFlow (and of torch). The peer of the load is the same encoder, made
of Keras 2 layers and saved by Keras.
"""

import argparse
import functools
import json
import resource
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import base, keras_encoder, measure

ENCODER, PREPROCESSOR = "encoder", "preprocessor"
MODULE = "benchmarks.exporting"
OURS, AS_OBJECT, AS_KERAS = "ours", "tf.saved_model.load", "tf_keras.models.load_model"


def main() -> None:
    """Prints two tables; with `--job`, does one job and prints what it found as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--base", choices=tuple(base.TOKENIZERS), help="a checkpoint of this kind")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--verify", choices=("none", "full"), default="none")
    parser.add_argument("--job", nargs="+", help="for the processes that this one starts")
    arguments = parser.parse_args()
    if arguments.job:
        name, *rest = arguments.job
        print(json.dumps(JOBS[name](*rest)))
        return
    with tempfile.TemporaryDirectory() as folder, measure.Others() as others:
        checkpoint = measure.demo_checkpoint()
        if arguments.base:
            checkpoint = base.save(Path(folder, "source"), arguments.base, arguments.dtype)
        print(_exports(checkpoint, folder, arguments.verify, arguments.rounds), end="\n\n")
        if not arguments.base:
            print(_loads(checkpoint, folder, arguments.rounds), end="\n\n")
    print(f"Other processes took {others.cores:.1f} cores meanwhile.")


def export(parts: str, checkpoint: str, folder: str, verify: str) -> dict[str, float]:
    """Exports a checkpoint: seconds, and bytes at the peak beyond those at the start."""
    import tensorflow  # noqa: F401, PLC0415
    import tensorflow_text  # noqa: F401, PLC0415

    from hub_export import exporter  # noqa: PLC0415

    if verify == "full":
        import torch  # noqa: F401, PLC0415
        import transformers  # noqa: F401, PLC0415
    save = functools.partial(
        exporter.export,
        checkpoint,
        folder,
        name="demo",
        parts=parts.split(","),
        verify=verify,
        overwrite=True,
    )
    before = _resident()
    took = measure.seconds(save)
    return {"seconds": took, "bytes": _peak() - before}


def save_keras(checkpoint: str, folder: str) -> None:
    """Saves the peer of the load."""
    keras_encoder.save(Path(checkpoint), Path(folder))


def load(path: str) -> float:
    """Seconds of `tf.saved_model.load`."""
    import tensorflow as tf  # noqa: PLC0415

    tf.constant(0)  # starts TensorFlow's runtime
    return measure.seconds(lambda: tf.saved_model.load(path))


def load_keras(path: str) -> float:
    """Seconds of `tf_keras.models.load_model`."""
    import tensorflow as tf  # noqa: PLC0415
    import tf_keras  # noqa: PLC0415

    tf.constant(0)
    return measure.seconds(lambda: tf_keras.models.load_model(path))


JOBS: dict[str, Callable[..., Any]] = {
    each.__name__: each for each in (export, save_keras, load, load_keras)
}


def _exports(checkpoint: Path, folder: str, verify: str, rounds: int) -> str:
    size = (checkpoint / "model.safetensors").stat().st_size
    parts = (f"{ENCODER},{PREPROCESSOR}", ENCODER, PREPROCESSOR)
    found = measure.in_turn(
        {each: _job("export", each, str(checkpoint), folder, verify) for each in parts}, rounds
    )
    rows = []
    for part, runs in found.items():
        took, peak = (statistics.median(run[key] for run in runs) for key in ("seconds", "bytes"))
        rows.append([part, f"{took:.1f}", f"{peak / 1e6:,.0f}", f"{peak / size:.2f}"])
    return measure.table(["export of", "seconds", "peak, MB", "peak / checkpoint"], rows)


def _loads(checkpoint: Path, folder: str, rounds: int) -> str:
    ours, keras = next(Path(folder).glob("demo_L-*/1")), Path(folder, "keras")
    _job("save_keras", str(checkpoint), str(keras))()
    jobs = {
        OURS: _job("load", str(ours)),
        f"Keras, {AS_OBJECT}": _job("load", str(keras)),
        f"Keras, {AS_KERAS}": _job("load_keras", str(keras)),
    }
    took = measure.in_turn(jobs, rounds)
    rows = [
        [name, f"{statistics.median(each):.2f}", f"{measure.ratio(took[OURS], each):.2f}"]
        for name, each in took.items()
    ]
    return measure.table(["load of the encoder", "seconds", "ours / it"], rows)


def _job(name: str, *arguments: str) -> Callable[[], Any]:
    return functools.partial(measure.fresh, MODULE, "--job", name, *arguments)


def _resident() -> int:
    """Bytes of this process in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _peak() -> int:
    """The most bytes that this process has had in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
