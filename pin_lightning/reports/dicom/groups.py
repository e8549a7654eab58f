"""Measurement groups: what a report says of each landmark.

A landmark with a position is a planar region of interest (DICOM PS3.16 TID 1410): its row for
SCOORD3D takes a single point. One that was not found is a group without coordinates (TID 1501).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import highdicom.sr as sr
import numpy as np
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from pin_lightning.common.geometry import flip_lps_ras
from pin_lightning.common.types import Bool, Float
from pin_lightning.reports.dicom import codes as own
from pin_lightning.runs.doubts import Reviewed
from pin_lightning.runs.error_bars import ErrorBars

Group: TypeAlias = (
    sr.PlanarROIMeasurementsAndQualitativeEvaluations | sr.MeasurementsAndQualitativeEvaluations
)
DIGITS = 4  # of mm, as in tables


def landmark_groups(
    one: Reviewed,
    names: Sequence[str],
    error_bars: ErrorBars | None,
    frame_of_reference: str,
    tracking_uid: Callable[[str], str],
) -> Iterator[Group]:
    """Yield a measurement group for each landmark, in their order.

    Args:
        one: The prediction; positions in world RAS+ mm, which become LPS mm, the axes of DICOM.
        names: Names of its landmarks.
        error_bars: Error bars of the run, if it has any.
        frame_of_reference: UID of what the positions of the series refer to.
        tracking_uid: Gives the UID by which a landmark is followed from its name.
    """
    positions_lps = flip_lps_ras(one.positions_world)
    review = _for_review(one, error_bars)
    for number, name in enumerate(names):
        said: dict[str, Any] = {
            "tracking_identifier": sr.TrackingIdentifier(tracking_uid(name), name),
            "finding_type": own.LANDMARK,
            "qualitative_evaluations": _evaluations(one, number, bool(review[number])),
        }
        if one.outside[number]:
            yield sr.MeasurementsAndQualitativeEvaluations(**said)
            continue
        point = sr.ImageRegion3D(
            sr.GraphicTypeValues3D.POINT, positions_lps[None, number], frame_of_reference
        )
        yield sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            **said, referenced_region=point, measurements=_measurements(one, number, error_bars)
        )


def _for_review(one: Reviewed, error_bars: ErrorBars | None) -> Bool[np.ndarray, " L"]:
    if error_bars is None:
        return one.marked
    judged = error_bars.judged(one.spread_mm, one.marked)
    return np.array([review for _, review in judged], dtype=bool)


def _evaluations(one: Reviewed, number: int, review: bool) -> list[sr.QualitativeEvaluation]:
    near = one.near_border is not None and bool(one.near_border[number])
    remarks = {
        own.OUTSIDE: bool(one.outside[number]),
        own.POSE_UNCERTAIN: one.uncertain,
        own.NEAR_BORDER: near,
        own.UNLIKE_TRAINING: bool(one.remarks),
    }
    answer = codes.SCT.Yes if review else codes.SCT.No
    said: list[tuple[Code, Code]] = [(own.FOR_REVIEW, answer)]
    said += [(own.REMARK, remark) for remark, holds in remarks.items() if holds]
    return [sr.QualitativeEvaluation(name, value) for name, value in said]


def _measurements(one: Reviewed, number: int, error_bars: ErrorBars | None) -> list[sr.Measurement]:
    """Numbers with units of UCUM (TID 300)."""
    found = list[sr.Measurement]()
    if one.radius_mm is not None:
        found += [_in_mm(own.ERROR_RADIUS, one.radius_mm, number)]
    if error_bars is not None:
        percent = 100 * error_bars.calibration.settings.coverage
        found += [sr.Measurement(own.COVERAGE, round(percent, DIGITS), codes.UCUM.Percent)]
    return [*found, _in_mm(own.START_SPREAD, one.spread_mm, number)]


def _in_mm(name: Code, values_mm: Float[np.ndarray, " L"], number: int) -> sr.Measurement:
    return sr.Measurement(name, round(float(values_mm[number]), DIGITS), codes.UCUM.Millimeter)
