import json

import numpy as np
import pytest
from inference.headers import header_of

from pin_lightning.common.geometry import Grid
from pin_lightning.evaluation.conformal import Calibration, ConformalSettings
from pin_lightning.inference.header import HEADER, read_header

ARRAYS = (np.array([1.0, 1 / 3]), np.ones(2), np.array([1.0, 4.0]))
BARS = Calibration(ConformalSettings(), ("tip", "base"), 9, *ARRAYS)


def test_it_comes_back_with_its_error_bars(tmp_path):
    assert read_header(tmp_path) is None
    own = header_of(
        **{"planes": ("TV", "TC"), "num_starts": 3, "review_above_mm": 2.5, "calibration": BARS},
        **{"grid": Grid((4, 5, 6), 0.15), "with_pose": True},
    )
    own.write(tmp_path)
    again = read_header(tmp_path)
    for name in ("run", "names", "grid", "with_pose", "settings", "by"):
        assert getattr(again, name) == getattr(own, name)
    assert again.difference(own) is None
    assert again.error_bars.review_above_mm == 2.5
    spread = np.array([0.1, 2.0])
    np.testing.assert_array_equal(
        again.calibration.radius_mm(spread), own.calibration.radius_mm(spread)
    )
    assert header_of().error_bars is None


def test_files_of_a_volume_by_hand():
    own = header_of(format="fcsv", planes=("TV",))
    assert own.files("a") == ["a.fcsv", "a_TV.nii.gz", "a_TV.png"]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"run": "two", "fingerprint": "0"}, "run two"),
        ({"fingerprint": "0"}, "run one (trained again, or another of the same name)"),
        ({"format": "fcsv", "num_starts": 2}, "format=fcsv, num_starts=2"),
        ({"review_above_mm": 1.0}, "review_above_mm=1.0"),
        ({"planes": ("TV",)}, "planes=['TV']"),
        ({"version": "9"}, "version=9"),
    ],
)
def test_differences_are_named_and_mark_records(other, said):
    assert header_of().difference(header_of(**other)) == said
    assert header_of().by != header_of(**other).by


def test_the_name_of_the_folder_is_no_difference():
    assert header_of().difference(header_of(run="moved")) is None
    assert header_of().by == header_of(run="moved").by


def damaged(**other):
    def change(content):
        return {**content, **other}

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda _: [],
        damaged(format_version=3),
        damaged(format="../x"),
        damaged(planes=["a/b"]),
        damaged(size=[1, 2]),
        damaged(spacing_mm=None),
        damaged(calibration={"coverage": 0.9}),
        lambda content: {key: content[key] for key in content if key != "names"},
    ],
)
def test_what_is_damaged_is_refused(tmp_path, change):
    header_of().write(tmp_path)
    content = json.loads((tmp_path / HEADER).read_text("utf-8"))
    (tmp_path / HEADER).write_text(json.dumps(change(content)))
    with pytest.raises(ValueError, match=r"prediction\.json: is damaged"):
        read_header(tmp_path)


@pytest.mark.parametrize("volumes", [{"a": ["../x"]}, {"a": ["/etc/passwd"]}, {"a": 3}, []])
def test_one_of_before_names_no_file_elsewhere(tmp_path, volumes):
    (tmp_path / HEADER).write_text(json.dumps({"format_version": 1, "volumes": volumes}))
    with pytest.raises(ValueError, match=r"prediction\.json: is damaged"):
        read_header(tmp_path)
