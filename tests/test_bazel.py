"""The BUILD files: every package has one, and it says what the imports say."""

import ast
import dataclasses
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

ENCODERS, PREPROCESS, EXPORTER = (
    f"//{package}:__subpackages__" for package in ("encoders", "preprocess", "hub_export")
)
TESTS = "//tests:__subpackages__"

# Library -> who may see it. The tests see the three packages as their users do.
VISIBILITY = {
    "//encoders": [EXPORTER, TESTS],
    "//encoders/core": [ENCODERS],
    "//encoders/heads": [ENCODERS],
    "//preprocess": [EXPORTER, TESTS],
    "//preprocess/graph": [PREPROCESS],
    "//preprocess/source": [PREPROCESS],
    "//preprocess/text": [PREPROCESS],
    "//preprocess/tokenizer": [PREPROCESS],
    "//preprocess/packing": [PREPROCESS],
    "//preprocess/bpe": [PREPROCESS],
    "//preprocess/unigram": [PREPROCESS],
    "//hub_export": [TESTS],
    "//hub_export:ground": [EXPORTER],
    "//hub_export/sources": [EXPORTER],
    "//hub_export/litert": [EXPORTER],
    "//hub_export/models": [EXPORTER],
    "//hub_export/verify": [EXPORTER],
    "//hub_export/publish": [EXPORTER],
    "//hub_export/report_page": [EXPORTER],
    "//hub_export/use": [EXPORTER],
    "//tests": ["//visibility:private"],
}
PACKAGES = ("encoders", "preprocess", "hub_export")


@dataclasses.dataclass(frozen=True)
class Library:
    """A py_library of a BUILD file.

    Attributes:
        files: its sources.
        deps: the labels that it names.
        visibility: who may see it.
    """

    files: frozenset[Path]
    deps: frozenset[str]
    visibility: tuple[str, ...]


def libraries(root: Path) -> dict[str, Library]:
    """Label -> library, from every BUILD file."""
    found = {}
    for build in root.rglob("BUILD"):
        folder = build.parent
        for call in calls(build.read_text(encoding="utf-8")):
            if ast.unparse(call.func) == "py_library":
                values = {str(each.arg): each.value for each in call.keywords}
                lists = {
                    key: ast.literal_eval(value)
                    for key, value in values.items()
                    if key in ("deps", "visibility")
                }
                label = normal(f":{ast.literal_eval(values['name'])}", folder.relative_to(root))
                deps = {normal(each, folder.relative_to(root)) for each in lists.get("deps", ())}
                found[label] = Library(
                    frozenset(sources(folder, values["srcs"])),
                    frozenset(deps),
                    tuple(lists.get("visibility", ())),
                )
    return found


def calls(source: str) -> list[ast.Call]:
    values = (node.value for node in ast.parse(source).body if isinstance(node, ast.Expr))
    return [each for each in values if isinstance(each, ast.Call)]


def sources(folder: Path, value: ast.expr) -> Iterator[Path]:
    """The files of a list, or of a glob, which stops at the next BUILD file."""
    if not isinstance(value, ast.Call):
        yield from (folder / name for name in ast.literal_eval(value))
        return
    excluded = [ast.literal_eval(each.value) for each in value.keywords if each.arg == "exclude"]
    for pattern in ast.literal_eval(value.args[0]):
        for path in folder.glob(pattern):
            above = [each for each in path.parents if folder in each.parents]
            inside = not any((each / "BUILD").exists() for each in above)
            if inside and path.name not in [name for names in excluded for name in names]:
                yield path


def normal(label: str, folder: Path) -> str:
    """`:core` in `encoders/core` -> `//encoders/core`."""
    place, _, name = label.partition(":")
    place = place or f"//{folder.as_posix()}"
    return place if name in ("", place.rsplit("/", 1)[-1]) else f"{place}:{name}"


def used(root: Path, library: Library, owners: Mapping[Path, str]) -> set[str]:
    """The libraries that have what the files of a library import."""
    found = set()
    for path in library.files:
        for name in imports(path):
            place = root / name.replace(".", "/")
            for file in (place.with_suffix(".py"), place / "__init__.py"):
                found |= {owners[file]} if file in owners else set()
    return found


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            submodules = [f"{base}.{alias.name}" for alias in node.names]
            own = [name for name in submodules if is_module(path, name)]
            yield from own or [base]


def is_module(beside: Path, name: str) -> bool:
    """Whether a dotted name is a module of the project that a file is in."""
    top = name.split(".", maxsplit=1)[0]
    root = next((each.parent for each in beside.parents if each.name in PACKAGES), beside.parent)
    place = root / name.replace(".", "/")
    return top in PACKAGES and (place.with_suffix(".py").is_file() or place.is_dir())


def admits(visibility: Iterable[str], label: str) -> bool:
    """Whether a visibility names the package of a label, or one above it."""
    package = label.removeprefix("//").partition(":")[0]
    seers = [re.sub(r"//(.*):__subpackages__", r"\1/", each) for each in visibility]
    return any(f"{package}/".startswith(seer) for seer in seers)


@pytest.fixture(scope="module")
def built() -> dict[str, Library]:
    return libraries(ROOT)


@pytest.fixture(scope="module")
def owners(built: dict[str, Library]) -> dict[Path, str]:
    return {file: label for label, each in built.items() for file in each.files}


def test_every_file_is_in_one_library(built: dict[str, Library]) -> None:
    files = [file for each in built.values() for file in each.files]
    assert len(files) == len(set(files))
    ours = {file for package in PACKAGES for file in (ROOT / package).rglob("*.py")}
    assert sorted(ours - set(files)) == []
    assert (ROOT / "BUILD").is_file()


def test_visibility(built: dict[str, Library]) -> None:
    assert {label: [*each.visibility] for label, each in built.items()} == VISIBILITY


@pytest.mark.parametrize("label", [label for label in VISIBILITY if label != "//tests"])
def test_deps_are_the_imports(
    built: dict[str, Library], owners: dict[Path, str], label: str
) -> None:
    assert {*built[label].deps} == used(ROOT, built[label], owners) - {label}


@pytest.mark.parametrize("label", VISIBILITY)
def test_deps_are_visible(built: dict[str, Library], label: str) -> None:
    hidden = [each for each in built[label].deps if not admits(built[each].visibility, label)]
    # What is of the same package needs no visibility.
    package = label.partition(":")[0]
    assert [each for each in hidden if each.partition(":")[0] != package] == []


def test_helpers_find_faults(tmp_path: Path) -> None:
    package, other = tmp_path / "encoders" / "extra", tmp_path / "hub_export"
    for folder in (package, other):
        folder.mkdir(parents=True)
    (package / "__init__.py").write_text("from hub_export import cli\nimport numpy\n", "utf-8")
    (package / "BUILD").write_text(
        "# a rule\npy_library(name='extra', srcs=glob(['*.py']), deps=[':a', '//b:c'])", "utf-8"
    )
    (other / "cli.py").write_text("import encoders.extra\n", "utf-8")
    (other / "BUILD").write_text("py_library(name = 'ground', srcs = ['cli.py'])", "utf-8")
    found = libraries(tmp_path)
    assert found.keys() == {"//encoders/extra", "//hub_export:ground"}
    assert found["//encoders/extra"].deps == {"//encoders/extra:a", "//b:c"}
    owners = {file: label for label, each in found.items() for file in each.files}
    assert used(tmp_path, found["//encoders/extra"], owners) == {"//hub_export:ground"}
    assert used(tmp_path, found["//hub_export:ground"], owners) == {"//encoders/extra"}
    assert admits(VISIBILITY["//encoders/core"], "//encoders")
    assert not admits(VISIBILITY["//encoders/core"], "//hub_export")
    assert not admits(VISIBILITY["//tests"], "//encoders")


def test_bazel_reads_them(tmp_path: Path) -> None:
    bazel = native_bazel(tmp_path)
    # In batch mode no server stays behind.
    query = [bazel, "--batch", f"--output_user_root={tmp_path}", "query", "--noshow_progress"]
    done = subprocess.run([*query, "//..."], cwd=ROOT, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    names = {each if ":" in each else f"{each}:{each.rsplit('/', 1)[-1]}" for each in VISIBILITY}
    assert names <= set(done.stdout.split())


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
