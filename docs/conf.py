"""Sphinx configuration."""

from importlib.metadata import version as installed_version

project = "resumable_search"
author = "the resumable_search developers"
copyright = f"2026, {author}"  # noqa: A001 - Sphinx's name
version = release = installed_version("resumable-search")

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build"]
html_theme = "furo"
myst_heading_anchors = 3
numpydoc_show_class_members = False
autodoc_member_order = "bysource"
suppress_warnings = ["myst.xref_missing"]  # links to files of the repository
