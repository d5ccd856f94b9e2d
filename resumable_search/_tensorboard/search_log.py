"""What TensorBoard's HParams page shows of a search: candidates and their scores.

Written by the process of the search, from the results that it has, wherever they come
from. So the candidates of a resumed search are there too, when their files were lost.

The page reads the first experiment that it finds, once: which values there are has to
be known when it is written, before the first score. So the candidates are announced.
"""

import math
import numbers
import time
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

from .._exceptions import ResumableSearchWarning
from .._keys.fingerprint import Keywords, fingerprint
from .._keys.summaries import summarize
from .event_files import scalars, write_whole
from .names import candidate_name, split_name

__all__ = ["SearchLog"]

_Parameters = Mapping[str, Any]

_FIELDS = {bool: "bool_value", float: "number_value", str: "string_value"}


class SearchLog:
    """Writes the sessions of a search, and names the directories of its folds.

    Parameters
    ----------
    logdir : pathlib.Path
        The directory that TensorBoard is given.
    """

    def __init__(self, logdir: Path) -> None:
        self._logdir = logdir
        self._directory: Path | None = None
        self._names: dict[int, tuple[_Parameters, str]] = {}
        self._columns: dict[str, list[Any]] = {}
        self._results: dict[tuple[int, int], dict[int, tuple[Any, bool]]] = defaultdict(
            dict
        )
        self._metrics: list[str] = []
        self._failed = False

    def announce(self, candidates: Sequence[_Parameters]) -> None:
        """Take note of the candidates of a round."""
        for parameters in candidates:
            for name, value in parameters.items():
                self._columns.setdefault(name, []).append(_plain(value))
        self._metrics = []  # the experiment is written again

    def begin(self, name: str) -> None:
        """Set the name of the search, when it is known."""
        self._directory = self._logdir / name

    def curves(self, parameters: _Parameters, split: int) -> Path:
        """Return the directory for the curves of a fold."""
        return self._of(parameters) / split_name(split)

    def refit_curves(self, parameters: _Parameters) -> Path:
        """Return the directory for the curves of the refit."""
        return self._of(parameters) / "refit"

    def count(
        self,
        parameters: _Parameters,
        candidate: int,
        split: int,
        n_splits: int,
        result: dict[str, Any],
        *,
        failed: bool,
    ) -> None:
        """Take note of a fold; write the candidate when it has them all."""
        # The position too: a candidate may come twice, in one round or in two.
        key = candidate, id(parameters)
        folds = self._results[key]
        folds[split] = result, failed
        if len(folds) < n_splits or self._failed:
            return
        del self._results[key]
        try:
            self._write(parameters, [folds[i] for i in sorted(folds)])
        except OSError as exc:
            self._failed = True
            warnings.warn(
                f"TensorBoard's HParams page will lack candidates, because its files "
                f"cannot be written: {exc}. The search is not affected. Check that the "
                "directory of the 'tensorboard' parameter has space and can be "
                "written to; the next 'fit' writes what is missing.",
                ResumableSearchWarning,
                stacklevel=2,
            )

    # ------------------------------------------------------------------

    def _of(self, parameters: _Parameters) -> Path:
        assert self._directory is not None
        known = self._names.get(id(parameters))
        if known is None:
            name = candidate_name(
                parameters, fingerprint(Keywords(parameters), "candidate", cloned=True)
            )
            known = self._names[id(parameters)] = (parameters, name)
        return self._directory / known[1]

    def _write(
        self, parameters: _Parameters, folds: list[tuple[dict[str, Any], bool]]
    ) -> None:
        failed = any(failed for _, failed in folds)
        means, splits = _scores([result for result, _ in folds])
        if not self._metrics:
            self._metrics = list(means)
            self._write_experiment()
        hparams = {
            name: _as(self._type(name), _plain(value))
            for name, value in parameters.items()
        }
        start = plugin_data_pb2.SessionStartInfo(start_time_secs=time.time())
        for name, value in hparams.items():
            setattr(start.hparams[name], _FIELDS[type(value)], value)
        status = api_pb2.STATUS_FAILURE if failed else api_pb2.STATUS_SUCCESS
        end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
        finite = {name: mean for name, mean in means.items() if math.isfinite(mean)}
        events = [
            _hparams_event(metadata.SESSION_START_INFO_TAG, session_start_info=start),
            scalars(finite, 0),
            *(scalars(scores, split) for split, scores in enumerate(splits)),
            _hparams_event(metadata.SESSION_END_INFO_TAG, session_end_info=end),
        ]
        content = repr((hparams, means, splits, failed))
        write_whole(self._of(parameters), events, content)

    def _write_experiment(self) -> None:
        assert self._directory is not None
        infos = [self._info(name) for name in self._columns]
        metrics = [
            api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag))
            for tag in self._metrics
        ]
        experiment = api_pb2.Experiment(hparam_infos=infos, metric_infos=metrics)
        event = _hparams_event(metadata.EXPERIMENT_TAG, experiment=experiment)
        write_whole(self._directory, [event], str(experiment))

    def _type(self, name: str) -> type:
        """Return the type of a column: values of several types are shown as text."""
        types = set(map(type, self._columns.get(name, ())))
        return types.pop() if len(types) == 1 else str

    def _info(self, name: str) -> Any:
        column_type = self._type(name)
        values = {_as(column_type, value) for value in self._columns[name]}
        info = api_pb2.HParamInfo(name=name, differs=len(values) > 1)
        if column_type is float:
            info.type = api_pb2.DATA_TYPE_FLOAT64
            info.domain_interval.min_value = min(values)
            info.domain_interval.max_value = max(values)
            return info
        is_bool = column_type is bool
        info.type = api_pb2.DATA_TYPE_BOOL if is_bool else api_pb2.DATA_TYPE_STRING
        info.domain_discrete.extend(sorted(values))
        return info


def _hparams_event(tag: str, **content: Any) -> Any:
    data = plugin_data_pb2.HParamsPluginData(**content)
    value = Summary.Value(
        tag=tag,
        metadata=metadata.create_summary_metadata(data),
        tensor=metadata.NULL_TENSOR,
    )
    return Event(wall_time=time.time(), summary=Summary(value=[value]))


def _plain(value: Any) -> bool | float | str:
    """Return a value as the page can have it."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, numbers.Real) and math.isfinite(value):
        return float(value)
    return value if type(value) is str else summarize(value)


def _as(column_type: type, value: bool | float | str) -> bool | float | str:
    if column_type is not str or type(value) is str:
        return value
    return f"{value:g}" if type(value) is float else str(value)


def _scores(
    results: list[dict[str, Any]],
) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Return the means over the splits, and the scores of each split, by tag."""
    splits: list[dict[str, float]] = []
    for result in results:
        scores: dict[str, float] = {}
        for part in ("test", "train"):
            found = result.get(f"{part}_scores")
            if found is None:
                continue
            named = found if isinstance(found, dict) else {"score": found}
            scores |= {f"{part}_{name}": float(score) for name, score in named.items()}
        splits.append(scores)
    tags = list(dict.fromkeys(tag for scores in splits for tag in scores))
    means: dict[str, float] = {}
    for tag in tags:
        column = [scores.get(tag, math.nan) for scores in splits]
        means[f"mean_{tag}"] = float(np.mean(column))
        means[f"std_{tag}"] = float(np.std(column))
    means["mean_fit_time"] = float(np.mean([r["fit_time"] for r in results]))
    finite = [
        {tag: score for tag, score in scores.items() if math.isfinite(score)}
        for scores in splits
    ]
    return means, finite
