"""Files and folders that systems leave among the data, and that are no data."""

from pathlib import Path

# Of macOS archives and of network storage; "._NAME" and ".DS_Store" begin with a dot.
_FOLDERS = ("__macosx", "@eadir")


def is_hidden(path: str | Path) -> bool:
    """True if a file or folder, by its own name, belongs to the system and is no data.

    >>> is_hidden("scans/._ANNA.nii.gz"), is_hidden("@eaDir"), is_hidden("scans/ANNA.nii.gz")
    (True, True, False)
    """
    name = Path(path).name
    return name.startswith(".") or name.lower() in _FOLDERS


def is_hidden_below(path: Path, folder: Path) -> bool:
    """True if a path, or a folder on the way to it from `folder`, is hidden."""
    return any(map(is_hidden, path.relative_to(folder).parts))
