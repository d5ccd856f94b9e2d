"""Files for TensorBoard: the curves of fits, the hyperparameters and their scores.

They are written with the protocol buffers of the ``tensorboard`` package, which needs
no TensorFlow. Its modules that import TensorFlow where that is installed (its writers,
the ``summary`` of its HParams plugin) are not used: the process of a search is to stay
light, and a worker on PyTorch is not to find TensorFlow on its GPU. Every other module
here imports ``tensorboard``, so they are imported where they are needed only.

::

    <logdir>/KerasClassifier-0a1b2c3d/              experiment: what is searched
        units=64-dropout=0.2-4e5f6a/                session: parameters, mean scores
            split0/train/, split0/validation/       curves of a fold
            refit/train/                            curves of the refit
"""

import importlib.util
import os
from pathlib import Path

__all__ = ["ready_logdir"]


def ready_logdir(logdir: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a directory for TensorBoard's files, and make it.

    Raises
    ------
    ImportError
        If the package is not installed.
    ValueError
        If it is the address of a remote store.
    OSError
        If the directory cannot be made.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise ImportError(
            f"The 'tensorboard' parameter is {logdir!r}, and the package tensorboard "
            "that writes the files is not installed. Install it by\n\n    pip install "
            "tensorboard\n\nor leave the parameter out."
        )
    if "://" in str(logdir):
        raise ValueError(
            "The 'tensorboard' parameter must be a directory that this machine can "
            f"write files to. Got {str(logdir)!r} instead. Give a local one, and copy "
            "the files."
        )
    path = Path(logdir).expanduser().absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        exc.add_note(
            f"The 'tensorboard' parameter is {str(logdir)!r}. Give a directory that "
            "you can write to."
        )
        raise
    return path
