"""The code of a page, and running it as it is printed."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from hub_export.publish.pages.facts import Facts
from hub_export.publish.pages.places import Place
from hub_export.use import serving_cli


def blocks(page: str, language: str) -> list[str]:
    """The blocks of a language that are the page's own; those that it quotes have a mark."""
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def trained(block: str) -> bool:
    """Whether it trains, which takes seconds."""
    return ".fit(" in block


def bare(page: str, known: Facts, place: Place) -> list[str]:
    """The blocks of a page without what differs from place to place: how a part is found there."""
    found = []
    for block in blocks(page, "python"):
        for part in known.parts:
            block = block.replace(place.of("python", part), part.name)  # noqa: PLW2901
        lines = (x for x in block.splitlines() if x and not x.startswith("folder = "))
        found.append("\n".join(line for line in lines if line != place.imports))
    return found


def run_python(block: str) -> dict[str, object]:
    """Runs a block by itself; returns the names that it leaves."""
    names: dict[str, object] = {}
    exec(compile(block, block, "exec"), names)
    return names


def run_shell(block: str, folder: Path, env: Mapping[str, str]) -> None:
    """Runs a block of the shell in a folder; `hub_export_serving` in this process, as quicker."""
    programs = folder / "bin"
    programs.mkdir()
    asked = programs / "asked"
    serving = programs / "hub_export_serving"
    serving.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {asked}\n')
    serving.chmod(0o755)
    path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = ["bash", "-euo", "pipefail", "-c", block]
    subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, **env},
        check=True,
        capture_output=True,
    )
    model, output = asked.read_text().splitlines()
    name, _, place = output.partition("=")
    assert serving_cli.main([str(folder / model), f"{name}={folder / place}", "--quiet"]) == 0
