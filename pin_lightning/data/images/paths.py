"""Paths of image files: what is hidden, and what is not a file."""

from pathlib import Path

# Folders that macOS (archives) and Synology (network drives) add, with files named as images.
BY_PRODUCTS = ("__MACOSX", "@eaDir")


def is_hidden(path: Path, root: Path) -> bool:
    """True if a path below a folder, or a folder on the way to it, is hidden or a by-product.

    >>> is_hidden(Path("scans/__MACOSX/a.nii"), Path("scans"))
    True
    """
    parts = path.relative_to(root).parts
    return any(part.startswith(".") or part in BY_PRODUCTS for part in parts)


def file_fault(path: Path) -> str:
    """Why a path is no file with content, such as a pipe, which would be waited for; else empty."""
    if path.is_file():
        return "" if path.stat().st_size else "the file is empty"
    return "not a regular file" if path.exists() else "no such file"
