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
        self._left: set[str] = set()
        with contextlib.suppress(OSError):
            self._left = {entry.name for entry in self._root.iterdir()}

    def of(self, key: str) -> Path:
        """Give the directory of a fold. It need not exist."""
        return self._root / key[:_NAME_LENGTH]

    def expect(self, key: str) -> Path:
        """Give the directory of a fold that is about to run."""
        folder = self.of(key)
        self._left.add(folder.name)
        return folder

    def remove(self, key: str) -> None:
        """Remove the directory of a fold that is done, if there is one."""
        folder = self.of(key)
        if folder.name in self._left:
            self._left.discard(folder.name)
            shutil.rmtree(folder, ignore_errors=True)

    def remove_now(self, folder: Path) -> None:
        """Remove a directory, and what is left empty by that."""
        shutil.rmtree(folder, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Remove the directory of them all, if it is empty."""
        with contextlib.suppress(OSError):
            self._root.rmdir()
