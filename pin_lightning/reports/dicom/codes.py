"""Codes of reports: those of the standard, and own ones where it has none.

A private coding scheme begins with 99 (DICOM PS3.3 section 8.2). What a code means stays; what no
longer fits gets a new one.
"""

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

SCHEME = "99PINLIGHTNING"
PROJECT = "PIN-Lightning"

# Finding
LANDMARK = Code("LANDMARK", SCHEME, "Anatomical landmark")
# Measurements
ERROR_RADIUS = Code("ERROR_RADIUS", SCHEME, "Radius that holds the true landmark")
COVERAGE = Code("COVERAGE", SCHEME, "Share of true landmarks within their radius")
START_SPREAD = Code("START_SPREAD", SCHEME, "Spread over starts")
# Qualitative evaluations: for review is yes or no, a remark one of those below
FOR_REVIEW = Code("FOR_REVIEW", SCHEME, "To be looked at by a person")
REMARK = Code("REMARK", SCHEME, "Remark on a predicted position")
OUTSIDE = Code("OUTSIDE", SCHEME, "Not found: outside the scan")
POSE_UNCERTAIN = Code("POSE_UNCERTAIN", SCHEME, "Pose uncertain")
NEAR_BORDER = Code("NEAR_BORDER", SCHEME, "Near the border of the scan")
UNLIKE_TRAINING = Code("UNLIKE_TRAINING", SCHEME, "Volume unlike the training")

# Of CID 100, by the modality of the series; others are ImagingProcedure.
PROCEDURES = {
    "CT": codes.cid100.CTUnspecifiedBodyRegion,
    "MR": codes.cid100.MRIUnspecifiedBodyRegion,
    "PT": codes.cid100.PETUnspecifiedBodyRegion,
    "NM": codes.cid100.NMUnspecifiedBodyRegion,
}


def coding_scheme() -> CodingSchemeIdentificationItem:
    """What `SCHEME` is (DICOM PS3.3 table C.12-1, Coding Scheme Identification Sequence)."""
    return CodingSchemeIdentificationItem(
        designator=SCHEME, name="Codes of PIN-Lightning", responsible_organization=PROJECT
    )


def procedure(modality: str) -> Code:
    """The procedure that was reported on (CID 100)."""
    return PROCEDURES.get(modality, codes.cid100.ImagingProcedure)


def modality_code(modality: str) -> Code | None:
    """The code of a modality (CID 29), if it has one."""
    known = (getattr(codes.cid29, name) for name in codes.cid29.dir())
    return next((one for one in known if one.value == modality), None)
