"""Randomized search over a checkpointing pool of workers."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.model_selection import RandomizedSearchCV

from .._fit.mixin import ResumableSearchMixin

__all__ = ["ResumableRandomizedSearchCV"]


class ResumableRandomizedSearchCV(
    ResumableSearchMixin,
    RandomizedSearchCV,  # type: ignore[misc]
):
    """Randomized search that survives a kill.

    A `sklearn.model_selection.RandomizedSearchCV` that runs each fold in a worker
    process and keeps its scores in a checkpoint. Calling the same ``fit`` again, in
    this process or after a crash in a new one, runs only the folds that are not
    there.

    Parameters
    ----------
    estimator : estimator object
        As in scikit-learn.

    param_distributions : dict or list of dict
        As in scikit-learn.

    n_iter : int, default=10
        Number of candidates in all, those in the checkpoint included. Where at
        least one parameter has a distribution, a larger number begins with the
        same candidates; where all have lists, scikit-learn draws others.

    scoring : str, callable, list, tuple or dict, default=None
        As in scikit-learn.

    n_jobs : int, default=None
        Number of folds that run at a time, each in a worker process of its own.
        ``None`` means 1 unless in a :obj:`joblib.parallel_config` context; ``-1``
        means all cores. Each worker gets an equal share of the cores for the
        threads of numerical libraries.

    refit : bool, str, or callable, default=True
        As in scikit-learn. The refit runs in this process.

    cv : int, cross-validation generator or an iterable, default=None
        As in scikit-learn. The state from which an unseeded splitter draws is
        kept, so that a repeated ``fit`` has the same splits.

    verbose : int, default=0
        As in scikit-learn. From 1 on, progress is printed every few seconds.

    pre_dispatch : int or str, default='2*n_jobs'
        As in scikit-learn. Of little effect: data goes to the workers only once.

    random_state : int, RandomState instance or None, default=None
        As in scikit-learn. With None, the state from which candidates are drawn
        is kept, so that a repeated ``fit`` has the same candidates.

    error_score : 'raise' or numeric, default=np.nan
        As in scikit-learn; also for a fold whose worker died. A failed fold is
        not finished: the next ``fit`` tries it again.

    return_train_score : bool, default=False
        As in scikit-learn.

    checkpoint : str or path-like, default=None
        File in which the scores are kept; it can hold many searches. ``None``
        means the environment variable ``RESUMABLE_SEARCH_CHECKPOINT``, else
        ``.resumable_search/checkpoint.sqlite`` in the current directory.

    resume : bool, default=True
        Whether to use what is in the checkpoint. False runs all folds anew, with
        new draws of unseeded splitters, samplers and models, and replaces what was
        stored, fold by fold.

    data_key : str, default=None
        Your own name for the data. It counts instead of the content of ``X`` and
        ``y``, and you promise that the same name means the same data. ``None``: the
        content counts.

    depends_on : list of str or path-like, default=None
        Files and directories that the folds depend on, such as one that a
        transformer reads. They count by content.

    versions : {"ignore", "minor", "exact"}, default="minor"
        Which changes of a version make other folds: "minor", of the first two
        numbers of a library other than scikit-learn, NumPy, SciPy, Keras, pandas and
        the frameworks; "exact", any of Python or a library; "ignore", none. Only
        libraries whose code is used by the estimator, the scorer and the like count.

    executor : {"local", "in-process"}, default="local"
        What runs the folds: worker processes on this machine, or this process, one
        fold at a time, for a debugger. In this process, ``n_jobs``, ``max_retries``,
        ``fold_timeout``, ``devices``, ``gpu_memory`` and ``mps`` have no effect, and
        a fold that crashes takes the search with it.

    max_retries : int, default=1
        How often a fold is tried again when its worker process died.

    devices : "auto", list of int or str, or None, default="auto"
        The GPUs that the workers share. Each worker sees one of them. "auto" means
        all NVIDIA GPUs and MIG instances this process may use (it respects
        ``CUDA_VISIBLE_DEVICES``), or none if there is none. A list has numbers,
        which count those GPUs in the order of ``nvidia-smi``, or UUIDs. ``None``
        hides NVIDIA GPUs from the workers.

    gpu_memory : float, default=0.9
        Fraction in (0, 1] of the free memory of each GPU that the workers on it
        share equally. TensorFlow, JAX and PyTorch keep to the share.

    mps : {"off", "auto", "on"}, default="off"
        Whether workers on the same GPU use NVIDIA MPS, so that their kernels run
        at the same time and not in turns. A daemon is started for the search and
        ends with it. "auto" uses it where it is there; "on" warns where it is not.

    save_epochs : int, default=None
        Number of epochs after which a Keras ``fit`` saves its training state, so
        that a killed fold (or refit) goes on from there. ``None``: a killed fold
        begins again.

    fold_timeout : float, default=None
        Seconds after which a fold is stopped. It fails, others are not affected,
        and the next ``fit`` tries it again. The import of a framework in a new
        worker counts. ``None``: no limit.

    time_budget : float, default=None
        Seconds after the begin of ``fit`` after which no new fold starts. Candidates
        that have all their folds by then form ``cv_results_`` and the refit, and a
        later ``fit`` goes on. ``None``: no limit.

    grace_period : float, default=0
        Seconds that running folds are given to finish when the search is stopped by
        Ctrl-C, SIGTERM or "quit". A second request ends it at once.

    tensorboard : str or path-like, default=None
        Directory for files that TensorBoard shows: the curves of each Keras fit,
        and the candidates with their scores. Needs the package ``tensorboard``.
        ``None``: no files.

    Attributes
    ----------
    cv_results_ : dict of numpy (masked) ndarrays
        As scikit-learn would have computed it; the times of a resumed fold are
        those of the run that computed it.

    resumption : Resumption
        What ``fit`` found in the checkpoint and what it ran: ``checkpoint`` (the
        file), ``search`` (the number of the search in it), ``n_resumed``, ``n_run``,
        ``n_failed`` and ``n_left_out`` (numbers of folds).

    partial_results : dict of numpy (masked) ndarrays
        What is there of ``cv_results_``, also after a ``fit`` that was stopped.

    best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, \
refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_
        As in scikit-learn.

    See Also
    --------
    ResumableGridSearchCV : The same for a grid of candidates.
    sklearn.model_selection.RandomizedSearchCV : What this is in all other respects.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> from resumable_search import ResumableRandomizedSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> search = ResumableRandomizedSearchCV(
    ...     SVC(), {"C": loguniform(1e-2, 1e2)}, n_iter=4, cv=3, random_state=0
    ... )
    >>> search.fit(X, y).resumption.n_run
    12
    >>> search.set_params(n_iter=6).fit(X, y).resumption.n_resumed
    12
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012 - scikit-learn's
        **RandomizedSearchCV._parameter_constraints,
        **ResumableSearchMixin._parameter_constraints,
    }

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_iter: int = 10,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = True,
        data_key: str | None = None,
        depends_on: Sequence[str | os.PathLike[str]] | None = None,
        versions: str = "minor",
        executor: str = "local",
        max_retries: int = 1,
        devices: Any = "auto",
        gpu_memory: float = 0.9,
        mps: str = "off",
        save_epochs: int | None = None,
        fold_timeout: float | None = None,
        time_budget: float | None = None,
        grace_period: float = 0,
        tensorboard: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(
            estimator=estimator,
            param_distributions=param_distributions,
            n_iter=n_iter,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            random_state=random_state,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.checkpoint = checkpoint
        self.resume = resume
        self.data_key = data_key
        self.depends_on = depends_on
        self.versions = versions
        self.executor = executor
        self.max_retries = max_retries
        self.devices = devices
        self.gpu_memory = gpu_memory
        self.mps = mps
        self.save_epochs = save_epochs
        self.fold_timeout = fold_timeout
        self.time_budget = time_budget
        self.grace_period = grace_period
        self.tensorboard = tensorboard
