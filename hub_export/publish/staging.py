"""Writing so that a folder under a final name is always a whole one.

Everything is written into a hidden folder beside its destination, and moved into place when all of
it stands. A process that is killed leaves that hidden folder; the next export removes it.
"""

import ctypes
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

from hub_export.errors import TargetError

_PREFIX, _MARK = ".hub_export-", "staging_of_hub_export"
"""The mark is put into a folder once it is locked: what has none is not ours, or being made."""
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


class Staging:
    """A context in which folders are written, then committed together, or vanish."""

    def __init__(self, output_dir: Path, overwrite: bool) -> None:
        """Nothing is written before the context is entered."""
        self._output_dir = output_dir
        self._overwrite = overwrite
        self._moves: dict[Path, Path] = {}

    def __enter__(self) -> "Staging":
        """Makes the hidden folder.

        Raises:
            TargetError: the output folder cannot be written.
        """
        with _explained(self._output_dir):
            self._output_dir.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(self._output_dir)
            self._root = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._output_dir))
            try:
                self._lock = _locked(self._root)
                (self._root / _MARK).touch()
            except OSError:
                shutil.rmtree(self._root, ignore_errors=True)
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Removes what has not been committed."""
        shutil.rmtree(self._root, ignore_errors=True)
        os.close(self._lock)

    def place(self, relative: Path) -> Path:
        """Where to write what is to become `relative` in the output folder.

        Raises:
            TargetError: it exists, and is not to be overwritten.
        """
        final = self._output_dir / relative
        with _explained(final):
            if final.exists() and not self._overwrite:
                raise TargetError(
                    f"{final}: exists; choose another name or version, or say overwrite to "
                    "replace it"
                )
            staged = self._root / relative
            staged.parent.mkdir(parents=True, exist_ok=True)
            if final.parent.exists() and not final.parent.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "a file is in the way", str(final.parent))
        self._moves[staged] = final
        return staged

    def commit(self) -> list[Path]:
        """Moves every folder to its final name; returns the names.

        Raises:
            TargetError: one cannot be moved; those that had been are moved back.
        """
        with ExitStack() as undo:
            for staged, final in self._moves.items():
                with _explained(final):
                    _bring_to_disk(staged)
            for staged, final in self._moves.items():
                with _explained(final):
                    undo.callback(_move(staged, final))
            undo.pop_all()
        return list(self._moves.values())


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # of a NUL in a name, ValueError
        reason = error.strerror if isinstance(error, OSError) else error
        raise TargetError(
            f"{path}: cannot be written ({reason}); choose another folder or name"
        ) from error


def _move(staged: Path, final: Path) -> Callable[[], object]:
    """Moves a folder to its final name, and one that is there to its place; returns the undoing."""
    if final.exists():
        _exchange(staged, final)
        return lambda: _exchange(staged, final)
    final.parent.mkdir(parents=True, exist_ok=True)
    staged.rename(final)
    return lambda: final.rename(staged)


def _bring_to_disk(folder: Path) -> None:
    """So that no loss of power leaves a final name with files that are empty."""
    for path in (*folder.rglob("*"), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_abandoned(output_dir: Path) -> None:
    """Removes the hidden folders of exports that are no longer running."""
    for mark in output_dir.glob(f"{_PREFIX}*/{_MARK}"):
        root = mark.parent
        try:
            lock = _locked(root)
        except OSError:
            continue  # an export that is running holds the lock
        shutil.rmtree(root, ignore_errors=True)
        os.close(lock)


def _locked(folder: Path) -> int:
    """A descriptor of the folder that holds its lock until it is closed, or the process ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _exchange(new: Path, old: Path) -> None:
    """Swaps two folders; in one step where the system can, so that neither is ever missing."""
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(new), os.fsencode(old)
    if hasattr(libc, "renameat2") and not libc.renameat2(
        _AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE
    ):
        return
    aside = new.with_name(f"{new.name}.replaced")
    old.rename(aside)
    try:
        new.rename(old)
    except OSError:
        aside.rename(old)
        raise
    aside.rename(new)
