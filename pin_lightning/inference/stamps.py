"""What tells whether an input has changed since it was predicted."""

import glob
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

ABSENT = "absent"
UNKNOWN = "unknown"  # equals no stamp: the file is looked at again the next time
HEADERS = (".hdr", ".img", ".mhd", ".nhdr")  # whose voxels may lie in another file of the same stem


def stamp_of(path: Path) -> str:
    """Sizes and times of an image, of the files beside its header, or of all files of a series.

    Only whether stamps are equal counts, so that clocks may go wrong. Of what is not there:
    ``absent``; of what the system does not tell: ``unknown``.
    """
    try:
        path.stat()
        if path.is_dir():
            return _stamp(one for one in path.iterdir() if one.is_file())
        if path.suffix.lower() in HEADERS:
            beside = path.parent.glob(f"{glob.escape(path.stem)}.*")
            return _stamp(one for one in beside if one.suffix.lower() != ".json")
        return _stamp([path])
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    except OSError:
        return UNKNOWN


def _stamp(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        found = path.stat()
        digest.update(os.fsencode(path.name) + b"\0")
        digest.update(f"{found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:32]
