"""The checks, one by one: ``nox --list`` shows them, ``nox -s lint`` runs one.

``.ci/run`` runs all that a change has to pass, on one machine. These are for the parts
of it, and for the other versions of Python.
"""

import nox

nox.options.default_venv_backend = "venv"
nox.options.sessions = ["lint", "types", "contract", "tests-3.11"]

PYTHONS = ["3.11", "3.12", "3.13"]
SHARE = ["-n", "3", "--dist", "worksteal"]


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install("ruff>=0.9")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types in the package, and in programs that use it."""
    session.install("-e", ".[dev]")
    session.run("mypy")
    session.run("mypy", "tests/typing/api.py")


@nox.session
def contract(session: nox.Session) -> None:
    """Check what imports what."""
    session.install("-e", ".", "import-linter>=2.0")
    session.run("lint-imports", "setup.cfg")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the default tests. ``nox -s tests-3.12 -- tests/search -k resume``."""
    session.install("-e", ".[test]")
    session.run("pytest", *SHARE, *session.posargs)


@nox.session(python="3.11")
def oldest(session: nox.Session) -> None:
    """Run tests on the oldest supported versions of the dependencies."""
    session.install("-r", "tests/oldest-requirements.txt")
    session.install("--no-deps", "-e", ".")
    paths = session.posargs or ["tests/search", "tests/contracts", "tests/unit"]
    session.run("pytest", *SHARE, "--ignore", "tests/search/test_scripts.py", *paths)


@nox.session
def faults(session: nox.Session) -> None:
    """Run the long tests: kills, power losses, hostile files."""
    session.install("-e", ".[test]")
    session.run("pytest", *SHARE, "-m", "faults or slow", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Measure which branches the tests reach, also in worker processes."""
    session.install("-e", ".[dev]")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    session.run("coverage", "combine")
    session.run("coverage", "report", "--skip-covered")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, into ``docs/_build/html``."""
    session.install("-e", ".[docs]")
    session.run("sphinx-build", "-q", "-W", "--keep-going", "docs", "docs/_build/html")


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Run one benchmark: ``nox -s benchmarks -- keys.py --scale 100``."""
    if not session.posargs:
        session.error("Name a file in benchmarks/ and its options, after '--'.")
    session.install("-e", ".[test]")
    name, *options = session.posargs
    session.run("python", f"benchmarks/{name}", *options)
