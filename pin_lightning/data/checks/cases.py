"""Checks of a data set: landmarks against headers, names, spacing, intensities, duplicate images.

Each takes the inspected cases, or facts of their images by case, and returns its findings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64
from nibabel.affines import apply_affine, voxel_sizes
from scipy.spatial.distance import pdist, squareform

from pin_lightning.common.geometry import flip_lps_ras
from pin_lightning.common.names import probable_names
from pin_lightning.data.checks.robust_statistics import ROBUST_SDS, robust_sd
from pin_lightning.data.images.reading import Header
from pin_lightning.data.inspection import Inspected
from pin_lightning.data.volume_facts import VolumeFacts

EDGE_VOXELS = 0.5 + 1e-6  # beyond the outer voxel centres, with a margin for rounding
SHARE_INSIDE = 0.9  # of the landmarks that an explanation has to put inside
SAME_VOXELS, NEAR_VOXELS = 1e-3, 0.25  # of the finest voxel side
FACTOR_WRONG, FACTOR_ODD = 10, 2
FEWEST_FOR_MEDIAN, FEWEST_FOR_SPREAD = 3, 5  # cases
SHARE_OF_RANGE = 0.25
SHARE_OF_VOLUME = 0.25  # least extent of landmarks in voxel indices along one axis
MOST_LISTED = 6
CORRECT_FRAME = "correct the file's coordinate system, or data.frame where files do not say"

Points = Float64[np.ndarray, "L 3"]


@dataclass(frozen=True)
class Finding:
    """An error or a warning about a data set.

    Attributes:
        level: "error" or "warning".
        case: Case name; empty if it concerns the data set.
        landmark: Landmark name; empty if it concerns the case.
        message: One line: the problem and what to do.
    """

    level: str
    case: str
    landmark: str
    message: str

    def __str__(self) -> str:
        return f"{self.case}: {self.message}" if self.case else self.message


def outside(inspected: Sequence[Inspected]) -> list[Finding]:
    """Find landmarks outside the volume: one error per case, with the likeliest explanation."""
    found = []
    for one in inspected:
        points_world = one.landmarks.positions_world[one.landmarks.defined]
        inside = _inside(_to_ijk(points_world, one.header), one.header)
        if not inside.all():
            defined = one.landmarks.defined_names
            lost = [name for name, is_in in zip(defined, inside, strict=True) if not is_in]
            said = (
                f"{len(lost)} of {len(defined)} landmarks lie outside the volume: {listed(lost)}; "
                f"{_explanation(points_world, one.header, int(inside.sum()))}"
            )
            found.append(Finding("error", one.case.name, lost[0] if len(lost) == 1 else "", said))
    return found


def coincident(inspected: Sequence[Inspected]) -> list[Finding]:
    """Find coincident landmarks (errors), and those within a quarter voxel (warnings)."""
    found = []
    for one in inspected:
        side_mm = float(voxel_sizes(one.header[1]).min())
        apart_mm = squareform(pdist(one.landmarks.positions_world))  # NaN compares as apart
        apart_mm[np.tril_indices(len(apart_mm))] = np.inf
        same = apart_mm <= SAME_VOXELS * side_mm
        near = (apart_mm <= NEAR_VOXELS * side_mm) & ~same
        for level, pairs, place in (
            ("error", np.argwhere(same), "at the same place"),
            ("warning", np.argwhere(near), "less than a quarter voxel apart"),
        ):
            called = [" and ".join(one.landmarks.names[i] for i in pair) for pair in pairs]
            landmark = one.landmarks.names[pairs[0][0]] if len(pairs) == 1 else ""
            if called:
                said = f"{listed(called)} lie {place}; move or remove one of them"
                found.append(Finding(level, one.case.name, landmark, said))
    return found


def names(inspected: Sequence[Inspected]) -> list[Finding]:
    """Find probable misspellings and landmarks without any position; sum up what is missing."""
    meant = probable_names({one.case.name: one.landmarks.names for one in inspected})
    found = [
        Finding("error", case, name, f"name {name} is probably {other}; correct it in the file")
        for (case, name), other in meant.items()
    ]
    known = dict.fromkeys(name for one in inspected for name in one.landmarks.names)
    placed = {(one.case.name, n) for one in inspected for n in one.landmarks.defined_names}
    nowhere = known.keys() - {name for _, name in placed}
    advice = "has a position in no case: left out; place it, or take it out of the files"
    found += [Finding("warning", "", n, f"landmark {n} {advice}") for n in known if n in nowhere]
    # Missing landmarks, once misspellings are corrected.
    expected = [name for name in known if name not in nowhere | {name for _, name in meant}]
    placed |= {(case, other) for (case, name), other in meant.items() if (case, name) in placed}
    return found + _missing([one.case.name for one in inspected], expected, placed)


def spacing(inspected: Sequence[Inspected]) -> list[Finding]:
    """Find voxel sides and extents far from the median of at least three cases."""
    if len(inspected) < FEWEST_FOR_MEDIAN:
        return []
    sides_mm = np.array([voxel_sizes(one.header[1]) for one in inspected])
    longest_mm = (sides_mm * np.array([one.header[0] for one in inspected])).max(axis=1)
    sizes_mm = np.stack([sides_mm.min(axis=1), longest_mm], axis=1)
    medians = np.median(sizes_mm, axis=0)
    factors = np.maximum(sizes_mm / medians, medians / sizes_mm)
    found = []
    for one, sizes, factor in zip(inspected, sizes_mm, factors, strict=True):
        worst, wrong = int(factor.argmax()), bool(factor.max() > FACTOR_WRONG)
        if factor.max() > FACTOR_ODD:
            said = (
                f"{('finest voxel side', 'longest side')[worst]} {sizes[worst]:.3g} mm, typically "
                f"{medians[worst]:.3g} mm; {'is the unit mm?' if wrong else 'check its header'}"
            )
            found.append(Finding("error" if wrong else "warning", one.case.name, "", said))
    return found


def intensities(facts: Mapping[str, VolumeFacts]) -> list[Finding]:
    """Find intensity windows far from the median of at least five cases."""
    if len(facts) < FEWEST_FOR_SPREAD:
        return []
    windows = np.array([[fact.low, fact.high - fact.low] for fact in facts.values()])
    low, width = np.median(windows, axis=0)
    limits = np.maximum(ROBUST_SDS * robust_sd(windows), SHARE_OF_RANGE * width)
    odd = (np.abs(windows - (low, width)) > limits).any(axis=1)
    found = []
    for (case, fact), is_odd in zip(facts.items(), odd, strict=True):
        if is_odd:
            said = (
                f"intensities from {fact.low:.4g} to {fact.high:.4g}, typically from {low:.4g} to "
                f"{low + width:.4g}; check that it is the same kind of image in the same units"
            )
            found.append(Finding("warning", case, "", said))
    return found


def same_images(facts: Mapping[str, VolumeFacts], subjects: Mapping[str, str]) -> list[Finding]:
    """Find cases with the same image: an error, within a subject a warning."""
    first: dict[str, str] = {}
    found = []
    for case, fact in facts.items():
        other = first.setdefault(fact.digest, case)
        if other != case:
            same_subject = subjects[case] == subjects[other]
            harm = "it counts twice" if same_subject else "it can leak from training into test"
            said = f"is the same image as case {other}; keep one, {harm}"
            found.append(Finding("warning" if same_subject else "error", case, "", said))
    return found


def listed(items: Sequence[str]) -> str:
    """Join items in one line, of many the first six.

    >>> listed("abcdefgh")
    'a, b, c, d, e, f and 2 more'
    """
    rest = len(items) - MOST_LISTED
    return ", ".join(items[:MOST_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def _to_ijk(points_world: Points, header: Header) -> Points:
    return apply_affine(np.linalg.inv(header[1]), points_world)


def _inside(points_ijk: Points, header: Header) -> Bool[np.ndarray, " L"]:
    last = np.array(header[0]) - 1
    within = (points_ijk >= -EDGE_VOXELS) & (points_ijk <= last + EDGE_VOXELS)
    return np.asarray(within.all(axis=1))


def _explanation(points_world: Points, header: Header, inside: int) -> str:
    """Advice: the likeliest misreading that would put far more landmarks inside, if any."""
    readings = _readings(points_world, header)
    counts = [(int(_inside(ijk, header).sum()), words) for words, ijk in readings]
    best, words = max(counts, key=lambda pair: pair[0])  # the first of the best
    if best <= inside or best < SHARE_INSIDE * len(points_world):
        if inside >= SHARE_INSIDE * len(points_world):
            return "place what lies outside again, or remove it from the file"
        return "check that image and landmarks belong together, and that both are in mm"
    return words.format(f"{best} of {len(points_world)}")


def _readings(points_world: Points, header: Header) -> list[tuple[str, Points]]:
    """Voxel indices of the landmarks under each possible misreading of their file."""
    flipped = flip_lps_ras(points_world)
    mix_up = f"a probable RAS/LPS mix-up: negating x and y puts {{}} inside; {CORRECT_FRAME}"
    indices = "probably voxel indices, as which {} lie inside: give data.frame=voxel, or correct"
    indices += " the file if it says RAS or LPS"
    readings = [(mix_up, _to_ijk(flipped, header))]
    # Voxel indices span the anatomy; a small extent means millimetres in a corner of the volume.
    if (np.ptp(points_world, axis=0) > SHARE_OF_VOLUME * np.array(header[0])).any():
        readings += [(indices, points_world), (indices, flipped)]
    for axes in ("x", "y", "z", "xz", "yz", "xyz"):
        signs = np.array([-1.0 if axis in axes else 1.0 for axis in "xyz"])
        words = f"negating {' and '.join(axes)} puts {{}} inside; correct the signs in the file"
        readings.append((words, _to_ijk(points_world * signs, header)))
    return readings


def _missing(
    cases: Sequence[str], expected: Sequence[str], placed: set[tuple[str, str]]
) -> list[Finding]:
    """Sum up missing landmarks in one warning."""
    lacking = {case: sum((case, name) not in placed for name in expected) for case in cases}
    absent = {name: sum((case, name) not in placed for case in cases) for name in expected}
    short = [f"{case} {count}" for case, count in _largest(lacking)]
    if not short:
        return []
    often = [f"{name} in {count}" for name, count in _largest(absent)]
    said = (
        f"{len(short)} of {len(cases)} cases lack some of {len(expected)} landmarks: "
        f"{listed(short)}; most often missing: {listed(often)}"
    )
    return [Finding("warning", "", "", said)]


def _largest(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(((k, n) for k, n in counts.items() if n), key=lambda pair: -pair[1])
