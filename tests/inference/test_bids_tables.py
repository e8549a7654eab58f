"""Tables, sidecars and descriptions by hand."""

import json
from dataclasses import replace

import numpy as np
from bids_data import IMAGES, write_bids
from inference.headers import header_of

from pin_lightning.evaluation.conformal import Calibration, ConformalSettings
from pin_lightning.inference.bids.data_set import write_data_set
from pin_lightning.inference.bids.tables import columns_of, described, rows_of, tsv_text
from pin_lightning.runs.doubts import Reviewed, ReviewedPose


def volume(**other):
    positions, spread = np.array([[1.0, -2.00004, 3], [np.nan, 0, 0]]), np.array([0.5, 2.0])
    outside = np.array([False, True])
    return replace(Reviewed("a", "a.nii", positions, spread, None, outside), **other)


def table(one, header):
    return tsv_text(columns_of(header), rows_of(one, header)).splitlines()


def test_a_row_for_each_landmark_by_hand():
    assert table(volume(), header_of()) == [
        "label\tx\ty\tz\tspread_mm\tstatus\tremarks",
        "tip\t1.0000\t-2.0000\t3.0000\t0.5000\tfound\tn/a",
        "base\tn/a\tn/a\tn/a\tn/a\toutside\toutside the scan",
    ]


def test_names_and_remarks_stay_in_their_cells():
    one = volume(remarks=("contrast: inverted",))
    rows = table(one, header_of(names=("the\ttip", "=base")))[1:]
    assert [row.split("\t")[0] for row in rows] == ["the tip", "'=base"]
    assert rows[1].endswith("\toutside\toutside the scan; unlike the training (contrast)")


def test_radii_and_review_by_hand():
    arrays = (np.ones(2), np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    bars = Calibration(ConformalSettings(), ("tip", "base"), 9, *arrays)
    inside = volume(
        outside=np.zeros(2, bool), positions_world=np.ones((2, 3)), spread_mm=np.array([9.0, 2.0])
    )
    header = header_of(calibration=bars)
    radii = bars.radius_mm(inside.spread_mm)
    first, tip, base = table(inside, header)
    assert first == "label\tx\ty\tz\tspread_mm\tradius_mm\tstatus\tremarks"
    assert tip == f"tip\t1.0000\t1.0000\t1.0000\t9.0000\t{radii[0]:.4f}\treview\tn/a"
    assert base == f"base\t1.0000\t1.0000\t1.0000\t2.0000\t{radii[1]:.4f}\tfound\tn/a"
    assert "90 % of cases" in described(header)["radius_mm"]["Description"]


def test_an_uncertain_pose_is_to_be_reviewed():
    rows = table(volume(pose=ReviewedPose(1.0, np.inf, True)), header_of(with_pose=True))
    assert rows[1].endswith("\treview\tpose uncertain")
    assert rows[2].endswith("\toutside\tpose uncertain; outside the scan")


def test_the_sidecar_describes_every_column():
    arrays = (np.ones(2), np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    for calibration in (None, Calibration(ConformalSettings(), ("tip", "base"), 9, *arrays)):
        header = header_of(calibration=calibration)
        about = described(header)
        assert all("Description" in about[column] for column in columns_of(header))
        assert about["AnatomicalLandmarkCoordinateUnits"] == about["x"]["Units"] == "mm"


def test_the_description_of_the_derivatives(tmp_path):
    root = write_bids(tmp_path / "my heads", IMAGES[:1])
    output = root / "derivatives" / "pin"
    output.mkdir(parents=True)
    (output / ".bidsignore").write_text("own/")
    (output / "README.md").write_text("mine")
    write_data_set(output, root, header_of())
    said = json.loads((output / "dataset_description.json").read_text("utf-8"))
    (by,) = said.pop("GeneratedBy")
    assert (by["Name"], by["Version"]) == ("pin-lightning", "0.1.0")
    assert by["Description"] == f"Run one, fingerprint {'f' * 32}"
    doi = "https://doi.org/10.1/heads"
    assert said == {
        "Name": "Landmarks of Heads",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "DatasetLinks": {"raw": "../.."},
        "SourceDatasets": [{"URL": doi, "DOI": doi}],
    }
    assert (output / ".bidsignore").read_text() == "own/\n*_afids.*\npredictions\n"
    assert (output / "README.md").read_text() == "mine"
    write_data_set(output, root, header_of())
    assert (output / ".bidsignore").read_text() == "own/\n*_afids.*\npredictions\n"
    (root / "dataset_description.json").write_text("{")
    elsewhere = tmp_path / "out"
    elsewhere.mkdir()
    write_data_set(elsewhere, root, header_of())
    said = json.loads((elsewhere / "dataset_description.json").read_text("utf-8"))
    assert (said["Name"], said["DatasetLinks"]) == ("Landmarks", {"raw": "../my%20heads"})
    assert "SourceDatasets" not in said
