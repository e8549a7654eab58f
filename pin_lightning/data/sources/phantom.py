"""Phantoms: synthetic 3D ultrasound of fetal heads with the exact landmarks of the paper."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from jaxtyping import Float64, UInt8
from nibabel.affines import apply_affine
from scipy.spatial.transform import Rotation

from pin_lightning.common.files import whole_file, write_text
from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.common.phantom_folder import PHANTOM_VERSION, without_later_defaults
from pin_lightning.common.progress_bar import progress_bar
from pin_lightning.common.settings import is_number
from pin_lightning.data.cases import Case
from pin_lightning.data.landmarks.files import write_landmarks
from pin_lightning.data.sources import phantom_anatomy as anatomy
from pin_lightning.data.sources.folder import find_cases
from pin_lightning.data.sources.phantom_pose import turn_of_scan, turned_head, turned_scan
from pin_lightning.data.sources.phantom_scan import axes_mm, scan

WRITERS = 2  # threads; a full-size head takes 2 GB
# Separate random streams, so that the head does not depend on size or spacing.
HEAD, PLACEMENT, SPECKLE, TURN = 0, 1, 2, 3
MOST_FIELD = 4.0
TURNED = ("none", "head", "scan")


@dataclass(frozen=True)
class Phantom:
    """A synthetic volume and its exact landmarks.

    Attributes:
        volume: Echo intensity [X, Y, Z].
        affine: Voxel index to world RAS+ mm.
        landmarks_world: Positions of `names`, world RAS+ mm.
        names: The ten landmarks of the paper.
    """

    volume: UInt8[np.ndarray, "X Y Z"]
    affine: Float64[np.ndarray, "4 4"]
    landmarks_world: Float64[np.ndarray, "10 3"]
    names: tuple[str, ...] = anatomy.LANDMARK_NAMES


def make_phantom(
    seed: int,
    size: Sequence[int] = (108, 69, 93),
    spacing_mm: Sequence[float] = (1.5, 1.5, 1.5),
    oblique_degrees: float = 0.0,
    bend_degrees: float = 0.0,
    turned: str = "none",
    field: float = 1.0,
) -> Phantom:
    """Synthesise one fetal head; a seed gives the same volume bit for bit.

    Real heads in the paper have 324 x 207 x 279 voxels of 0.5 mm; the default covers the same
    162 x 103.5 x 139.5 mm. The head of a seed is the same for every size and spacing.

    Args:
        seed: Seed of the head.
        size: Voxels along x, y, z, of a field of 1.
        spacing_mm: Voxel sides in mm.
        oblique_degrees: Angle of a random rotation of the scanner axes against the volume's.
        bend_degrees: SD of the angle by which heads are bent along an arc (`draw_head`).
        turned: ``head`` turns heads by any rotation and moves them, within the picture
            (`turned_head`); ``scan`` turns and moves the finished picture (`turned_scan`).
        field: Extent of the volume, and of the probe's sector, relative to `size`.

    Raises:
        ValueError: Size or spacing is not positive, the seed is negative, or the bend is too large.
    """
    _check(seed, size, spacing_mm, bend_degrees, turned, field)
    wide = [round(field * side) for side in size]
    head, turn = anatomy.draw_head(np.random.default_rng([seed, HEAD]), bend_degrees), None
    if turned == "head":
        head = turned_head(head, np.random.default_rng([seed, TURN]), field)
    if turned == "scan":
        turn = turn_of_scan(head, np.random.default_rng([seed, TURN]), field)
    affine = _affine(np.random.default_rng([seed, PLACEMENT]), wide, spacing_mm, oblique_degrees)
    # A picture that is turned afterwards has its usual size before.
    picture = (wide, field) if turn is None else (size, 1.0)
    volume = _picture(head, *picture, spacing_mm, np.random.default_rng([seed, SPECKLE]))
    landmarks_mm = anatomy.to_volume(head, anatomy.landmarks_in_head(head))
    if turn is not None:
        volume = turned_scan(volume, spacing_mm, turn, wide)
        landmarks_mm = turn.place(landmarks_mm)
    landmarks_ijk = landmarks_mm / np.array(spacing_mm) + (np.array(wide) - 1) / 2
    return Phantom(volume, affine, apply_affine(affine, landmarks_ijk))


def _picture(
    head: anatomy.Head,
    size: Sequence[int],
    field: float,
    spacing_mm: Sequence[float],
    speckle: np.random.Generator,
) -> UInt8[np.ndarray, "X Y Z"]:
    """Picture of a head under the probe."""
    axes = axes_mm(size, spacing_mm)
    u, v, w = anatomy.to_head(head, *axes)
    tissue = anatomy.echo(head, u, v, w)
    bone_mm = anatomy.skull_distance(u, v, w)
    del u, v, w
    return scan(tissue, bone_mm, axes, spacing_mm, speckle, field)


def phantom_cases(
    root: str | Path,
    num_cases: int,
    size: Sequence[int] = (108, 69, 93),
    spacing_mm: Sequence[float] = (1.5, 1.5, 1.5),
    seed: int = 0,
    bend_degrees: float = 0.0,
    turned: str = "none",
    field: float = 1.0,
) -> list[Case]:
    """Cases of a phantom data set, made on first use.

    Args:
        root: Folder for `images/` and `landmarks/`.
        num_cases: Number of heads; case i has seed ``seed + i``.
        size: Voxels along x, y, z, of a field of 1.
        spacing_mm: Voxel sides in mm.
        seed: Seed of the first head.
        bend_degrees: SD of the angle by which heads are bent along an arc (`draw_head`).
        turned: ``head`` turns heads by any rotation and moves them, within the picture
            (`turned_head`); ``scan`` turns and moves the finished picture (`turned_scan`).
        field: Extent of the volume, and of the probe's sector, relative to `size`.

    Raises:
        ValueError: A setting is impossible, or the folder holds phantoms of other settings.
    """
    _check(seed, size, spacing_mm, bend_degrees, turned, field)
    if num_cases < 1:
        raise ValueError(f"phantom num_cases={num_cases}: give at least 1")
    root = Path(root)
    settings = {
        "version": PHANTOM_VERSION,
        "num_cases": num_cases,
        "size": list(size),
        "spacing_mm": list(spacing_mm),
        "seed": seed,
        "bend_degrees": bend_degrees,
        **without_later_defaults({"turned": turned, "field": field}),
    }
    _claim(root, settings)
    ways: dict[str, Any] = {"bend_degrees": bend_degrees, "turned": turned, "field": field}

    def write(index: int) -> None:
        image = root / "images" / f"head_{index:03d}.nii.gz"
        markups = root / "landmarks" / f"head_{index:03d}.mrk.json"
        if not image.is_file() or not markups.is_file():
            phantom = make_phantom(seed + index, size, spacing_mm, **ways)
            with whole_file(image) as temporary:
                nib.save(nib.Nifti1Image(phantom.volume, phantom.affine), temporary)
            write_landmarks(markups, LandmarkSet.of(phantom.names, phantom.landmarks_world))

    with ThreadPoolExecutor(WRITERS) as pool:
        written = pool.map(write, range(num_cases))
        with progress_bar(written, "making phantoms", num_cases) as counted:
            for _ in counted:
                pass
    return find_cases(root)


def _check(
    seed: int,
    size: Sequence[int],
    spacing_mm: Sequence[float],
    bend_degrees: float,
    turned: str,
    field: float,
) -> None:
    """Validate the settings of a phantom."""
    if seed < 0:
        raise ValueError(f"phantom seed={seed}: give 0 or more")
    fits = len(size) == len(spacing_mm) == 3 and np.isfinite([*size, *spacing_mm]).all()
    if not fits or min(*size, *spacing_mm) <= 0 or any(n % 1 for n in size):
        raise ValueError(
            f"phantom size={list(size)} spacing_mm={list(spacing_mm)}: "
            "give three positive numbers each, whole ones for the size"
        )
    if not is_number(bend_degrees) or not 0 <= bend_degrees <= anatomy.MOST_DEGREES:
        raise ValueError(f"phantom bend_degrees={bend_degrees}: give 0 to {anatomy.MOST_DEGREES:g}")
    if turned not in TURNED:
        raise ValueError(f"phantom turned={turned}: give one of {', '.join(TURNED)}")
    if not is_number(field) or not 1 <= field <= MOST_FIELD:
        raise ValueError(f"phantom field={field}: give 1 to {MOST_FIELD:g}")


def _claim(root: Path, settings: dict[str, object]) -> None:
    """Record the settings in a new folder; raise ValueError if it holds something else.

    Jobs of a sweep may do so at once: hidden files are those that others are writing.
    """
    record = root / "phantom.json"
    if record.is_file():
        if _recorded(record) != settings:
            other = f"data.root={root}: holds phantoms of other settings"
            raise ValueError(f"{other}; give another folder or delete it")
    elif root.is_dir() and any(not path.name.startswith(".") for path in root.iterdir()):
        raise ValueError(f"data.root={root}: is not empty and holds no phantoms; give a new folder")
    else:
        root.mkdir(parents=True, exist_ok=True)
        write_text(record, json.dumps(settings))


def _recorded(record: Path) -> object:
    try:
        return {"bend_degrees": 0, **json.loads(record.read_text("utf-8"))}  # absent in old ones
    except (ValueError, TypeError):  # truncated
        return None


def _affine(
    rng: np.random.Generator,
    size: Sequence[int],
    spacing_mm: Sequence[float],
    oblique_degrees: float,
) -> Float64[np.ndarray, "4 4"]:
    """Affine with an arbitrary origin, as scanners write it, and a given obliqueness."""
    axis, origin = rng.normal(size=(2, 3))
    rotation = Rotation.from_rotvec(np.deg2rad(oblique_degrees) * axis / np.linalg.norm(axis))
    affine = np.eye(4)
    affine[:3, :3] = rotation.as_matrix() * np.array(spacing_mm)
    affine[:3, 3] = 40 * origin - affine[:3, :3] @ ((np.array(size) - 1) / 2)
    return affine
