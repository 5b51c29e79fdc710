"""The command `hub_export_serving`."""

import argparse
import os
import sys
from collections.abc import Sequence

from hub_export.errors import ExportError
from hub_export.terminal import heed_signals
from hub_export.use import serving


def _label(text: str) -> tuple[str, int]:
    label, _, version = text.rpartition(":")
    if not label or not version.isdecimal():
        raise argparse.ArgumentTypeError(
            f"{text}: expected a label and a version, such as canary:2"
        )
    return label, int(version)


def parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    made = argparse.ArgumentParser(
        description=serving.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("models", nargs="+", help="folders of numbered versions")
    add("--output_dir", default="serving", help="where models.config goes (%(default)s)")
    add(
        "--label",
        action="append",
        type=_label,
        metavar="NAME:VERSION",
        dest="labels",
        help="serve a version under a label, such as canary:2; may be given again (default: the "
        "newest version as stable)",
    )
    add("--base_path", default="/models", help="where the server has the models (%(default)s)")
    add(
        "--lengths",
        type=_lengths,
        default=[16, 64, 128],
        metavar="N,N,...",
        help="tokens of the warm-up requests (16,64,128)",
    )
    add("--max_batch_size", type=_positive, default=32, help="rows of a batch (%(default)s)")
    add(
        "--batch_timeout_micros",
        type=_whole,
        default=1000,
        help="microseconds that a request waits for others (%(default)s)",
    )
    add(
        "--num_batch_threads",
        type=_positive,
        default=2,
        help="batches that are computed at once; the server's number of cores is a good start "
        "(%(default)s)",
    )
    add("--quiet", action="store_true", help="show nothing but errors")
    return made


def _whole(text: str, least: int = 0) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"expected a number of {least} or more, found {text!r}")
    return int(text)


def _positive(text: str) -> int:
    return _whole(text, 1)


def _lengths(text: str) -> list[int]:
    return [_positive(each) for each in text.split(",")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the files, and says how to start a server; returns the exit code."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    options = vars(parser().parse_args(arguments))
    labels = options.pop("labels")
    heed_signals()
    try:
        config = serving.prepare(**options, labels=labels and dict(labels))
    except ExportError as error:
        print(f"hub_export_serving: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("hub_export_serving: interrupted; run it again", file=sys.stderr)
        return 1
    if not options["quiet"]:
        print(serving.COMMAND.format(config.parent, config.parent))
    return 0


def run() -> None:
    """The console script."""
    sys.exit(main())


if __name__ == "__main__":
    run()
