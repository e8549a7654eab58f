"""BIDS data sets whose derivatives hold anatomical fiducials (AFIDs)."""

import logging
import re
from functools import partial
from pathlib import Path

from pin_lightning.common.hidden import is_hidden_below
from pin_lightning.common.spelling import check_one_line, one_spelling
from pin_lightning.data.cases import Case
from pin_lightning.data.images.reading import stem
from pin_lightning.data.landmarks.files import LANDMARK_SUFFIXES, read_landmarks

log = logging.getLogger(__name__)

NAMED = 20  # scans named in a message
# Entities that distinguish versions of the same scan's fiducials, not scans.
_OF_FIDUCIALS = ("space", "desc")
# Values of the entity "space" that mean the scan's own space.
_OWN_SPACE = ("individual", "native", "orig", "scanner")


def bids_cases(
    root: str | Path,
    suffix: str = "T1w",
    derivative: str | None = None,
    desc: str | None = None,
    fiducials: str = "afids",
    frame: str | None = None,
) -> list[Case]:
    """Cases of a BIDS data set: scans with the fiducials of a derivative.

    ``sub-01/[ses-1/]anat/sub-01[_ses-1]_T1w.nii.gz`` belongs to
    ``derivatives/NAME/sub-01/[ses-1/]anat/sub-01[_ses-1][_space-T1w][_desc-X]_afids.fcsv``. Scans
    without fiducials, usual in BIDS, are left out and named in the log.

    Args:
        root: Folder of the data set.
        suffix: Suffix of the scans.
        derivative: Folder under ``derivatives/``; None takes all.
        desc: Value of the fiducials' ``desc`` entity, such as a rater; None takes any.
        fiducials: Suffix of the fiducial files.
        frame: ``RAS`` or ``LPS`` for files that do not say.

    Returns:
        Cases sorted by name; the subject is that of the ``sub`` entity.

    Raises:
        ValueError: There are no scans or no fiducials, a scan has several fiducial files, or a
            fiducial file has no scan or several.
    """
    folder = Path(root)
    scans = _scans(folder, suffix)
    files: dict[Path, Path] = {}
    for path in _fiducial_files(folder, derivative, desc, suffix, fiducials):
        image = _scan_of(path, scans)
        if image in files:
            raise ValueError(
                f"{image}: has several fiducial files, {files[image].name} and {path.name}; "
                f"choose by data.desc=... or data.derivative=..."
            )
        files[image] = path
    alone = [image.name for image in scans if image not in files]
    if alone:
        named = ", ".join(alone[:NAMED]) + (" ..." if len(alone) > NAMED else "")
        log.warning("%d scans have no %s and are left out: %s", len(alone), fiducials, named)
    cases = []
    for image, path in files.items():
        read = partial(read_landmarks, path, frame, image)
        name = one_spelling(str(stem(image)))
        check_one_line(f"{image.parent}", name)
        cases.append(Case(name, image, path, read, scans[image]["sub"]))
    return sorted(cases, key=lambda case: case.name)


def anatomical_scans(root: Path, suffix: str) -> list[Path]:
    """Scans of a BIDS data set, ``sub-*/[ses-*/]anat/*_SUFFIX.nii.gz``, in order."""
    paths = [*root.glob("sub-*/anat/*"), *root.glob("sub-*/ses-*/anat/*")]
    return sorted(
        path
        for path in paths
        if (stem(path) or "").endswith(f"_{suffix}") and not is_hidden_below(path, root)
    )


def _scans(root: Path, suffix: str) -> dict[Path, dict[str, str]]:
    """Entities of each scan."""
    images = anatomical_scans(root, suffix)
    if not images:
        raise ValueError(
            f"data.root={root}: no scans sub-*/[ses-*/]anat/*_{suffix}.nii.gz; "
            f"give the folder of a BIDS data set, or another data.suffix"
        )
    return {image: entities_of(image.name) for image in images}


def _fiducial_files(
    root: Path, derivative: str | None, desc: str | None, suffix: str, fiducials: str
) -> list[Path]:
    pattern = f"derivatives/{derivative or '*'}/**/*_{fiducials}.*"
    found = sorted(
        path
        for path in (root / "derivatives" / (derivative or "")).rglob("*")
        if (stem(path, LANDMARK_SUFFIXES) or "").endswith(f"_{fiducials}")
        and not is_hidden_below(path, root)
    )
    spaces = {path: entities_of(path.name).get("space", suffix) for path in found}
    own = [path for path in found if spaces[path] in (suffix, *_OWN_SPACE)]
    wanted = [path for path in own if desc is None or entities_of(path.name).get("desc") == desc]
    if not wanted:
        others = sorted({f"space-{space}" for space in spaces.values()})
        descs = sorted({f"desc-{entities_of(path.name).get('desc', '(none)')}" for path in own})
        saw = f"; there are {', '.join(descs or others)}" if found else ""
        raise ValueError(
            f"data.root={root}: no fiducials {pattern} in the space of the {suffix} scans"
            f"{'' if desc is None else f' with desc-{desc}'}{saw}"
        )
    return wanted


def _scan_of(path: Path, scans: dict[Path, dict[str, str]]) -> Path:
    wanted = {k: v for k, v in entities_of(path.name).items() if k not in _OF_FIDUCIALS}
    fitting = [image for image, has in scans.items() if wanted.items() <= has.items()]
    # Beside sub-01_acq-fast_T1w, a plain sub-01_T1w is meant by sub-01.
    fitting = [image for image in fitting if wanted == scans[image]] or fitting
    if len(fitting) != 1:
        names = ", ".join(image.name for image in fitting) or "no scan"
        raise ValueError(f"{path}: fits {names}; its entities must name exactly one scan")
    return fitting[0]


def entities_of(name: str) -> dict[str, str]:
    """Entities of a BIDS file name, in their order.

    >>> entities_of("sub-01_ses-2_T1w.nii.gz")
    {'sub': '01', 'ses': '2'}
    """
    return dict(re.findall(r"(?:^|_)([a-zA-Z]+)-([a-zA-Z0-9+]+)(?=[_.])", name))
