"""Landmarks that a client gives, validated against the volume that they are of."""

import numpy as np
from nibabel.affines import apply_affine

from pin_lightning.annotation.answers import Given
from pin_lightning.annotation.points import Point, Points, Position
from pin_lightning.annotation.session import Session
from pin_lightning.data.scan_levels import scan_to_world

FAR_EXTENTS, FAR_MM = 2.0, 10.0  # from the centre of a scan, in its longest sides, and beyond


def points_given(session: Session, key: str, given: Given) -> Points:
    """Points of a request.

    Raises:
        ValueError: A landmark is not known, is given twice, is placed and missing, or lies far
            from the scan.
    """
    known, points = set(session.points(key)) | set(session.names), dict[str, Point]()
    for one in given.landmarks:
        if one.name not in known:
            raise ValueError(f"landmarks: there is no landmark {one.name!r}")
        if one.name in points:
            raise ValueError(f"landmarks: {one.name!r} is given twice")
        if one.missing and one.position is not None:
            raise ValueError(f"landmarks: {one.name!r} is placed and missing; give one of them")
        points[one.name] = Point(one.position, one.missing)
    placed = [one.position for one in points.values() if one.position is not None]
    _check_near(session, key, placed)
    return points


def _check_near(session: Session, key: str, placed: list[Position]) -> None:
    try:
        shape, affine = session.scans.header(session.scans[key])
    except ValueError:  # of a file that has gone: what was done with it is saved nevertheless
        return
    to_scan = np.linalg.inv(scan_to_world(affine, shape))
    sides_mm = np.linalg.norm(affine[:3, :3], axis=0) * shape
    most_mm = FAR_EXTENTS * float(sides_mm.max()) + FAR_MM
    far = np.abs(apply_affine(to_scan, np.array(placed).reshape(-1, 3))) > most_mm
    if far.any():
        raise ValueError(f"landmarks: a position is over {most_mm:.0f} mm from the scan's centre")
