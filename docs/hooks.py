"""MkDocs hook: pages of the site whose source lies outside `docs/`.

The same text serves a Git host and the site, so links are written as a Git host resolves them,
from file to file of the repository, and are turned into links between pages here.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
# Files of the repository by their place in the site.
OUTSIDE = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
    "changelog.md": "CHANGELOG.md",
    "measurements.md": "benchmarks/RESULTS.md",
    "tried.md": "benchmarks/NOTES.md",
    "LICENSE": "LICENSE",
    "examples/onnx_landmarks.py": "examples/onnx_landmarks.py",
    "examples/onnx_pose.py": "examples/onnx_pose.py",
    "examples/onnx_window.py": "examples/onnx_window.py",
    "examples/engines/slurm.sh": "examples/engines/slurm.sh",
    "examples/engines/kubernetes.yaml": "examples/engines/kubernetes.yaml",
    "examples/engines/Snakefile": "examples/engines/Snakefile",
    "examples/engines/main.nf": "examples/engines/main.nf",
    "examples/engines/dask_predict.py": "examples/engines/dask_predict.py",
}
LINK = re.compile(r"""(?:(?<=\]\()|(?<=src="))(?!https?:|#)[^)#"\s]+""")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files from outside `docs/`."""
    for place, source in OUTSIDE.items():
        content = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, place, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Turn links between files of the repository into links between pages."""
    if page.is_homepage:
        page.meta["hide"] = ["navigation"]
    place = page.file.src_uri
    source = OUTSIDE.get(place, f"docs/{place}")
    return LINK.sub(lambda link: _relinked(link[0], source, place), markdown)


def _relinked(link: str, source: str, place: str) -> str:
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    places = {source: place for place, source in OUTSIDE.items()}
    in_site = places.get(target, posixpath.relpath(target, "docs"))
    return posixpath.relpath(in_site, posixpath.dirname(place) or ".")
