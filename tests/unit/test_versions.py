"""Which versions of libraries count, and how."""

import importlib
import sys
import warnings

import pytest

from resumable_search import VersionMixWarning
from resumable_search._fit.versions import (
    OldVersions,
    version_part,
    version_table,
    versions_beside,
)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Give a function that installs a distribution, in the place of an older one."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(version, package="features_lib", distribution="features-lib"):
        stem = distribution.replace("-", "_")
        for old in tmp_path.glob(f"{stem}-*.dist-info"):
            old.rename(tmp_path / f"gone-{version}")
        info = tmp_path / f"{stem}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        (info / "RECORD").write_text(f"{package}/__init__.py,,\n")
        (tmp_path / package).mkdir(exist_ok=True)
        (tmp_path / package / "__init__.py").touch()
        importlib.invalidate_caches()

    return install


def test_what_a_stopped_installer_has_left_has_no_version(install, tmp_path):
    """An empty folder of another release is passed over."""
    install("1.2")
    expected = version_part(["features_lib"], "exact")

    for left in ("0.9", "1.3"):
        (tmp_path / f"features_lib-{left}.dist-info").mkdir()
    importlib.invalidate_caches()

    assert version_part(["features_lib"], "exact") == expected


@pytest.mark.parametrize(
    ("choice", "same", "other"),
    [
        ("minor", ["1.2.0", "1.2.9", "1.2.3+cu118"], ["1.3.0", "2.2.0", "1!1.2.0"]),
        ("exact", ["1.2.0"], ["1.2.1", "1.2.0+cpu"]),
        ("ignore", ["1.2.0", "1.3", "2.0"], []),
    ],
)
def test_what_counts_of_a_version_is_the_users_choice(install, choice, same, other):
    """The first two numbers by default."""

    def part(version):
        install(version)
        return version_part(["features_lib"], choice)

    first = part("1.2")
    if choice != "exact":
        assert {part(version) for version in same} == {first}
    assert first not in {part(version) for version in other}


def test_a_version_with_one_number_is_that_of_its_first_release(install):
    """2 is 2.0."""
    install("2")
    short = version_part(["features_lib"], "minor")
    install("2.0.1")
    assert version_part(["features_lib"], "minor") == short


def test_what_everything_depends_on_counts_only_where_all_is_to_be_exact():
    """Else each upgrade of scikit-learn would discard days of work."""
    packages = ["sklearn", "numpy", "pandas", "os", "resumable_search"]
    assert version_part(packages, "minor") == ""
    assert "scikit-learn=" in version_part(packages, "exact")
    assert "python=" in version_part([], "exact")


def test_a_package_with_another_name_than_its_distribution_is_found(install):
    """Import names are looked up where there is no distribution of that name."""
    install("3.1.4", package="odd_name", distribution="even-name")
    assert version_part(["odd_name"], "minor") == "even-name=3.1"
    assert versions_beside(["odd_name", "sklearn"]) == {"even-name": "3.1.4"}
    table = version_table(["odd_name"], "minor")
    assert table == {"even-name": ("even-name=3.1", "3.1.4")}


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """Give a function that writes and imports a package that nothing has installed."""
    monkeypatch.syspath_prepend(tmp_path)

    def bare(text):
        (tmp_path / "bare_lib.py").write_text(text)
        sys.modules.pop("bare_lib", None)
        sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
        importlib.invalidate_caches()
        importlib.import_module("bare_lib")
        sys.dont_write_bytecode = before

    yield bare
    sys.modules.pop("bare_lib", None)


def test_a_package_without_a_distribution_has_the_version_it_says(bare):
    """Where it was copied into a directory by hand."""
    bare("__version__ = '1.5.2'")
    assert version_part(["bare_lib"], "minor") == "bare_lib=1.5"


def test_the_source_counts_of_a_package_without_any_version(bare):
    """Nothing else could tell that it is another one."""
    bare("x = 1")
    first = version_part(["bare_lib"], "minor")
    bare("x = 1")
    assert version_part(["bare_lib"], "minor") == first
    bare("x = 2")
    assert version_part(["bare_lib"], "minor") != first


def test_a_mix_of_versions_of_any_library_is_named(install):
    """Also of one that no worker knows by name."""
    install("1.2.4")
    with pytest.warns(VersionMixWarning, match=r"features-lib 1\.2\.3 \(now 1\.2\.4\)"):
        OldVersions().note({"features-lib": "1.2.3"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        OldVersions().note({"features-lib": "1.2.4"})
