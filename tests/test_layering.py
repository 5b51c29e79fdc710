"""Who may import whom, read from the sources without running them."""

import ast
import collections
import dataclasses
import graphlib
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("encoders", "preprocess", "hub_export")
DECLARES = {"encoders": "ARCHITECTURE", "preprocess": "KIND"}

# The first folder of an absolute path that only one machine has; a URL's or a relative path's
# part of the same name has something in front of its slash.
LOCAL = re.compile(r"(?<![\w.~$})>*-])/(?:root|work|home|Users)/")

Modules = Mapping[str, Path]
Write = Callable[..., tuple[Modules, "list[Import]"]]


@dataclasses.dataclass(frozen=True)
class Import:
    """One imported name.

    Attributes:
        importer: dotted name of the module that imports.
        name: dotted name of what it imports, a module of `PACKAGES` where it is in one.
        on_load: whether importing the importer runs it.
    """

    importer: str
    name: str
    on_load: bool

    def __str__(self) -> str:
        return f"{self.importer} imports {self.name}"


@dataclasses.dataclass(frozen=True)
class Rule:
    """Modules within `importers`, except `exempt`, never import anything within `banned`."""

    importers: tuple[str, ...]
    banned: tuple[str, ...]
    exempt: tuple[str, ...] = ()

    def breaks(self, each: Import) -> bool:
        return (
            not any(within(each.importer, package) for package in self.exempt)
            and any(within(each.importer, package) for package in self.importers)
            and any(within(each.name, package) for package in self.banned)
        )


KINDS = ("bpe", "unigram", "wordlevel", "wordpiece")
OF_KINDS = tuple(f"preprocess.{each}" for each in KINDS)
GROUND = (
    "checksums",
    "command",
    "contents",
    "contract",
    "errors",
    "options",
    "parts",
    "secrets",
    "settings",
    "terminal",
    "timing",
)
# Each knows those before it.
ABOVE = tuple(
    f"hub_export.{each}"
    for each in ("sources", "models", "verify", "publish", "report_page", "use", "exporter", "cli")
)

RULES = {
    "encoders stands alone": Rule(("encoders",), ("hub_export", "preprocess")),
    "preprocess stands alone": Rule(("preprocess",), ("hub_export", "encoders")),
    "no transformers below the exporter": Rule(("encoders", "preprocess"), ("transformers",)),
    "torch in one room only": Rule(
        PACKAGES,
        ("torch", "sentence_transformers"),
        exempt=("hub_export.sources.formats.torch_files", "hub_export.verify.references"),
    ),
    "an encoder's machinery knows no head": Rule(("encoders.core",), ("encoders.heads",)),
    "the layout of rows knows no block": Rule(
        ("encoders.core.layout",), ("encoders.core.blocks", "encoders.core.attention")
    ),
    "blocks know no attention": Rule(("encoders.core.blocks",), ("encoders.core.attention",)),
    "preprocess's ground knows no room": Rule(
        ("preprocess.graph", "preprocess.source"),
        tuple(f"preprocess.{each}" for each in ("text", "tokenizer", "packing", *KINDS)),
    ),
    "text knows no tokenizer": Rule(
        ("preprocess.text",),
        tuple(f"preprocess.{each}" for each in ("tokenizer", "packing", *KINDS)),
    ),
    "tokenizers know no packing": Rule(
        ("preprocess.tokenizer",), ("preprocess.packing", *OF_KINDS)
    ),
    "the contract is the ground": Rule(("hub_export.contract", "hub_export.errors"), PACKAGES),
    "the ground knows no room": Rule(tuple(f"hub_export.{each}" for each in GROUND), ABOVE),
    "sources know no model": Rule(("hub_export.sources",), ABOVE[1:]),
    "models know nothing of verifying": Rule(("hub_export.models",), ABOVE[2:]),
    "verifying knows nothing of publishing": Rule(("hub_export.verify",), ABOVE[3:]),
    "publishing knows no page of figures": Rule(("hub_export.publish",), ABOVE[4:]),
    "the page of figures knows nothing of use": Rule(("hub_export.report_page",), ABOVE[5:]),
    "litert stands on little": Rule(
        ("hub_export.litert",),
        (
            "encoders",
            "preprocess",
            "tensorflow",
            "torch",
            "transformers",
            "hub_export.contract",
            *ABOVE,
        ),
    ),
    "use stands on the ground": Rule(
        ("hub_export.use",),
        ("encoders", "preprocess", "torch", "transformers", "tokenizers", *ABOVE[:5], *ABOVE[6:]),
    ),
}


def within(name: str, package: str) -> bool:
    """Whether a dotted name is the package or in it."""
    return name == package or name.startswith(f"{package}.")


def find_modules(root: Path) -> Modules:
    """Dotted name -> file, for every module of the packages."""
    found = {}
    for path in (file for package in PACKAGES for file in (root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def find_imports(modules: Modules) -> Iterator[Import]:
    """Every import of every module, wherever it stands in its file."""
    for importer, path in modules.items():
        package = importer if path.stem == "__init__" else importer.rpartition(".")[0]
        for statement, on_load in statements([parse(path)]):
            for name in imported(statement, package):
                yield Import(importer, known(name, modules), on_load)


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def statements(
    nodes: Iterable[ast.AST], on_load: bool = True
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """The import statements below the nodes, and whether loading the module runs them."""
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, on_load
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from statements(node.body, False)
            yield from statements(node.orelse, on_load)
        else:
            function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from statements(ast.iter_child_nodes(node), on_load and not function)


def imported(statement: ast.Import | ast.ImportFrom, package: str) -> Iterator[str]:
    """`from a import b, c` -> `a.b`, `a.c`."""
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names)
        return
    base = statement.module or ""
    if statement.level:
        above = package.split(".")[: len(package.split(".")) + 1 - statement.level]
        base = ".".join([*above, base] if base else above)
    yield from (f"{base}.{alias.name}" for alias in statement.names)


def known(name: str, modules: Modules) -> str:
    """The module that a name is in; the name itself where it is in none of ours."""
    parts = name.split(".")
    prefixes = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((prefix for prefix in prefixes if prefix in modules), name)


def deep(each: Import) -> bool:
    """Whether the exporter reaches into another package past its top level."""
    return within(each.importer, "hub_export") and any(
        each.name.startswith(f"{package}.") for package in DECLARES
    )


def upward(each: Import) -> bool:
    """Whether a `core` uses its own package's files or top level."""
    package, _, rest = each.importer.partition(".")
    return (
        within(rest, "core")
        and within(each.name, package)
        and not within(each.name, f"{package}.core")
    )


def circle(imports: Iterable[Import], modules: Modules) -> list[str]:
    """The modules of an import circle, each before the one that imports it, or nothing."""
    graph: dict[str, set[str]] = {name: set() for name in modules}
    for each in imports:
        if each.on_load and each.name in modules:
            graph[each.importer].add(each.name)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def undeclared(modules: Modules) -> list[str]:
    """Files at a package's top level that do not declare what they are there for."""
    return [
        name
        for name, path in modules.items()
        for package, constant in DECLARES.items()
        if name.rpartition(".")[0] == package and path.stem != "__init__"
        if constant not in assigned(parse(path))
    ]


def assigned(module: ast.Module) -> list[str]:
    """The names that a module's own statements assign, each as often as they do."""
    found: list[ast.expr] = []
    for node in module.body:
        if isinstance(node, ast.Assign):
            found += node.targets
        elif isinstance(node, ast.AnnAssign) and node.value:
            found.append(node.target)
    nodes = (node for target in found for node in ast.walk(target))
    return [node.id for node in nodes if isinstance(node, ast.Name)]


def assigned_again(modules: Modules) -> list[str]:
    """`module.name` of every name that a module assigns twice: the first value is lost."""
    return [
        f"{module}.{name}"
        for module, path in modules.items()
        for name, count in collections.Counter(assigned(parse(path))).items()
        if count > 1
    ]


def local_paths(root: Path, names: Iterable[str]) -> list[str]:
    """`file:line` of every absolute path that only one machine has; binary files pass."""
    found = []
    for name in names:
        content = (root / name).read_bytes()
        if b"\0" not in content:
            lines = content.decode("utf-8", errors="replace").splitlines()
            found += [f"{name}:{at}" for at, line in enumerate(lines, 1) if LOCAL.search(line)]
    return found


def tracked(root: Path) -> list[str]:
    """The files under version control, without those deleted since."""
    git = ["git", "-C", str(root), "ls-files", "-z"]
    try:
        listed = subprocess.run(git, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"git lists no files here: {error}")
    return [name for name in listed.split("\0") if (root / name).is_file()]


@pytest.fixture(scope="module")
def modules() -> Modules:
    return find_modules(ROOT)


@pytest.fixture(scope="module")
def imports(modules: Modules) -> list[Import]:
    return list(find_imports(modules))


def test_finds_the_project(modules: Modules, imports: list[Import]) -> None:
    assert modules.keys() >= {*PACKAGES, "encoders.core.encoder", "hub_export.cli"}
    assert Import("hub_export.verify.references.loading", "torch", on_load=False) in imports
    assert Import("hub_export.models.session", "encoders", on_load=True) in imports


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_rules(rule: Rule, imports: list[Import]) -> None:
    assert [str(each) for each in imports if rule.breaks(each)] == []


def test_exporter_uses_top_levels(imports: list[Import]) -> None:
    assert [str(each) for each in imports if deep(each)] == []


def test_core_uses_core_only(imports: list[Import]) -> None:
    assert [str(each) for each in imports if upward(each)] == []


def test_no_circles(modules: Modules, imports: list[Import]) -> None:
    assert circle(imports, modules) == []


def test_files_declare(modules: Modules) -> None:
    assert undeclared(modules) == []


def test_names_are_assigned_once(modules: Modules) -> None:
    assert assigned_again(modules) == []


def test_no_local_paths() -> None:
    assert local_paths(ROOT, tracked(ROOT)) == []


# The helpers themselves, on small packages that break each rule.


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes modules below `tmp_path`; returns all of them and their imports."""

    def _write(**sources: str) -> tuple[Modules, list[Import]]:
        for name, source in sources.items():
            path = tmp_path / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source, encoding="utf-8")
            for folder in (each for each in path.parents if tmp_path in each.parents):
                (folder / "__init__.py").touch()
        modules = find_modules(tmp_path)
        return modules, list(find_imports(modules))

    return _write


OTHERS = {"hub_export__models__b": "", "hub_export__verify__b": "", "hub_export__cli": ""}


@pytest.mark.parametrize(
    ("rule", "sources"),
    [
        ("encoders stands alone", {"encoders__bert": "import hub_export.cli"}),
        ("encoders stands alone", {"encoders__core__layers": "from preprocess import build"}),
        ("preprocess stands alone", {"preprocess__word": "from encoders.core import layers"}),
        ("preprocess stands alone", {"preprocess__core__rows": "from ...hub_export import cli"}),
        ("no transformers below the exporter", {"encoders__a": "def f():\n import transformers"}),
        ("torch in one room only", {"hub_export__cli": "try:\n import torch\nfinally: 0"}),
        ("torch in one room only", {"encoders__a": "from torch.nn import Linear"}),
        ("torch in one room only", {"hub_export__cli": "import sentence_transformers"}),
        ("the contract is the ground", {"hub_export__contract": "import encoders"}),
        ("the ground knows no room", {"hub_export__settings": "from . import cli", **OTHERS}),
        ("sources know no model", {"hub_export__sources__a": "import hub_export.models", **OTHERS}),
        (
            "models know nothing of verifying",
            {"hub_export__models__a": "from ..verify import b", **OTHERS},
        ),
        ("use stands on the ground", {"hub_export__use__a": "import tokenizers"}),
        ("use stands on the ground", {"hub_export__use__a": "from ..models import b", **OTHERS}),
        ("torch in one room only", {"encoders__a": "if TYPE_CHECKING:\n import torch"}),
    ],
)
def test_rules_can_fail(write: Write, rule: str, sources: dict[str, str]) -> None:
    _, imports = write(**sources)
    breaking = next(iter(sources)).replace("__", ".")
    assert [each.importer for each in imports if RULES[rule].breaks(each)] == [breaking]


def test_rules_can_pass(write: Write) -> None:
    _, imports = write(
        hub_export__verify__references__task="import torch",
        hub_export__cli="import transformers, torchless",
        encoders__bert="from encoders.core import layers",
    )
    assert not [each for each in imports for rule in RULES.values() if rule.breaks(each)]


@pytest.mark.parametrize(
    "source",
    [
        "import encoders.core",
        "from encoders import core",
        "from encoders.core import layers",
        "from encoders.core.blocks.layers import Linear",
    ],
)
def test_deep_imports_are_found(write: Write, source: str) -> None:
    _, imports = write(encoders__core__layers="", hub_export__cli=source)
    assert any(deep(each) for each in imports)


def test_shallow_imports_pass(write: Write) -> None:
    _, imports = write(encoders__core__layers="", hub_export__cli="from encoders import Linear")
    assert not any(deep(each) for each in imports)


@pytest.mark.parametrize(
    "source", ["import encoders", "from encoders import bert", "from .. import bert"]
)
def test_upward_imports_are_found(write: Write, source: str) -> None:
    _, imports = write(encoders__bert="", encoders__core__layers=source)
    assert any(upward(each) for each in imports)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import encoders.b", True),
        ("from encoders import b", True),
        ("from . import b", True),
        ("from .b import x", True),
        ("if x:\n from encoders.b import y", True),
        ("if typing.TYPE_CHECKING:\n 0\nelse:\n import encoders.b", True),
        ("if TYPE_CHECKING:\n import encoders.b", False),
        ("def f():\n import encoders.b", False),
    ],
)
def test_circles_are_found(write: Write, source: str, found: bool) -> None:
    modules, imports = write(encoders__a=source, encoders__b="from encoders.a import x")
    expected = {"encoders.a", "encoders.b"} if found else set()
    assert set(circle(imports, modules)) == expected


def test_undeclared_files_are_found(write: Write) -> None:
    modules, _ = write(
        encoders__a="ARCHITECTURE = 1",
        encoders__b="def build():\n ARCHITECTURE = 1",
        encoders__core__c="",
        preprocess__d="KIND: int = 1",
        preprocess__e="ARCHITECTURE = 1",
    )
    assert undeclared(modules) == ["encoders.b", "preprocess.e"]


def test_names_that_are_assigned_again_are_found(write: Write) -> None:
    modules, _ = write(
        hub_export__a="A, B = 1, 2\nB: int = 3\nC = 4\ndef f():\n A = 5",
        hub_export__b="A = 1",
    )
    assert assigned_again(modules) == ["hub_export.a.B"]


def test_local_paths_are_found(tmp_path: Path) -> None:
    folder = "home"
    (tmp_path / "bad").write_text(f"text\nopen('/{folder}/someone/x')\n", encoding="utf-8")
    (tmp_path / "good").write_text(f"https://a.org/{folder}/ ./{folder}/ {folder}/x\n", "utf-8")
    (tmp_path / "binary").write_bytes(f"\0/{folder}/x".encode())
    assert local_paths(tmp_path, ["bad", "good", "binary"]) == ["bad:2"]
