"""Embeds the same texts by hub_embed and by each engine, and compares speed and vectors.

    python -m tools.engines exported/NAME_text_embedding/1 --rows=100000 --workers=1,2
    python -m tools.engines exported/NAME_text_embedding/1 --engines=ray,spark --workers=2 --kill=20

Texts are those of `benchmarks/texts.py`, with `--words` those of so many words. Each engine has as
many processes of one core as `--workers` says: hub_embed's own; Beam's local runner; Ray on a
cluster of two nodes; Spark's local-cluster. Times are from the command's start to its end. With
`--kill` one process that embeds is killed once it has computed for so many seconds. Exits with 1 if
rows are lost or doubled, or vectors differ by more than 1e-5.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import psutil
import pyarrow
import pyarrow.dataset
import pyarrow.parquet

from benchmarks import texts

ROOT = Path(__file__).parents[1]
FILES = 16  # of the input: what engines share among workers
WORKERS = {"beam": "sdk_worker_main", "ray": "ray::MapWorker", "spark": "pyspark.daemon"}
"""What the command line of a process that embeds has in it."""


def written(folder: Path, rows: int, words: Sequence[int]) -> None:
    """The texts, in one file and in several."""
    least, most = words
    found = next(iter(texts.corpora().values()))
    corpus = [text for text in found if least <= len(text.split()) <= most]
    table = pyarrow.table({"id": range(rows), "text": texts.take(corpus, rows)})
    pyarrow.parquet.write_table(table, folder / "all.parquet")
    (folder / "parts").mkdir()
    size = -(-rows // FILES)
    for at in range(0, rows, size):
        pyarrow.parquet.write_table(table.slice(at, size), folder / f"parts/{at:09}.parquet")


def command(engine: str, model: Path, folder: Path, output: Path, workers: int) -> list[str]:
    """The command line of an engine."""
    flags = [f"--model={model}", "--keep=id"]
    python, parts = [sys.executable], f"--input={folder / 'parts'}"
    if engine in ("ray", "spark"):
        program = [str(ROOT / "examples" / f"{engine}_embedding.py"), *flags, parts]
        shares = {"ray": [f"--workers={workers}"]}.get(
            engine, [f"--master=local-cluster[{workers},1,2048]"]
        )
        return [*python, *program, f"--output={output}", *shares]
    output.mkdir()
    program = ["-m", "hub_export.use.embed_cli", *flags, f"--output={output / 'x.parquet'}"]
    program += ["--threads=1", "--quiet"]
    if engine == "hub_embed":
        return [*python, *program, f"--input={folder / 'all.parquet'}", f"--workers={workers}"]
    local = [f"--direct_num_workers={workers}", "--direct_running_mode=multi_processing"]
    return [*python, *program, f"{parts}/*.parquet", "--runner=DirectRunner", "--", *local]


@contextmanager
def cluster(engine: str, workers: int) -> Iterator[Mapping[str, str]]:
    """The environment that an engine's command needs; of Ray, with the cluster."""
    asked = {"PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": sys.executable, "TF_CPP_MIN_LOG_LEVEL": "3"}
    if engine != "ray":
        yield asked
        return
    from ray.cluster_utils import Cluster  # noqa: PLC0415 (slow)

    os.environ.update(asked, RAY_USAGE_STATS_ENABLED="0")
    # A core each for reading and writing beside the workers'.
    node = {"num_cpus": 1 + -(-workers // 2), "object_store_memory": 500 << 20}
    made = Cluster(initialize_head=True, head_node_args=node)
    made.add_node(**node)
    yield {**asked, "RAY_ADDRESS": made.address}
    made.shutdown()


def kill(engine: str, seconds: float, ended: threading.Event) -> None:
    """Kills the first process that has embedded for so long."""
    while not ended.wait(0.2):
        for process in psutil.Process().children(recursive=True):
            try:
                line, times = " ".join(process.cmdline()), process.cpu_times()
                if WORKERS[engine] in line and times.user > seconds:
                    process.kill()
                    print(f"{engine}: killed process {process.pid} ({line:.60})", flush=True)
                    return
            except psutil.Error:  # it has ended
                continue
    print(f"{engine}: no process was killed: none computed for {seconds} s", flush=True)


def read(output: Path) -> tuple[np.ndarray, np.ndarray]:
    """Ids in their order, and vectors."""
    files = [str(path) for path in output.glob("*.parquet")]
    table = pyarrow.dataset.dataset(files, format="parquet").to_table().sort_by("id")
    column = table["vector"].combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return table["id"].to_numpy(), flat.reshape(len(table), -1)


def compared(name: str, output: Path, rows: int, wanted: np.ndarray | None) -> np.ndarray | None:
    """The vectors, if all are there; says how they differ from those of hub_embed."""
    ids, vectors = read(output)
    lost, doubled = rows - len({*ids.tolist()}), len(ids) - len({*ids.tolist()})
    print(f"{name}: {len(ids)} rows, {lost} lost, {doubled} doubled", end="", flush=True)
    if lost or doubled:
        print()
        return None
    apart = 0.0 if wanted is None else float(np.abs(vectors - wanted).max())
    print(f", {apart:.1e} from hub_embed")
    return vectors if apart <= 1e-5 else None


def measured(line: Sequence[str], environment: Mapping[str, str], log: Path) -> float:
    """How long a command runs; raises CalledProcessError where it fails."""
    with log.open("w") as said:
        begin = time.monotonic()
        subprocess.run(
            line, check=True, stdout=said, stderr=said, env={**os.environ, **environment}
        )
        return time.monotonic() - begin


def main() -> int:
    """Compares; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--rows", type=int, default=100_000, help="(%(default)s)")
    parser.add_argument("--workers", default="1,2", help="(%(default)s)")
    parser.add_argument("--engines", default="beam,ray,spark", help="(%(default)s)")
    parser.add_argument("--words", nargs=2, type=int, default=(1, 1000), help="least and most")
    parser.add_argument("--kill", type=float, help="seconds of a process before it is killed")
    options = parser.parse_args()
    wanted, right = None, True
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        written(folder, options.rows, options.words)
        for workers in map(int, options.workers.split(",")):
            base = 0.0
            for engine in ["hub_embed", *options.engines.split(",")]:
                name = f"{engine}, {workers} worker{'s' * (workers > 1)}"
                output = folder / f"{engine}-{workers}"
                line = command(engine, options.model.resolve(), folder, output, workers)
                ended = threading.Event()
                with ExitStack() as until:
                    environment = until.enter_context(cluster(engine, workers))
                    if options.kill and engine in WORKERS:
                        killer = threading.Thread(target=kill, args=(engine, options.kill, ended))
                        killer.start()
                        until.callback(killer.join)
                        until.callback(ended.set)
                    seconds = measured(line, environment, Path(f"{output}.log"))
                base = base or seconds
                found = compared(name, output, options.rows, wanted)
                wanted, right = found if wanted is None else wanted, right and found is not None
                rate = options.rows / seconds
                print(f"{name}: {seconds:.1f} s, {rate:.0f} texts/s, {seconds / base:.2f} times")
    return not right


if __name__ == "__main__":
    sys.exit(main())
