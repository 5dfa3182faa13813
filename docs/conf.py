"""Settings of the site: `sphinx-build -W docs site`, with the extra `docs` and without network."""

import re

from rayqc.version import __version__

project = "rayqc"
author = "the authors of rayqc"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
default_role = "code"  # docstrings are plain text with names in single quotes of code
exclude_patterns = ["site"]
html_theme = "furo"
html_title = f"rayqc {release}"
html_show_sphinx = False
# Headings that other pages link to, as on the pages where the files are kept.
myst_heading_anchors = 3
myst_links_external_new_tab = False
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False


def _files_beside_docs(app, name, source):  # type: ignore[no-untyped-def]
    """Links to files above this folder are to the files: they are no pages of the site."""
    source[0] = re.sub(r"\]\((?=\.\./[^)]*\.md\))", "](path:", source[0])


def setup(app):  # type: ignore[no-untyped-def]
    """Called by Sphinx."""
    app.connect("source-read", _files_beside_docs)
