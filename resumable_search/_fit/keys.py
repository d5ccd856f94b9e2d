"""The keys of a search and of its folds.

A fold's key is made of what its score depends on:

- *family*: ``X``, ``y``, fit parameters, and the settings that matter;
- *candidate*: the estimator with all its parameters, those that are tried included;
- *split*: the train and test indices.

The versions of the libraries whose code a part reaches count with it, as far as the
user has chosen. Under that key there is a score for each *scorer* key.
"""

import os
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from .._exceptions import FingerprintError
from .._frameworks.settings import framework_settings
from .._keys.candidates import CandidateKeys
from .._keys.digests import digest, fold_key, refit_key
from .._keys.fingerprint import Keyed, Keywords, fingerprint, keyed, parameter_table
from .._keys.indices import indices_key, number_of_samples
from .._keys.relevance import unordered_grid
from .._keys.summaries import summarize, table_of
from .._records import KEY_RULES, CandidateRecord, SearchRecord
from .._settings import numeric_settings
from .._sklearn_compat.calls import FoldCall
from .._sklearn_compat.estimators import (
    is_estimator_score,
    score_settings,
    scorers_by_name,
)
from .declared import data_shape, dependencies
from .options import OPTION_CONSTRAINTS
from .versions import version_part, version_table, versions_beside

__all__ = ["NOT_THE_SPACE", "RUN_VARIABLE", "SearchKeys"]

# The processes of one run share it: nested searches in parallel workers are no
# relatives to warn about.
RUN_VARIABLE = "_RESUMABLE_SEARCH_RUN"
os.environ.setdefault(RUN_VARIABLE, uuid.uuid4().hex)

#: Parameters of a search that its folds do not depend on, or that are keyed apart.
NOT_THE_SPACE = frozenset(
    {
        "cv",
        "error_score",
        "estimator",
        "n_jobs",
        "pre_dispatch",
        "refit",
        "return_train_score",
        "scoring",
        "verbose",
        *OPTION_CONSTRAINTS,
    }
)


class SearchKeys:
    """Gives the keys of one ``fit``; those of large values once.

    Parameters
    ----------
    search : BaseSearchCV
        The search.
    X, y : array-like
        What was given to ``fit``.
    data_key : str or None
        The user's name for the data, which counts instead of it.

    Attributes
    ----------
    family : str
        Of what all folds share. Known from `of_search` on, as the next two.
    scorers : dict of str to str
        Name -> key.
    same_folds : str
        Of what decides which folds a candidate has: the family and the splitter.
    n_candidates : int
        Number of candidates in the calls of evaluate_candidates so far.
    """

    def __init__(
        self, search: Any, X: Any, y: Any, data_key: str | None = None
    ) -> None:
        self._search = search
        self._given_data_key = data_key
        self._cv = search.cv
        self._X, self._y = X, y
        self._known: dict[tuple[int, bool], tuple[Any, str]] = {}
        # Each call of evaluate_candidates is a round, with its own splits. By number:
        # the splits of a round may share their arrays, and rounds their splits.
        self._splits: dict[int, str] = {}
        self._candidates: CandidateKeys | None = None
        self._candidate = (-1, "")
        self._round = -1
        self._n_before = self.n_candidates = 0
        self.family = self.same_folds = ""
        self.scorers: dict[str, str] = {}
        self._packages: frozenset[str] = frozenset()
        self._version_parts: dict[frozenset[str], str] = {}
        self._versions: tuple[frozenset[str], dict[str, str]] = (frozenset(), {})

    def versions(self) -> dict[str, str]:
        """Return distribution -> version of the libraries that the keys reach."""
        known, versions = self._versions
        if known != self._packages:
            versions = versions_beside(self._packages)
            self._versions = self._packages, versions
        return versions

    def _versioned(self, found: Keyed) -> str:
        """Return a key with what versions and settings of the libraries in it add."""
        packages = found.packages
        self._packages |= packages
        part = self._version_parts.get(packages)
        if part is None:
            part = version_part(packages, self._search.versions)
            if settings := framework_settings(packages):
                part = digest(part, fingerprint(settings))
            self._version_parts[packages] = part
        return digest(found.key, part) if part else found.key

    def _data_key(self, value: object, name: str) -> str:
        """Key X or y, by the user's name for the data where there is one."""
        given = self._given_data_key
        if given is None or value is None:
            return self.key_of(value, name)
        return digest("data_key", given, name)

    def key_of(self, value: object, name: str, *, cloned: bool = False) -> str:
        """Key a large value, once per fit."""
        known = self._known.get((id(value), cloned))
        if known is None:
            key = self._versioned(keyed(value, name, cloned=cloned))
            known = self._known[id(value), cloned] = (value, key)
        return known[1]

    def of_random_state(self, what: str, source: object) -> str:
        """Return the key of the state from which `source` drew first."""
        return digest(
            what,
            _space_key(source) if type(source) is dict else fingerprint(source, what),
            self.key_of(self._search.estimator, "estimator", cloned=True),
            self._data_key(self._X, "X"),
            self._data_key(self._y, "y"),
        )

    def of_refit(self, parameters: Mapping[str, Any]) -> str:
        """Return the key of the refit with these parameters."""
        return refit_key(self.family, self._candidate_key(parameters))

    def _candidate_key(self, parameters: Mapping[str, Any]) -> str:
        assert self._candidates is not None
        return self._versioned(self._candidates.of(dict(parameters)))

    def space(self) -> dict[str, Any]:
        """Return the parameters that say which candidates there are."""
        parameters = self._search.get_params(deep=False)
        return {k: v for k, v in parameters.items() if k not in NOT_THE_SPACE}

    def of_search(self, call: FoldCall, metric: str) -> SearchRecord:
        """Find out what all folds have in common with one of them."""
        fit_params = call.shared.get("fit_params") or {}
        estimator_key = self.key_of(call.estimator, "estimator", cloned=True)
        settings, others = score_settings(), numeric_settings()
        kind = type(self._search).__name__
        declared = dependencies(self._search.depends_on, kind)
        self.family = digest(
            "fold",
            str(KEY_RULES),
            self._data_key(call.X, "X"),
            self._data_key(call.y, "y"),
            *(f"{n}={self.key_of(v, n)}" for n, v in sorted(fit_params.items())),
            fingerprint(Keywords(settings), "sklearn.get_config()"),
            fingerprint(Keywords(others), "settings"),
            *(key for key, _ in declared.values()),
        )
        self.scorers = self._scorer_keys(call)
        cv_key = _loose_key(self._cv)
        self._candidates = CandidateKeys(call.estimator)
        self.same_folds = digest("folds", self.family, estimator_key, cv_key)
        space = self.space()
        parts = {
            "estimator": parameter_table(call.estimator),
            "data": self._data_table(call),
            "fit parameter": {
                n: (self.key_of(v, n), summarize(v)) for n, v in fit_params.items()
            },
            "scorer": {
                name: (key, summarize(scorers_by_name(call.shared["scorer"])[0][name]))
                for name, key in self.scorers.items()
            },
            "splitter": {"cv": (cv_key, summarize(self._cv))},
            "scikit-learn setting": {
                n: (fingerprint(v), summarize(v)) for n, v in settings.items()
            },
            "setting": {n: (fingerprint(v), summarize(v)) for n, v in others.items()},
            "framework setting": {
                f"{library}.{n}": (fingerprint(v), summarize(v))
                for library, found in framework_settings(self._packages).items()
                for n, v in found.items()
            },
            "train scores": {
                "": (str(call.return_train_score), _wanted(call.return_train_score))
            },
            "candidate parameters": {"": _names(call.parameters)},
            "declared dependency": declared,
            "version": version_table(self._packages, self._search.versions),
        }
        return SearchRecord(
            key=digest(
                kind,
                self.family,
                estimator_key,
                *sorted(self.scorers.values()),
                cv_key,
                _space_key(space),
            ),
            family=self.family,
            kind=kind,
            run=os.environ[RUN_VARIABLE],
            n_splits=call.n_splits,
            n_candidates=call.n_candidates,
            scorers=self.scorers,
            metric=metric,
            parts=parts,
        )

    def _data_table(self, call: FoldCall) -> dict[str, tuple[str, str]]:
        given = self._given_data_key
        if given is None:
            values = {"X": call.X, "y": call.y}
            return {n: (self.key_of(v, n), summarize(v)) for n, v in values.items()}
        return {
            "data_key": (digest(given), repr(given)),
            "X": ("", data_shape(call.X)),
            "y": ("", data_shape(call.y)),
        }

    def _scorer_keys(self, call: FoldCall) -> dict[str, str]:
        score_params = call.shared.get("score_params") or {}
        params_key = fingerprint(Keywords(score_params), "score parameters")
        scorers, _ = scorers_by_name(call.shared["scorer"])
        return {
            # The estimator's own score is part of its class, which is keyed.
            name: "estimator.score:" + params_key
            if is_estimator_score(scorer)
            else digest(
                self._versioned(keyed(scorer, f"scoring['{name}']")), params_key
            )
            for name, scorer in scorers.items()
        }

    def position(self, call: FoldCall) -> int:
        """Return the position of a fold's candidate in ``cv_results_``."""
        return self._n_before + call.candidate

    def of_folds(
        self, calls: Sequence[FoldCall]
    ) -> tuple[
        list[tuple[str, str]], list[CandidateRecord], list[tuple[int, int, str]]
    ]:
        """Return the keys of folds, and the candidates and splits that are new.

        Parameters
        ----------
        calls : sequence of FoldCall
            In the order in which scikit-learn makes them: each round begins with the
            first split of its first candidate.

        Returns
        -------
        keys : list of (str, str)
            Key of the fold, and key of its split.
        candidates : list of CandidateRecord
            Not given before.
        splits : list of (int, int, str)
            Round, number of the split in it, and key. Not given before.
        """
        keys = []
        candidates: list[CandidateRecord] = []
        splits: list[tuple[int, int, str]] = []
        for call in calls:
            if call.candidate == call.split == 0:
                self._round += 1
                self._splits = {}
                self._n_before = self.n_candidates
                self.n_candidates += call.n_candidates
            split = self._splits.get(call.split)
            if split is None:
                n_samples = number_of_samples(call.X)
                parts = (call.train, call.test)
                split = digest(*(indices_key(part, n_samples) for part in parts))
                self._splits[call.split] = split
                splits.append((self._round, call.split, split))
            # The folds of a candidate come one after the other.
            position = self.position(call)
            if self._candidate[0] != position:
                key = self._candidate_key(call.parameters)
                self._candidate = (position, key)
                candidates.append(
                    CandidateRecord(
                        position=position,
                        round=self._round,
                        key=key,
                        parameters=table_of(call.parameters),
                    )
                )
            keys.append((fold_key(self.family, self._candidate[1], split), split))
        return keys, candidates, splits


def _wanted(wish: object) -> str:
    return "wanted" if wish else "not wanted"


def _names(parameters: Mapping[str, Any]) -> tuple[str, str]:
    text = ", ".join(sorted(parameters)) or "none"
    return digest(text), text


def _space_key(space: Mapping[str, Any]) -> str:
    """Key the parameters of a search; the names in a grid have no order."""
    return digest(
        *(
            f"{name}={_loose_key(unordered_grid(value))}"
            for name, value in sorted(space.items())
        )
    )


def _loose_key(value: object) -> str:
    """Key what only identifies a search, and no score depends on."""
    try:
        return fingerprint(value)
    except FingerprintError:  # a generator of splits, a distribution of the user's
        return digest(type(value).__qualname__, summarize(value))
