"""The page about the architecture says what the import contract says."""

import configparser
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()


def contract():
    """Return the layers of the package, from the top down."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    lines = parser["importlinter:contract:layers"]["layers"].split("\n")
    names = [re.findall(r"resumable_search\.(\w+)", line) for line in lines]
    return [set(layer) for layer in names if layer]


def table():
    """Return the first column of the table of folders, from the top down."""
    rows = re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
    return [set(re.findall(r"`(\w+)`", row)) for row in rows]


def test_the_folders_are_in_the_order_of_the_import_contract():
    """Line by line."""
    assert table() == contract()


def test_every_module_of_the_package_is_in_a_layer():
    """A new one is put into the contract, and into the page."""
    package = ROOT / "resumable_search"
    modules = {path.stem for path in package.glob("*.py")} - {"__init__"}
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    assert set().union(*contract()) == modules | folders


def test_what_the_drawing_names_is_there():
    """Files and folders of the way of a fold."""
    drawing = PAGE.partition("```text\n")[2].partition("```")[0]
    names = re.findall(r"_[a-z]+(?:/[a-z_]+)?(?= )", drawing)
    paths = [name for name in names if "/" in name or name == "_executors"]
    assert len(paths) >= 6
    for name in paths:
        path = ROOT / "resumable_search" / name
        assert path.is_dir() or path.with_suffix(".py").is_file(), name


def test_no_module_is_longer_than_four_hundred_lines():
    """A file can be read in one sitting."""
    too_long = {
        str(path.relative_to(ROOT / "resumable_search"))
        for path in (ROOT / "resumable_search").rglob("*.py")
        if len(path.read_text().splitlines()) > 400
    }
    assert too_long == set()
