"""Landmarks of an image by `localizer.onnx`: without PyTorch, and without this package.

    pip install nibabel numpy onnxruntime scipy
    python onnx_landmarks.py localizer.onnx scan.nii.gz --markups scan.mrk.json

prints a CSV (world RAS+ mm) and, where asked, writes a point list for 3D Slicer. All it needs to
know is in the file's metadata. Files of a run that finds the pose first take scans in any
orientation; pose.onnx has to lie beside localizer.onnx, `onnx_pose.py` and `onnx_window.py` beside
this script. `docs/deployment.md` says what a program in another language has to do.
"""

import argparse
import csv
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import onnxruntime
from nibabel import orientations
from nibabel.filebasedimages import ImageFileError
from onnx_pose import Found, PoseStep, find, scan_levels
from onnx_window import rescaled, window, without_metal
from scipy import ndimage

FORMAT_VERSIONS = ("1", "3")  # 3: in the frame of the anatomy, whose pose is found first
SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/"
    "Resources/Schema/markups-schema-v1.0.3.json#"
)


@dataclass(frozen=True)
class Landmarks:
    """Landmarks of one image.

    Attributes:
        names: Their names.
        positions_world: World RAS+ mm [L, 3].
        spread_mm: Root-mean-square distance of the starts from them [L].
        radius_mm: Radius that holds the true landmark with the coverage of the file's error bars
            [L]; none where it has none.
        outside: Whether each lies outside the scan [L]: such places are guesses.
        pose: Pose of the anatomy, of a file that needs it.
        settled: Whether the starts agree as in training, as far as the file says: where they do
            not, the landmarks may be elsewhere.
    """

    names: list[str]
    positions_world: np.ndarray
    spread_mm: np.ndarray
    radius_mm: np.ndarray | None
    outside: np.ndarray
    pose: Found | None
    settled: bool

    @property
    def doubts(self) -> list[str]:
        """Why all of them may be elsewhere, in words."""
        pose = self.pose is not None and self.pose.uncertain
        return ["pose uncertain"] * pose + ["starts disagree"] * (not self.settled)


class Localizer:
    """`localizer.onnx`, ready for any number of images.

    Args:
        path: The file. Those of the pose lie beside it.

    Raises:
        ValueError: It is not one that this script reads, or a file of the pose is missing.
    """

    def __init__(self, path: str) -> None:
        try:
            self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has many kinds
            raise ValueError(f"{path}: cannot be read as an ONNX file") from error
        entries = self.session.get_modelmeta().custom_metadata_map
        version = entries.get("format_version")
        if version not in FORMAT_VERSIONS or self.session.get_inputs()[0].name != "volume":
            known = " or ".join(FORMAT_VERSIONS)
            raise ValueError(f"{path}: is no localizer.onnx of format_version {known}")
        self.about = {key: json.loads(value) for key, value in entries.items()}
        files = self.about.get("poses", [])
        if self.about.get("frame", "image") != "image" and not files:
            raise ValueError(f"{path}: names no file that finds the frame it works in")
        self.poses = [PoseStep(Path(path).with_name(Path(name).name)) for name in files]

    def find(self, path: str) -> Landmarks:
        """Landmarks of a NIfTI or MGH image.

        Raises:
            ValueError: It is not a 3D image with contrast and one position in space.
        """
        voxels, affine = read_image(path)
        low_high = window(voxels, self.about["preprocessing"])
        voxels = without_metal(voxels, low_high, self.about["preprocessing"])
        size = self.about["grid"]["size"]
        to_world, pose = self.place(voxels, affine, low_high)
        volume = working_volume(voxels, affine, to_world, size, low_high)
        outputs = ["landmarks_mm", "spread_mm", "starts_mm"]
        found = self.session.run(outputs, {"volume": volume[None]})
        landmarks_mm, spread_mm, starts_mm = (one[0].astype(float) for one in found)
        ijk = landmarks_mm / self.about["grid"]["spacing_mm"] + (np.array(size) - 1) / 2
        world = ijk @ to_world[:3, :3].T + to_world[:3, 3]
        if pose is not None:
            spread_mm = spread_mm * pose.scale
        radius_mm = radii(spread_mm, self.about.get("error_bars"))
        voxel = (world - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
        outside = ((voxel < -0.5) | (voxel > np.array(voxels.shape) - 0.5)).any(axis=1)
        most_mm = self.about.get("most_apart_mm", np.inf)
        settled = apart_mm(starts_mm, len(self.about["localizers"])) <= most_mm
        names = self.about["landmarks"]
        return Landmarks(names, world, spread_mm, radius_mm, outside, pose, settled)

    def place(
        self, voxels: np.ndarray, affine: np.ndarray, low_high: tuple[float, float]
    ) -> tuple[np.ndarray, Found | None]:
        """Voxel index of the working volume to world RAS+ mm, and the pose where it is found."""
        size, spacing_mm = self.about["grid"]["size"], self.about["grid"]["spacing_mm"]
        if not self.poses:
            return grid_affine(affine, voxels.shape, size, spacing_mm), None
        spacings_mm = self.poses[0].about["spacings_mm"]
        pose = find(self.poses, scan_levels(voxels, affine, low_high, spacings_mm))
        to_anatomy = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
        to_anatomy[:3, 3] = -spacing_mm * (np.array(size) - 1) / 2
        scan_to_world = grid_affine(affine, voxels.shape, (1, 1, 1), 1.0)
        return scan_to_world @ pose.matrix @ to_anatomy, pose


def read_image(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Voxels along the image's own axes, and voxel index to world RAS+ mm.

    Raises:
        ValueError: It is not a 3D image with contrast and one position in space.
    """
    image: Any = nib.load(path)
    voxels = np.asarray(image.dataobj)
    if set(voxels.shape[3:]) == {1}:  # one frame
        voxels = voxels.reshape(voxels.shape[:3])
    usable = voxels.dtype.kind in "iuf" and voxels.ndim == 3  # no colours
    if not usable or not np.isfinite(voxels).all() or voxels.min() == voxels.max():
        raise ValueError(f"{path}: is no 3D image of finite numbers with contrast")
    if isinstance(image, nib.Nifti1Pair):
        check_place(path, image)
    return voxels, image.affine


def check_place(path: str, image: Any) -> None:
    """Check that a NIfTI is in millimetres, and has one position in space.

    Raises:
        ValueError: It has not.
    """
    if (unit := image.header.get_xyzt_units()[0]) not in ("mm", "unknown"):
        raise ValueError(f"{path}: its units are {unit}; save it in millimetres")
    forms = [image.get_sform(coded=True)[0], image.get_qform(coded=True)[0]]
    known = [one for one in forms if one is not None]
    if not known:
        raise ValueError(f"{path}: has neither sform nor qform; save it with a position in space")
    corners = np.stack(np.meshgrid(*((0, n - 1) for n in image.shape[:3])), -1).reshape(-1, 3)
    placed = [corners @ one[:3, :3].T + one[:3, 3] for one in known]
    apart_mm = np.linalg.norm(placed[0] - placed[-1], axis=1).max()
    if not apart_mm <= min(image.header.get_zooms()[:3]):
        raise ValueError(f"{path}: sform and qform are {apart_mm:.3g} mm apart; make them agree")


def grid_affine(
    affine: np.ndarray, shape: Sequence[int], size: Sequence[int], spacing_mm: float
) -> np.ndarray:
    """Voxel index of the working volume to world RAS+ mm.

    It has the directions of the image, reordered and flipped to the closest RAS, and its centre.
    """
    left, _, right = np.linalg.svd(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))
    rotation = np.eye(4)
    rotation[:3, :3] = left @ right  # the closest one, where the image is sheared
    directions = np.empty((3, 3))
    for axis, (target, sign) in enumerate(orientations.io_orientation(rotation)):
        directions[:, int(target)] = sign * rotation[:3, axis]
    centre = affine[:3, :3] @ ((np.array(shape) - 1) / 2) + affine[:3, 3]
    found = np.eye(4)
    found[:3, :3] = directions * spacing_mm
    found[:3, 3] = centre - found[:3, :3] @ ((np.array(size) - 1) / 2)
    return found


def working_volume(
    voxels: np.ndarray,
    affine: np.ndarray,
    to_world: np.ndarray,
    size: Sequence[int],
    low_high: tuple[float, float],
) -> np.ndarray:
    """8-bit volume on the working grid, as the network was trained on.

    Args:
        voxels: Of the image.
        affine: Its voxel index to world.
        to_world: Voxel index of the working volume to world.
        size: Voxels of the working volume.
        low_high: Intensities that become 0 and 255.
    """
    scaled = rescaled(voxels, *low_high)
    sides_mm = np.linalg.norm(affine[:3, :3], axis=0)
    ratio = np.maximum(np.linalg.norm(to_world[:3, 0]) / sides_mm, 1)
    for axis, sigma in enumerate(np.sqrt((ratio**2 - 1) / (8 * np.log(2)))):
        if sigma > 0.1:
            scaled = ndimage.gaussian_filter1d(scaled, sigma, axis, mode="nearest")
    i, j, k = np.ogrid[tuple(slice(side) for side in size)]
    to_image = np.linalg.inv(affine) @ to_world
    at = np.stack([row[0] * i + row[1] * j + row[2] * k + row[3] for row in to_image[:3]])
    resampled = ndimage.map_coordinates(scaled, at, order=1, mode="nearest")
    outside = (at < -0.5) | (at > np.reshape(scaled.shape, (3, 1, 1, 1)) - 0.5)
    resampled[outside.any(axis=0)] = 0
    return np.clip(np.round(resampled), 0, 255).astype(np.uint8)


def radii(spread_mm: np.ndarray, bars: Mapping[str, Any] | None) -> np.ndarray | None:
    """Radii that hold the true landmarks, where the file has error bars."""
    if bars is None:
        return None
    scale_mm = np.maximum(bars["usual_error_mm"], bars["spread_weight"] * spread_mm)
    return np.array(bars["factor"]) * scale_mm


def apart_mm(starts_mm: np.ndarray, localizers: int) -> float:
    """How far starts end from the mean of their own localizer: the median over landmarks.

    Args:
        starts_mm: Where the starts of all localizers ended [S, L, 3].
        localizers: Number of localizers.
    """
    each = starts_mm.reshape(localizers, -1, *starts_mm.shape[1:])
    squares = ((each - each.mean(axis=1, keepdims=True)) ** 2).sum(axis=-1)
    return float(np.sort(np.sqrt(squares.mean(axis=(0, 1))))[(squares.shape[-1] - 1) // 2])


def print_table(found: Landmarks) -> None:
    """Print a CSV, world RAS+ mm; without coordinates where a landmark lies outside the scan."""
    bars = [] if found.radius_mm is None else [found.radius_mm]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["landmark", "x", "y", "z", "spread_mm", *["radius_mm" for _ in bars]])
    columns = np.column_stack([found.positions_world, found.spread_mm, *bars])
    for name, row, outside in zip(found.names, columns, found.outside, strict=True):
        cells = [f"{value:.4f}" for value in row]
        writer.writerow([name, *([""] * 3 if outside else cells[:3]), *cells[3:]])


def write_markups(path: Path, found: Landmarks) -> None:
    """Write a point list that 3D Slicer opens, whole or not at all: LPS, so x and y change sign."""
    points = []
    for index, name in enumerate(found.names):
        reasons = list(found.doubts)
        point: dict[str, Any] = {"id": str(index + 1), "label": name, "positionStatus": "missing"}
        if found.outside[index]:
            reasons.append("outside the scan")
        else:
            point["positionStatus"] = "defined"
            point["position"] = (found.positions_world[index] * [-1, -1, 1]).tolist()
        points.append(point | ({"description": ", ".join(reasons)} if reasons else {}))
    markup = {"type": "Fiducial", "coordinateSystem": "LPS", "coordinateUnits": "mm"}
    content = {"@schema": SCHEMA, "markups": [{**markup, "controlPoints": points}]}
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def main() -> None:
    """Print the landmarks of one image."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("model", help="localizer.onnx")
    parser.add_argument("image", help=".nii, .nii.gz, .mgh or .mgz")
    parser.add_argument("--markups", metavar="FILE", help=".mrk.json for 3D Slicer")
    asked = parser.parse_args()
    try:
        found = Localizer(asked.model).find(asked.image)
        print_table(found)
        if found.doubts:
            pose = found.pose
            numbers = pose and f" (score {pose.score:.2f}, lead {pose.lead:.2f})"
            print(f"{asked.image}: {', '.join(found.doubts)}{numbers or ''}", file=sys.stderr)
        if asked.markups:
            write_markups(Path(asked.markups), found)
    except (ValueError, OSError, ImageFileError) as error:
        parser.error(" ".join(str(error).split()))


if __name__ == "__main__":
    main()
