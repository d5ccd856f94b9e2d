"""Directories in which folds keep files until they are done.

They lie beside the checkpoint, one for each fold, named by its key: a fold whose
candidate, data or code has changed is another fold, and finds another directory.
"""

import contextlib
import shutil
from pathlib import Path

__all__ = ["FoldFolders"]

# As much of a key as is unique, short enough for any file system.
_NAME_LENGTH = 40


class FoldFolders:
    """The directories of the folds of one checkpoint.

    Parameters
    ----------
    checkpoint : pathlib.Path
        The checkpoint's file.
    """

    def __init__(self, checkpoint: Path) -> None:
        self._root = checkpoint.with_name(f"{checkpoint.name}-folds")
        # How many runs of a fold may use its directory; those found here: none.
        self._users: dict[str, int] = {}
        with contextlib.suppress(OSError):
            self._users = dict.fromkeys((e.name for e in self._root.iterdir()), 0)

    def of(self, key: str) -> Path:
        """Return the directory of a fold. It need not exist."""
        return self._root / key[:_NAME_LENGTH]

    def expect(self, key: str) -> Path:
        """Return the directory of a fold that is about to run."""
        folder = self.of(key)
        self._users[folder.name] = self._users.get(folder.name, 0) + 1
        return folder

    def keep(self, key: str) -> None:
        """Leave the directory of a fold that has run to the next try of it."""
        name = self.of(key).name
        self._users[name] = self._users.get(name, 1) - 1

    def remove(self, key: str) -> None:
        """Remove the directory of a fold that is done, if there is one.

        A candidate that comes twice may run twice at a time: the last one removes.
        """
        folder = self.of(key)
        if folder.name not in self._users:
            return
        self._users[folder.name] -= 1
        if self._users[folder.name] <= 0:
            del self._users[folder.name]
            shutil.rmtree(folder, ignore_errors=True)

    def remove_now(self, folder: Path) -> None:
        """Remove a directory, and what is left empty by that."""
        shutil.rmtree(folder, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Remove the directory of them all, if it is empty."""
        with contextlib.suppress(OSError):
            self._root.rmdir()
