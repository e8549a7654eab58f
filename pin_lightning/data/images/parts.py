"""Files that an image consists of."""

from pathlib import Path

from pin_lightning.data.images.metaimage import META_SUFFIXES, metaimage_files
from pin_lightning.data.images.nifti import voxel_file
from pin_lightning.data.images.nrrd import NRRD_SUFFIXES, nrrd_files


def parts(path: Path) -> list[Path]:
    """Files of an image, sorted: the file itself and those that its header names.

    Args:
        path: Image file, header of detached voxels, or folder of a DICOM series (all its files).
    """
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.is_file())
    named: list[Path] = []
    name = path.name.lower()
    try:
        if name.endswith(NRRD_SUFFIXES):
            named = nrrd_files(path)
        elif name.endswith(META_SUFFIXES):
            named = metaimage_files(path)
        elif name.endswith(".hdr"):
            named = [voxel_file(path)]
    except ValueError:  # refused where it is read
        pass
    return sorted({path, *(file for file in named if file.is_file())})
