"""The pages name all there is; that their links lead somewhere, the site's build checks."""

import inspect
import re
from pathlib import Path

import rayqc
from rayqc import errors

DOCS = Path(__file__).parents[1] / "docs"


def test_every_public_name_is_on_the_page_of_the_api():
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    shown = {line.rpartition(" rayqc.")[2] for line in page.splitlines() if ":: rayqc." in line}
    assert shown == set(rayqc.__all__) - {"Config"}  # its settings have a page of their own


def test_every_error_is_on_the_page_of_errors_with_its_code():
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("|")]
    for name, error in inspect.getmembers(errors, inspect.isclass):
        (row,) = [row for row in rows if f"`{name}`" in row]
        code = "the job's own" if name == "JobFailedError" else str(error.exit_code)
        assert row.startswith(f"| {code} |"), name


def test_links_of_pages_beside_the_site_lead_somewhere():
    """Of the site's own pages the build checks them."""
    root = DOCS.parent
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        text = (root / name).read_text(encoding="utf-8")
        places = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
        missing = [p for p in places if "://" not in p and not (root / p).exists()]
        assert not missing, name
