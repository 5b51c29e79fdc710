"""Compares the tokenizers of this project with the `tokenizers` library, at length.

    python -m tools.token_parity --assets=FOLDER [--fuzz=1000000]

Tokenizers: those of published checkpoints in FOLDER/tokenizers/NAME, and freshly trained ones of
every kind with many settings (`trained.py`). Texts: every codepoint within a word and by itself,
every line of the corpora in FOLDER/corpora, awkward strings, seeded fuzz strings, and bytes that
are not UTF-8. Compared are ids, byte offsets, decoding without clean-up, and packed texts and pairs
at odd lengths. Prints a line a tokenizer, then the total; exits with 1 if anything differs.
"""

import argparse
import functools
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import transformers
from tokenizers import Tokenizer

import preprocess
from hub_export.sources.tokenizer import files as tokenizer_files
from hub_export.terminal import Progress
from hub_export.verify import samples
from tools import texts, trained
from tools.comparison import Comparison, chunks

PAIRS = 500


def main() -> None:
    """Prints the lines."""
    options = arguments()
    corpora = texts.corpora(options.assets)
    found = {**published(options.assets), **trained.recipes(corpora)}
    chosen = {name: make for name, make in found.items() if options.only in name}
    fuzz = -(-options.fuzz // max(len(chosen), 1))
    progress, total, failed = Progress(options.quiet), 0, []
    for place, (name, make) in enumerate(chosen.items()):
        begin = time.perf_counter()
        try:
            done = compare(name, make(), corpora, options.codepoints, fuzz, place, progress)
        except preprocess.PreprocessError as error:
            print(f"{name}: refused: {error}", flush=True)
            failed.append(name)
            continue
        total += done.compared
        counts = ", ".join(f"{done.differences[each]} {each}" for each in texts.ASPECTS)
        took = time.perf_counter() - begin
        print(f"{name}: {done.compared:,} compared, different: {counts}; {took:.0f} s", flush=True)
        print("".join(f"    {each}\n" for each in done.examples), end="")
        failed += [name] if done.differences else []
    print(f"{len(chosen)} tokenizers, {total:,} compared, {len(failed)} with differences")
    sys.exit(bool(failed))


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--assets", type=Path, help="folder of tokenizers/ and corpora/")
    parser.add_argument("--fuzz", type=int, default=100_000, help="fuzz strings in all [100000]")
    parser.add_argument("--codepoints", type=int, default=1, help="every n-th text of codepoints")
    parser.add_argument("--only", default="", help="tokenizers whose name has this in it")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser.parse_args()


def compare(
    name: str,
    source: Tokenizer,
    corpora: Mapping[str, list[str]],
    every: int,
    fuzz: int,
    seed: int,
    progress: Progress,
) -> Comparison:
    """Compares one tokenizer on everything.

    Args:
        name: of the tokenizer.
        source: the tokenizer.
        corpora: name -> lines.
        every: every how many texts of codepoints are taken.
        fuzz: the number of fuzz strings.
        seed: what they are drawn by.
        progress: told of every text.
    """
    comparison = Comparison(source)
    draw = random.Random(seed)
    drawn = [*texts.fuzz(source, fuzz, seed)]
    parts: list[Sequence[str | bytes]] = [
        [*samples.codepoints()][::every],
        [*samples.AWKWARD],
        *corpora.values(),
        drawn,
        [*texts.broken(drawn[: max(fuzz // 10, 100)], draw)],
    ]
    with progress.bar(name, sum(map(len, parts))) as advance:
        for part in parts:
            for chunk in chunks(part):
                comparison.texts(chunk)
                advance(len(chunk))
    comparison.decoding(texts.id_rows(source, max(fuzz // 10, 500), draw))
    some = [*samples.AWKWARD, *drawn[: 2 * PAIRS]]
    draw.shuffle(some)
    least = comparison.special_tokens
    comparison.pairs(
        [*zip(some[::2], some[1::2], strict=False)], [least, least + 1, least + 5, 17, 64]
    )
    return comparison


def published(assets: Path | None) -> Mapping[str, Callable[[], Tokenizer]]:
    """Name -> tokenizer, of the folder's published ones."""
    folders = sorted((assets / "tokenizers").iterdir()) if assets else []
    return {each.name: functools.partial(_read, each) for each in folders}


def _read(folder: Path) -> Tokenizer:
    """Reads a tokenizer as an export would; a folder is named by its architecture first."""
    kinds = (kind for kind in transformers.CONFIG_MAPPING if folder.name.startswith(kind))
    written = {
        "config.json": {"model_type": max(kinds, key=len)},
        "tokenizer_config.json": {"do_lower_case": not folder.name.endswith("-cased")},
    }
    with tempfile.TemporaryDirectory() as copied:
        for name, content in written.items():
            (Path(copied) / name).write_text(json.dumps(content), encoding="utf-8")
        for file in folder.iterdir():
            (Path(copied) / file.name).unlink(missing_ok=True)
            (Path(copied) / file.name).symlink_to(file.resolve())
        return tokenizer_files.read(tokenizer_files.find(Path(copied)))


if __name__ == "__main__":
    main()
