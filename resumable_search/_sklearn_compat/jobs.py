"""How many workers, on how many threads, as joblib has it."""

import os

import joblib
from joblib.parallel import ParallelBackendBase


def resolve_n_jobs(n_jobs: int | None) -> int:
    """Return the number of workers that joblib would use for `n_jobs`."""
    if n_jobs == 0:
        raise ValueError("n_jobs == 0 has no meaning. Give 1 or more, -1 or None.")
    if n_jobs is None:
        return 1
    if n_jobs < 0:
        return max(int(joblib.cpu_count()) + 1 + n_jobs, 1)
    return n_jobs


def thread_limits(backend: ParallelBackendBase, n_workers: int) -> dict[str, str]:
    """Return joblib's environment variables that keep workers off each other's cores.

    What the user has set in the environment wins. TensorFlow has variables of its
    own for the same thing.
    """
    limits: dict[str, str] = backend._prepare_worker_env(n_jobs=n_workers)
    name = "TF_NUM_INTRAOP_THREADS"
    limits[name] = os.environ.get(name, limits["OMP_NUM_THREADS"])
    return limits
