"""`python -m hub_export`."""

from hub_export.cli import run

if __name__ == "__main__":
    run()
