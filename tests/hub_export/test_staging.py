import errno
import fcntl
import os
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from hub_export import TargetError
from hub_export.publish import staging
from hub_export.publish.staging import Staging

FINAL = Path("model", "1")


def write(place: Path, content: str = "new") -> None:
    place.mkdir()
    (place / "file").write_text(content)


def read(folder: Path) -> str:
    return (folder / "file").read_text()


def older(out: Path, relative: Path = FINAL) -> Path:
    """A version that stands already."""
    (out / relative).parent.mkdir(parents=True)
    write(out / relative, "old")
    return out / relative


def abandoned(out: Path) -> Path:
    """What an export that was killed leaves."""
    with Staging(out, overwrite=False) as killed:
        left = killed.place(FINAL).parents[1]
        write(killed.place(FINAL))
        left.rename(out / "kept")
    (out / "kept").rename(left)
    return left


def entries(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_nothing_has_a_final_name_before_the_commit(tmp_path: Path) -> None:
    out = tmp_path / "some" / "out"
    with Staging(out, overwrite=False) as context:
        for each in ("model", "other"):
            write(context.place(Path(each, "1")), each)
        assert all(name.startswith(".") for name in entries(out))
        assert context.commit() == [out / "model" / "1", out / "other" / "1"]
    assert entries(out) == ["model", "other"]
    assert [read(out / each / "1") for each in entries(out)] == ["model", "other"]


def test_what_is_not_committed_vanishes(tmp_path: Path) -> None:
    with Staging(tmp_path, overwrite=False) as context:
        write(context.place(FINAL))
    assert entries(tmp_path) == []


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_removes_everything(tmp_path: Path, kind: type[BaseException]) -> None:
    def fail() -> None:
        with Staging(tmp_path, overwrite=False) as context:
            write(context.place(FINAL))
            raise kind

    with pytest.raises(kind):
        fail()
    assert entries(tmp_path) == []


def test_a_version_that_exists_is_refused(tmp_path: Path) -> None:
    final = older(tmp_path)
    with Staging(tmp_path, overwrite=False) as context:
        with pytest.raises(TargetError) as caught:
            context.place(FINAL)
        context.place(FINAL.with_name("2"))
    assert all(word in str(caught.value) for word in (f"{final}: exists", "version", "name"))
    assert "say overwrite" in str(caught.value)
    assert read(final) == "old"


def _no_renameat2(*_: object, **__: object) -> object:
    return types.SimpleNamespace()


def _failing_renameat2(*_: object, **__: object) -> object:
    return types.SimpleNamespace(renameat2=lambda *_: -1)


EXCHANGES = [
    pytest.param(staging.ctypes.CDLL, id="in one step"),
    pytest.param(_no_renameat2, id="without renameat2"),
    pytest.param(_failing_renameat2, id="file system without exchange"),
]


@pytest.mark.parametrize("libc", EXCHANGES)
def test_overwriting_exchanges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, libc: Callable[..., object]
) -> None:
    monkeypatch.setattr(staging.ctypes, "CDLL", libc)
    final = older(tmp_path)
    (final / "of the old one only").touch()
    with Staging(tmp_path, overwrite=True) as context:
        write(context.place(FINAL))
        assert read(final) == "old"
        assert context.commit() == [final]
    assert read(final) == "new"
    assert entries(final) == ["file"]
    assert entries(tmp_path) == ["model"]
    assert entries(tmp_path / "model") == ["1"]


def test_a_failed_export_keeps_the_older_version(tmp_path: Path) -> None:
    final = older(tmp_path)
    with Staging(tmp_path, overwrite=True) as context:
        write(context.place(FINAL))
    assert read(final) == "old"
    assert entries(tmp_path) == ["model"]


def test_a_failed_exchange_keeps_the_older_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging.ctypes, "CDLL", _no_renameat2)
    final, rename = older(tmp_path), Path.rename

    def fail_once(self: Path, target: Path) -> Path:
        if Path(target) == final:
            monkeypatch.setattr(Path, "rename", rename)
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(target))
        return rename(self, target)

    with Staging(tmp_path, overwrite=True) as context:
        write(context.place(FINAL))
        monkeypatch.setattr(Path, "rename", fail_once)
        with pytest.raises(TargetError):
            context.commit()
    assert read(final) == "old"


def test_a_commit_is_whole_or_nothing(tmp_path: Path) -> None:
    (tmp_path / "second").write_text("a file in the way")

    def commit() -> None:
        with Staging(tmp_path, overwrite=False) as context:
            write(context.place(Path("first", "1")))
            write(context.place(Path("second", "1")))
            context.commit()

    with pytest.raises(TargetError, match="second"):
        commit()
    assert not (tmp_path / "first" / "1").exists()
    assert (tmp_path / "second").read_text() == "a file in the way"


def test_an_export_that_is_running_is_left_alone(tmp_path: Path) -> None:
    with Staging(tmp_path, overwrite=False) as first:
        place = first.place(FINAL)
        write(place, "first")
        with Staging(tmp_path, overwrite=False) as second:
            write(second.place(Path("other", "1")), "second")
            assert read(place) == "first"
            second.commit()
        assert read(place) == "first"
        first.commit()
    assert entries(tmp_path) == ["model", "other"]
    assert read(tmp_path / FINAL) == "first"


def test_what_a_killed_export_left_is_removed(tmp_path: Path) -> None:
    left = abandoned(tmp_path)
    stranger = tmp_path / ".stranger"
    stranger.mkdir()
    (stranger / "lock").touch()
    assert entries(tmp_path) == sorted([left.name, ".stranger"])
    with Staging(tmp_path, overwrite=False) as context:
        context.place(FINAL)
        assert not left.exists()
    assert entries(tmp_path) == [".stranger"]


def test_the_lock_says_whether_an_export_is_running(tmp_path: Path) -> None:
    left = abandoned(tmp_path)
    lock = os.open(left, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with Staging(tmp_path, overwrite=False):
        assert left.exists()
    os.close(lock)
    with Staging(tmp_path, overwrite=False):
        assert not left.exists()


def test_an_output_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "out", Path("/proc/hub_export")):
        with pytest.raises(TargetError) as caught, Staging(out, overwrite=False):
            pass
        assert str(out) in str(caught.value)
        assert "choose another folder or name" in str(caught.value)
    assert entries(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


def test_a_file_system_without_locks_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(staging.fcntl, "flock", no_locks)
    with pytest.raises(TargetError) as caught, Staging(tmp_path, overwrite=False):
        pass
    assert os.strerror(errno.ENOLCK) in str(caught.value)
    assert entries(tmp_path) == []
