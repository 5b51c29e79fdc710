"""The command `hub_export_serving`."""

import sys

from hub_export.command import Command
from hub_export.terminal import show
from hub_export.use.serving import configuration


def _run(settings: configuration.ServingSettings) -> None:
    """Writes the files, and says how to start a server."""
    config = configuration.run(settings)
    if not settings.quiet:
        show(configuration.COMMAND.format(config.parent, config.parent))


main = Command(
    "hub_export_serving",
    configuration.__doc__ or "",
    configuration.ServingSettings,
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
