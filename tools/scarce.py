"""Exports and embeds where there is too little disk or memory.

    python -m tools.scarce MODEL [--sizes=8]

Disk: a tmpfs of many sizes, up to what the export takes (needs root). Memory: `ulimit -v` of many
sizes. Prints how each ended: its exit code, its last line, and what it left under a final name.
Exits with 1 where an ending was a traceback, or a half model has a final name.
"""

import argparse
import contextlib
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

COMMON = ("--verify=none", "--quiet", "--overwrite", "--name=x")
GIB = 1 << 30
_EMBED = "from hub_export.use import embed_cli; embed_cli.run()"


@contextlib.contextmanager
def tmpfs(size: int) -> Iterator[Path]:
    """A disk of so many bytes."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
        subprocess.run(["mount", *options], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def run(command: Sequence[str], limit: int | None = None) -> tuple[int, str]:
    """Exit code, and the last line of the error stream."""

    def scarce() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    done = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=scarce,
    )
    lines = done.stderr.strip().splitlines() or [""]
    return done.returncode, "TRACEBACK " * ("Traceback" in done.stderr) + lines[-1]


def halves(out: Path) -> list[str]:
    """Models under a final name that lack a file."""
    folders = [each for each in out.glob("x_*/1") if not (each / "assets.extra").is_dir()]
    return [each.parent.name for each in folders]


def report(what: str, code: int, line: str, left: Sequence[str]) -> bool:
    """Prints a line; returns whether it is a bad ending."""
    print(f"{what:<28} exit {code:>4}  left {[*left]}  {line:.200}", flush=True)
    return bool(left) or "TRACEBACK" in line


def main() -> None:
    """Prints the lines."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--sizes", type=int, default=8)
    options = parser.parse_args()
    export = ["-m", "hub_export", f"--model={options.model}", *COMMON]
    with tempfile.TemporaryDirectory() as temporary:
        whole = Path(temporary, "out")
        subprocess.run([sys.executable, *export, f"--output_dir={whole}"], check=True)
        size = sum(each.stat().st_size for each in whole.rglob("*") if each.is_file())
        texts = Path(temporary, "texts")
        texts.write_text("a text that is embedded\n" * 20_000)
        model = whole / "x_text_embedding" / "1"
        embed = ["-c", _EMBED, f"--model={model}", f"--input={texts}", "--quiet"]
        bad = 0
        for at in range(options.sizes):
            part = int(size * (at + 0.5) / options.sizes)
            with tmpfs(part) as disk:
                ended = run([*export, f"--output_dir={disk}"])
                bad += report(f"export, disk of {part >> 10} KiB", *ended, halves(disk))
        for at in range(options.sizes):
            with tmpfs(part := (1 << 16) + (at << 21)) as disk:
                ended = run([*embed, f"--output={disk / 'vectors.npy'}"])
                left = [each.name for each in disk.glob("vectors.npy")] if ended[0] else []
                bad += report(f"hub_embed, disk of {part >> 10} KiB", *ended, left)
        kinds: list[tuple[str, Callable[[Path], list[str]]]] = [
            ("export", lambda out: [*export, f"--output_dir={out}"]),
            ("hub_embed", lambda out: [*embed, f"--output={out / 'vectors.npy'}", "--overwrite"]),
        ]
        for name, command in kinds:
            for at in range(options.sizes):
                limit = (1 + at) * GIB
                (out := Path(temporary, f"{name}{at}")).mkdir()
                ended = run(command(out), limit)
                bad += report(f"{name}, memory of {limit >> 20} MiB", *ended, halves(out))
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
