"""Paths of image files: what is no file."""

from pathlib import Path


def file_fault(path: Path) -> str:
    """Why a path is no file with content, such as a pipe, which would be waited for; else empty."""
    if path.is_file():
        return "" if path.stat().st_size else "the file is empty"
    return "not a regular file" if path.exists() else "no such file"
