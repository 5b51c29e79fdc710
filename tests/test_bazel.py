"""The BUILD files: every package has one, and it says what the imports say."""

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Folder -> who may see it. The tests see the three packages as their users do.
VISIBILITY = {
    "encoders": ["//hub_export:__subpackages__", "//tests:__subpackages__"],
    "encoders/core": ["//encoders:__subpackages__"],
    "preprocess": ["//hub_export:__subpackages__", "//tests:__subpackages__"],
    "preprocess/core": ["//preprocess:__subpackages__"],
    "hub_export": ["//tests:__subpackages__"],
    "tests": ["//visibility:private"],
}
PACKAGES = [folder for folder in VISIBILITY if folder != "tests"]


def folders(root: Path) -> set[str]:
    """The folders of Python packages."""
    tops = {folder.split("/")[0] for folder in PACKAGES}
    files = (file for top in tops for file in (root / top).rglob("__init__.py"))
    return {file.parent.relative_to(root).as_posix() for file in files}


def library(root: Path, folder: str) -> dict[str, Any]:
    """The arguments of the one py_library of a BUILD file; its globs are left out."""
    source = (root / folder / "BUILD").read_text(encoding="utf-8")
    calls = (node.value for node in ast.parse(source).body if isinstance(node, ast.Expr))
    rules = [each for each in calls if isinstance(each, ast.Call)]
    (rule,) = (each for each in rules if ast.unparse(each.func) == "py_library")
    return {
        str(keyword.arg): ast.literal_eval(keyword.value)
        for keyword in rule.keywords
        if not isinstance(keyword.value, ast.Call)
    }


def used(root: Path, folder: str) -> set[str]:
    """The other packages that the files of a folder import, as labels."""
    found = {package_of(name) for path in (root / folder).glob("*.py") for name in imports(path)}
    return {f"//{package}" for package in found - {"", folder}}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def package_of(name: str) -> str:
    """`encoders.core.layers` -> `encoders/core`; nothing for a module of somebody else."""
    path = f"{name.replace('.', '/')}/"
    return max((each for each in PACKAGES if path.startswith(f"{each}/")), key=len, default="")


def admits(visibility: list[str], folder: str) -> bool:
    """Whether a visibility names the folder, or one above it."""
    seers = [re.sub(r"//(.*):__subpackages__", r"\1/", each) for each in visibility]
    return any(f"{folder}/".startswith(seer) for seer in seers)


def test_every_package_has_a_build_file() -> None:
    assert folders(ROOT) == set(PACKAGES)
    missing = [each for each in (".", *VISIBILITY) if not (ROOT / each / "BUILD").is_file()]
    assert missing == []


@pytest.mark.parametrize("folder", VISIBILITY)
def test_visibility(folder: str) -> None:
    rule = library(ROOT, folder)
    assert rule["name"] == Path(folder).name
    assert rule["visibility"] == VISIBILITY[folder]


@pytest.mark.parametrize("folder", PACKAGES)
def test_deps_are_the_imports(folder: str) -> None:
    assert set(library(ROOT, folder).get("deps", [])) == used(ROOT, folder)


@pytest.mark.parametrize("folder", VISIBILITY)
def test_deps_are_visible(folder: str) -> None:
    deps = [dep.removeprefix("//") for dep in library(ROOT, folder).get("deps", [])]
    assert [dep for dep in deps if not admits(VISIBILITY[dep], folder)] == []


def test_helpers_find_faults(tmp_path: Path) -> None:
    package = tmp_path / "encoders" / "extra"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from hub_export.cli import run\nimport numpy\n", "utf-8")
    (package / "BUILD").write_text("# a rule\npy_library(name='extra', srcs=glob(['*']))", "utf-8")
    assert folders(tmp_path) == {"encoders/extra"}
    assert library(tmp_path, "encoders/extra") == {"name": "extra"}
    assert used(tmp_path, "encoders/extra") == {"//hub_export"}
    assert admits(VISIBILITY["encoders/core"], "encoders")
    assert not admits(VISIBILITY["encoders/core"], "hub_export")
    assert not admits(VISIBILITY["tests"], "encoders")


def test_bazel_reads_them(tmp_path: Path) -> None:
    bazel = native_bazel(tmp_path)
    # In batch mode no server stays behind.
    query = [bazel, "--batch", f"--output_user_root={tmp_path}", "query", "--noshow_progress"]
    done = subprocess.run([*query, "//..."], cwd=ROOT, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    labels = {f"//{folder}:{Path(folder).name}" for folder in VISIBILITY}
    assert labels <= set(done.stdout.split())


def native_bazel(folder: Path) -> str:
    """The program, if it is one with Python rules of its own; otherwise skips."""
    bazel = shutil.which("bazel")
    if bazel is None:
        pytest.skip("bazel is not installed")
    # Asked outside the workspace, where no server starts.
    done = subprocess.run(
        [bazel, "--version"], cwd=folder, capture_output=True, check=False, text=True
    )
    major = re.match(r"bazel (\d+)\.", done.stdout)
    if done.returncode or (major and int(major[1]) > 6):
        pytest.skip(f"needs Bazel 6 or older, found: {(done.stdout or done.stderr).strip()}")
    return bazel
