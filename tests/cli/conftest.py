"""Checkpoints that real searches wrote, and the command line over them."""

import warnings

import numpy as np
import pytest
from click.testing import CliRunner

from resumable_search import ResumableGridSearchCV
from resumable_search.cli import main
from tests import fakes


class FailsAboveTwo(fakes.Logged):
    """Fails with the same error in each split of the candidates above 2."""

    def act(self):
        if self.value > 2:
            raise RuntimeError("[red]too much[/red]")


def search(path, log, values, *, estimator=fakes.Logged, **parameters):
    """Run a search with two splits of a candidate for each value."""
    X = np.arange(24, dtype=np.float64).reshape(12, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of folds that fail, as they shall
        return ResumableGridSearchCV(
            estimator(str(log)),
            {"value": values},
            **{"cv": 2, "refit": False, "checkpoint": path, **parameters},
        ).fit(X, np.array([0, 1] * 6))


@pytest.fixture
def checkpoint(tmp_path, log):
    """Give a file with two searches: 1 is all well, 2 has two failed folds of six."""
    path = tmp_path / "checkpoint.sqlite"
    search(path, log, [1.0, 2.0])
    search(path, log, [1.0, 3.0, 2.0], estimator=FailsAboveTwo)
    return path


@pytest.fixture
def cli():
    """Give a function that runs a command and gives its result."""

    def run(*arguments, code=0, **options):
        result = CliRunner().invoke(main, [*map(str, arguments)], **options)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return run
