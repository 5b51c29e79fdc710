"""Pushing to the hubs, and the way back: on small ones of this machine, see `hubs`."""

import itertools
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import tensorflow as tf
from huggingface_hub import ModelCard, constants
from kagglehub import clients
from kagglesdk import kaggle_env

import hub_export
from hub_export import ExportError, SourceError, cli, contents
from hub_export.publish.pages import facts, licenses, pages, places
from hub_export.publish.pages.source_card import SourceCard
from hub_export.publish.push import targets
from hub_export.secrets import hidden
from hub_export.sources.checkpoint import BASE
from hub_export.use import fetch, load
from tests.hub_export import hubs, samples

ADDRESS, REPOSITORY = "hf://me/shelf", "me/shelf"
VARIATION = "me/shelf/text-embedding"
KAGGLE_KEY = "kaggleKeyIsSecretToo"
ROOT = Path(__file__).parents[2]
TEXTS = tf.constant(["a b", ""])

Push = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def patched() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def hub(
    patched: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[hubs.HuggingFace]:
    """The hub that `huggingface_hub` asks; its cache is empty."""
    found = hubs.HuggingFace()
    with found.running():
        form = "/{repo_id}/resolve/{revision}/{filename}"
        patched.setattr(constants, "ENDPOINT", found.address)
        patched.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", found.address + form)
        patched.setattr(constants, "HF_HUB_CACHE", str(tmp_path_factory.mktemp("cache")))
        patched.setattr(constants, "HF_HUB_OFFLINE", False)
        patched.setattr(constants, "HF_HUB_DISABLE_XET", True)
        patched.setenv("HF_TOKEN", hubs.TOKEN)
        yield found


@pytest.fixture(scope="module")
def kaggle(
    patched: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[hubs.Kaggle]:
    """The Kaggle that `kagglehub` asks."""
    found = hubs.Kaggle()
    with found.running():
        local = kaggle_env.KaggleEnv.LOCAL
        patched.setitem(kaggle_env._env_to_endpoint, local, found.address)
        patched.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
        # It looks for Keras in the call stack, file by file, which takes a second each time.
        patched.setattr(clients, "get_user_agent", lambda: "tests")
        patched.setenv("KAGGLE_USERNAME", "me")
        patched.setenv("KAGGLE_KEY", KAGGLE_KEY)
        patched.setenv("KAGGLEHUB_CACHE", str(tmp_path_factory.mktemp("kagglehub")))
        yield found


@pytest.fixture
def embedding(verified_export: hub_export.Export) -> Path:
    return verified_export.paths["text_embedding"]


@pytest.fixture
def copy(embedding: Path, tmp_path: Path) -> Path:
    """Of the text embedding, without the other parts beside it."""
    return Path(shutil.copytree(embedding, tmp_path / "out" / embedding.parent.name / "1"))


@pytest.fixture
def push(capfd: pytest.CaptureFixture[str]) -> Push:
    def _push(path: Path, target: str, *options: str) -> tuple[int, str]:
        """The exit code, and all that was printed."""
        code = cli.main(["publish", str(path), f"--push={target}", *options])
        said = capfd.readouterr()
        return code, said.out + said.err

    return _push


@pytest.fixture(scope="module")
def pushed(hub: hubs.HuggingFace, verified_export: hub_export.Export) -> str:
    """The whole export on the hub; the address of its commit."""
    path = verified_export.paths["encoder"]
    assert cli.main(["publish", str(path), f"--push={ADDRESS}", "--quiet"]) == 0
    return f"{ADDRESS}@{[*hub.commits[REPOSITORY]][-1]}"


def no_secrets(said: str) -> bool:
    return not any(each in said for each in (hubs.TOKEN, "alsoSecret", KAGGLE_KEY))


def test_a_dry_run_asks_no_hub(
    hub: hubs.HuggingFace, verified_export: hub_export.Export, push: Push
) -> None:
    before = len(hub.asked)
    code, said = push(verified_export.paths["encoder"], "hf://me/dry", "--dry_run")
    assert code == 0
    assert len(hub.asked) == before
    for part, path in verified_export.paths.items():
        for name in [*contents.read(path).files, "assets.extra/contents.json"]:
            size = (path / name).stat().st_size
            assert f"{size:>12,}  {part}/1/{name}  <- {path / name}" in said
    words = ("to        hf://me/dry (private", "licence   apache-2.0", "verified  yes", "README.md")
    assert all(each in said for each in words)


def test_what_lies_there(
    hub: hubs.HuggingFace, pushed: str, verified_export: hub_export.Export
) -> None:
    files = dict(hub.files(REPOSITORY))
    assert files.pop(".gitattributes") == b""
    card = ModelCard(files.pop("README.md").decode())
    assert card.data.license == "apache-2.0"
    card.validate()  # huggingface_hub's own, which asks the hub
    assert hub.count("POST", "/api/validate-yaml") >= 2
    wanted = {
        f"{part}/1/{name}": (path / name).read_bytes()
        for part, path in verified_export.paths.items()
        for name in [*contents.read(path).files, "assets.extra/contents.json"]
    }
    assert files == wanted
    assert hub.private[REPOSITORY]


def test_the_way_back(pushed: str, embedding: Path) -> None:
    model = load(pushed, "text_embedding")
    wanted = tf.saved_model.load(str(embedding))(TEXTS)
    assert (model(TEXTS).numpy() == wanted.numpy()).all()
    newest = fetch(ADDRESS, "text_embedding")
    assert newest.address == pushed
    assert fetch(newest.address, "text_embedding", sha256=newest.sha256) == newest
    with pytest.raises(SourceError, match=r"expected contents\.json of sha256 0000"):
        fetch(pushed, "text_embedding", sha256="0" * 64)


def test_what_came_back_goes_on(pushed: str, push: Push) -> None:
    """In the cache of the hub, files are links to its blobs."""
    folder = fetch(pushed, "text_embedding").folder
    assert (folder / "assets.extra" / contents.FILE).is_symlink()
    code, said = push(folder, "kaggle://me/shelf/tensorFlow2/x", "--dry_run")
    assert code == 0, said
    assert "  assets.extra/contents.json  <- " in said


def test_the_code_of_its_page(
    hub: hubs.HuggingFace, pushed: str, verified_export: hub_export.Export, tmp_path: Path
) -> None:
    """But for what trains, which is the same as in the page that test_pages.py runs all code of."""
    page = hub.files(REPOSITORY)["README.md"].decode()
    blocks = samples.blocks(page, "python")
    assert len(blocks) == 6
    for block in itertools.filterfalse(samples.trained, blocks):
        samples.run_python(block)
    known, name = facts.gather(verified_export.paths["encoder"]), ("me", "shelf")
    beside = pages.tf_hub(known, places.beside(*name))
    assert samples.bare(page, known, places.on_hugging_face(*name)) == samples.bare(
        beside, known, places.beside(*name)
    )
    (shell,) = samples.blocks(page, "sh")
    asked = {"HF_ENDPOINT": hub.address, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    samples.run_shell(shell, tmp_path, asked)
    assert (tmp_path / "shelf" / "text_classification" / "1" / "saved_model.pb").is_file()


def test_the_code_of_the_guide(
    hub: hubs.HuggingFace, pushed: str, verified_export: hub_export.Export, push: Push
) -> None:
    code, _ = push(verified_export.paths["encoder"], "hf://user/model", "--parts=text_embedding")
    assert code == 0
    guide = (ROOT / "docs" / "publishing.md").read_text(encoding="utf-8")
    for block in samples.blocks(guide, "python"):
        assert samples.run_python(block)["embed"](TEXTS).shape == (2, 24)  # type: ignore[operator]


def test_again_sends_nothing_twice_and_removes_what_is_old(
    hub: hubs.HuggingFace, pushed: str, embedding: Path, push: Push
) -> None:
    old = {"text_embedding/1/variables/old": b"", "text_embedding/2/kept": b"", "notes.md": b""}
    hub.commits[REPOSITORY]["f" * 40] = {**hub.files(REPOSITORY), **old}
    before = hub.count("PUT", "/lfs/")
    hub.commits[REPOSITORY]["f" * 40]["other/1/contents.json"] = b""
    code, said = push(embedding, ADDRESS, "--parts=text_embedding")
    assert code == 0
    page = hub.commits[REPOSITORY][pushed.partition("@")[2]]["README.md"]
    assert hub.files(REPOSITORY)["README.md"] == page  # of all parts that are there
    assert "README.md tells nothing of other: " in said
    assert f"{ADDRESS}@{[*hub.commits[REPOSITORY]][-1]}" in said
    assert hub.count("PUT", "/lfs/") == before
    assert [name for name in old if name in hub.files(REPOSITORY)] == [*old][1:]
    assert "encoder/1/saved_model.pb" in hub.files(REPOSITORY)
    assert fetch(pushed, "text_embedding").address == pushed  # the older commit still


def test_goes_on_after_a_failure(
    hub: hubs.HuggingFace, copy: Path, push: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = (copy / "saved_model.pb").read_bytes()
    monkeypatch.setattr(hub, "stored", {})
    monkeypatch.setattr(hub, "fails", (model[-20:].decode("latin-1"),))
    code, said = push(copy, "hf://me/again")
    assert code == 1
    assert "hf://me/again: " in said
    assert "run the same command again" in said
    assert no_secrets(said)
    assert [*hub.commits["me/again"]] == ["0" * 40]  # no commit of a part of it
    there = len(hub.stored)
    assert there > 0
    hub.fails, before = (), hub.count("PUT", "/lfs/")
    code, said = push(copy, "hf://me/again", "--noprivate")
    assert code == 0
    assert no_secrets(said)
    assert hub.count("PUT", "/lfs/") - before == 3 - there
    assert hub.files("me/again")["text_embedding/1/saved_model.pb"] == model


def test_a_wrong_token(
    hub: hubs.HuggingFace, copy: Path, push: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_anotherSecret123")
    code, said = push(copy, "hf://me/other")
    assert code == 1
    assert "HF_TOKEN" in said
    assert "anotherSecret" not in said


def test_changed_on_the_hub(hub: hubs.HuggingFace, pushed: str) -> None:
    """A weight, a file more, a part less, another part."""
    files = hub.commits[REPOSITORY][pushed.partition("@")[2]]
    weights = "text_embedding/1/variables/variables.data-00000-of-00001"
    turned = bytes([files[weights][0] ^ 1]) + files[weights][1:]
    changes: dict[str, tuple[dict[str, bytes], str]] = {
        "1" * 40: ({**files, weights: turned}, "sha256 is not that"),
        "2" * 40: ({**files, "text_embedding/1/evil.py": b""}, "not of the export: evil.py"),
        "3" * 40: ({"README.md": b""}, "expected the part text_embedding"),
        "4" * 40: (
            {n.replace("encoder/", "text_embedding/"): c for n, c in files.items() if "enc" in n},
            "expected the text_embedding, found the encoder",
        ),
    }
    for commit, (changed, words) in changes.items():
        hub.commits[REPOSITORY] = {commit: changed, **hub.commits[REPOSITORY]}
        with pytest.raises(SourceError, match=words):
            fetch(f"{ADDRESS}@{commit}", "text_embedding")


@pytest.mark.parametrize(
    ("address", "part", "kind", "words"),
    [
        ("hf://me/none", "encoder", SourceError, "hf://me/none: .*check the address"),
        (ADDRESS, "", ExportError, "say which part"),
        (ADDRESS, "../encoder", ExportError, "say which part"),
        ("http://me", "encoder", ExportError, "expected hf://user/model"),
        ("kaggle://me/shelf", "", ExportError, "expected hf://user/model"),
    ],
)
def test_what_cannot_be_had(
    hub: hubs.HuggingFace, address: str, part: str, kind: type[ExportError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        load(address, part)


def _recorded(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Writes another report, and the list of files that it is right in."""
    file = folder / "assets.extra" / "verification.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    contents.write(folder, "text_embedding")


def _failed(folder: Path) -> None:
    _recorded(folder, lambda content: content["checks"][0].update(outcome="FAILED"))


def _unverified(folder: Path) -> None:
    _recorded(folder, lambda content: content.update(checks=[]))


def _card(front: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "assets.extra" / "source" / "README.md").write_text(f"---\n{front}\n---\n")
        contents.write(folder, "text_embedding")

    return change


def _half(folder: Path) -> None:
    (folder / "variables" / "variables.index").unlink()


def _later(folder: Path) -> None:
    file = folder / contents.ASSETS / contents.FILE
    file.write_text(file.read_text().replace('"format": 1', '"format": 2'))


def _adapting(folder: Path) -> None:
    _recorded(
        folder, lambda content: content["source"]["sha256"].update({BASE + "config.json": ""})
    )


REFUSED: dict[str, tuple[Callable[[Path], object], Sequence[str], str]] = {
    "unverified": (_unverified, (), "not verified against its source"),
    "unverified, on purpose": (_unverified, ("--unverified",), "is not verified is not pushed"),
    "verification failed": (_failed, (), "not verified against its source"),
    "half": (_half, (), "variables.index: No such file"),
    "later": (_later, (), "update hub_export"),
    "no licence": (_card("language: en"), (), "names no licence on its card"),
    "no derivatives": (_card("license: cc-by-nd-4.0"), (), "forbids handing on changed copies"),
    "conditions": (_card("license: gemma"), (), "read it and, if it lets you"),
    "another": (_card("license: mit"), ("--license=apache-2.0",), "expected mit, which"),
    "an adapter over a model without documents": (_adapting, (), "adapts has no card"),
    "no card": (
        lambda f: (shutil.rmtree(f / "assets.extra/source"), contents.write(f, "text_embedding")),
        (),
        "the source has no card",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("target", ["hf://me/no", "kaggle://me/no/tensorFlow2/x"])
def test_refused(
    hub: hubs.HuggingFace, kaggle: hubs.Kaggle, copy: Path, push: Push, case: str, target: str
) -> None:
    """Before any hub is asked."""
    change, options, words = REFUSED[case]
    change(copy)
    before = len(hub.asked), len(kaggle.asked)
    code, said = push(copy, target, *options)
    assert code == 1
    assert words in said
    assert (len(hub.asked), len(kaggle.asked)) == before


def test_licences() -> None:
    mit, none = SourceCard(license="MIT"), SourceCard()
    gemma, closed = SourceCard(license="gemma"), SourceCard(license="cc-by-nc-nd-4.0")
    assert licenses.check([mit]) == "mit"
    assert licenses.check([none], "apache-2.0") == "apache-2.0"
    assert licenses.check([gemma], "gemma") == "gemma"
    refused = (
        ([mit, gemma], "gemma has conditions.*--license=gemma"),
        ([mit, closed], "forbids"),
        ([mit, None], "the model that the source adapts has no card"),
        ([mit, none], "the model that the source adapts names no licence"),
    )
    for cards, words in refused:
        with pytest.raises(ExportError, match=words):
            licenses.check(cards)
    for base in (gemma, none, None):  # what is said is of the model that is adapted
        assert licenses.check([mit, base], "Gemma") == licenses.named([mit, base], "Gemma") == "mit"
    with pytest.raises(ExportError, match=r"expected mit, or gemma, .* found apache"):
        licenses.check([mit, gemma], "apache-2.0")
    with pytest.raises(ExportError, match=r"cc-by-nd-4\.0 forbids"):
        licenses.check([mit, none], "cc-by-nd-4.0")
    with pytest.raises(ExportError, match="Kaggle has no name for gemma"):
        licenses.on_kaggle("gemma")
    assert licenses.KAGGLE.keys() <= licenses.PERMITTED


@pytest.mark.parametrize(
    "address",
    ["me/x", "hf://me", "hf://me/x@main", "hf://../x", "kaggle://me/x", "kaggle://me/x/keras/a",
     "kaggle://me/X/tensorFlow2/a", "kaggle://me/x/tensorFlow2/a/1", "hf://me/x y"],
)  # fmt: skip
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(ExportError, match="push: expected hf://user/model"):
        targets.parse(address)


def test_to_kaggle(kaggle: hubs.Kaggle, embedding: Path, push: Push) -> None:
    target = "kaggle://me/shelf/tensorFlow2/text-embedding"
    code, said = push(embedding, target, "--noprivate")
    assert code == 0, said
    assert no_secrets(said)
    model = kaggle.models["me/shelf"]
    assert not model.get("isPrivate")
    assert "## How parity was proven" in model["description"]
    (made,) = kaggle.variations[VARIATION]
    assert made["licenseName"] == "Apache 2.0"
    assert "hub.load(kagglehub.model_download(" in made["usage"]
    assert sent(kaggle, made) == on_disk(embedding)
    code, _ = push(embedding, target)  # a new version of the variation
    assert code == 0
    again = kaggle.variations[VARIATION][1]
    assert sent(kaggle, again) == on_disk(embedding)
    assert [*kaggle.models] == ["me/shelf"]


def test_kaggle_goes_on_after_a_failure(
    kaggle: hubs.Kaggle, copy: Path, push: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = "kaggle://me/later/tensorFlow2/text-embedding"
    monkeypatch.setattr(kaggle, "fails", ("variables.index",))
    code, said = push(copy, target)
    assert code == 1
    assert no_secrets(said)
    assert f"{target}: " in said
    assert "goes on with the files that are left" in said
    there = len(kaggle.blobs)
    kaggle.fails = ()
    code, said = push(copy, target)
    assert code == 0
    assert len(kaggle.blobs) - there == 1
    (made,) = kaggle.variations["me/later/text-embedding"]
    assert sent(kaggle, made) == on_disk(copy)


def test_kaggle_wants_the_right_framework(copy: Path, push: Push) -> None:
    code, said = push(copy, "kaggle://me/x/tfLite/a", "--parts=encoder")
    assert code == 1
    assert "parts are for the Hugging Face hub" in said
    code, said = push(copy, "kaggle://me/x/tfLite/a")
    assert code == 1
    assert "expected the framework tensorFlow2 for the text_embedding" in said


def test_back_from_kaggle(kaggle: hubs.Kaggle, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`kagglehub` gives the folder of a version; what that holds is proven."""
    import kagglehub

    monkeypatch.setattr(kagglehub, "model_download", lambda handle: str(copy))
    handle = "kaggle://me/shelf/tensorFlow2/text-embedding"
    found = fetch(handle)
    assert found.address == f"{handle}/1"
    assert fetch(found.address, "text_embedding", sha256=found.sha256) == found
    _half(copy)
    with pytest.raises(SourceError, match=r"variables\.index"):
        load(handle)


def sent(kaggle: hubs.Kaggle, made: dict[str, Any]) -> dict[str, bytes]:
    """Place -> content, of what a variation was made of."""
    found = {}

    def walk(place: dict[str, Any], before: str) -> None:
        for file in place.get("files", []):
            found[before + kaggle.names[file["token"]]] = kaggle.blobs[file["token"]]
        for folder in place.get("directories", []):
            walk(folder, f"{before}{folder['name']}/")

    walk(made, "")
    return found


def on_disk(folder: Path) -> dict[str, bytes]:
    names = [*contents.read(folder).files, "assets.extra/contents.json"]
    return {name: (folder / name).read_bytes() for name in names}


def test_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_KEY", "abc123secret")
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "hf_mine")
    said = hidden(
        "a abc123secret b hf_mine\nAuthorization: Bearer eyJ0.e30= x https://h/p?sig=1&t=2"
    )
    assert said == "a [...] b [...] Authorization: [...] x https://h/p[...]"


def test_a_key_in_the_file_of_kaggle_is_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path))
    file = tmp_path / "kaggle.json"
    file.write_text(json.dumps({"username": "me", "key": "0123abcd"}))
    assert hidden("refused 0123abcd") == "refused [...]"
    for damaged in ("{", "5"):
        file.write_text(damaged)
        assert hidden("refused") == "refused"
