"""The command `hub_export_serving`."""

import sys

from hub_export.command import Command
from hub_export.use import serving


def _run(settings: serving.ServingSettings) -> None:
    """Writes the files, and says how to start a server."""
    config = serving.run(settings)
    if not settings.quiet:
        print(serving.COMMAND.format(config.parent, config.parent))


main = Command(
    "hub_export_serving",
    serving.__doc__ or "",
    serving.ServingSettings,
    _run,
    interrupted="run it again",
    arguments="models",
    defaults={"quiet": False},
)


def run() -> None:
    """The console script."""
    sys.exit(main())


if __name__ == "__main__":
    run()
