"""Keys of what a library has made for the user, and of what only looks like one's."""

import dataclasses
import enum
import importlib.util
import os
import sys
import types

import pytest

from resumable_search._keys.fingerprint import fingerprint
from resumable_search._keys.library_code import is_library, is_library_file


class Base:
    factor = 1


MADE = {
    "make_dataclass": lambda value: dataclasses.make_dataclass(
        "Settings", [("power", int, value)]
    ),
    "new_class": lambda value: types.new_class(
        "Settings", (Base,), {}, lambda body: body.update(power=value)
    ),
    "type": lambda value: type(Base)("Settings", (Base,), {"power": value}),
    "enum": lambda value: enum.Enum("Settings", {"power": value}, module="enum"),
    "library's name": lambda value: type(
        "Settings", (Base,), {"power": value, "__module__": "collections"}
    ),
}


@pytest.mark.parametrize("how", MADE)
def test_class_that_a_library_made_counts_by_its_content(how):
    """What `dataclasses` or `types` build for the user is the user's class."""
    one, again, other = (MADE[how](value) for value in (1, 1, 2))
    assert fingerprint(one) == fingerprint(again) != fingerprint(other)


@pytest.mark.parametrize(
    "cls",
    [dict, type(iter([])), type(len), types.FunctionType, type(None), type(os.environ)],
)
def test_class_of_the_interpreter_counts_by_its_name(cls):
    """Also where no module holds it under its name."""
    assert fingerprint(cls) == fingerprint(cls)


def test_module_loaded_from_a_path_is_not_the_library_of_its_name(tmp_path):
    """A function of the user's `json.py` counts with its globals."""
    keys = []
    for power in (1, 1, 2):
        path = tmp_path / "json.py"
        path.write_text(f"POWER = {power}\ndef f(X):\n    return X ** POWER\n")
        spec = importlib.util.spec_from_file_location("json", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        keys.append(fingerprint(module.f))
    assert keys[0] == keys[1] != keys[2]


def test_files_of_an_installer_are_a_librarys_wherever_sys_path_points(
    tmp_path, monkeypatch
):
    """The answer is the same before and after the folder joins `sys.path`."""
    record = tmp_path / "installed-1.0.dist-info" / "RECORD"
    record.parent.mkdir()
    record.write_text("installed/__init__.py,,\n")
    files = [str(tmp_path / name) for name in ("installed/part.py", "beside.py")]
    before = [is_library_file(file) for file in files]
    monkeypatch.syspath_prepend(tmp_path)
    assert [is_library_file(file) for file in files] == before == [True, False]


def test_folder_with_a_name_like_site_packages_is_the_users(tmp_path, monkeypatch):
    """Only the name itself says that an installer has been at work."""
    folder = tmp_path / "my-site-packages-notes"
    folder.mkdir()
    (folder / "mine_in_notes.py").write_text("def f():\n    return 1\n")
    monkeypatch.syspath_prepend(folder)
    module = importlib.import_module("mine_in_notes")
    try:
        assert not is_library(module.__name__)
        assert not is_library_file(module.__file__)
    finally:
        del sys.modules["mine_in_notes"]


class Unhashable(type):
    """A metaclass that compares its classes, and so cannot hash them."""

    def __eq__(cls, other):
        return False

    __hash__ = None


def test_class_with_an_unhashable_metaclass_has_a_key():
    """By its content, as any class."""

    def made(value):
        return Unhashable("Settings", (), {"power": value})

    one, again, other = (made(value) for value in (1, 1, 2))
    assert fingerprint(one) == fingerprint(again) != fingerprint(other)
