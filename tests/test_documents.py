import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])
LINK = re.compile(r"""(?:\]\(|src=")(?!https?:)([^)"#\s]*)(?:#([^)"\s]+))?""")


def anchors(path: Path) -> set[str]:
    """Anchors of the headings of a page, as a Git host and MkDocs make them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_of_the_repository(document):
    for name, anchor in LINK.findall(document.read_text("utf-8")):
        target = document.parent / name if name else document
        assert target.exists(), f"{document.name}: {name} is not there"
        assert not anchor or anchor in anchors(target), f"{document.name}: {name}#{anchor}"


def test_the_readme_is_short_enough_for_a_first_visit():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8")
    pages = [path.name for path in ROOT.glob("docs/*.md")]
    assert [name for name in pages if f": {name}" not in navigation] == []
