import pytest

from pin_lightning.inference.overlap import refuse_overlap


@pytest.fixture
def scans(tmp_path, monkeypatch):
    """Two images, the working directory their folder's parent."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans" / "old").mkdir(parents=True)
    paths = [tmp_path / "scans" / name for name in ("a.nii.gz", "old/b.nii.gz")]
    for path in paths:
        path.touch()
    return paths


@pytest.mark.parametrize(
    ("output", "given", "said"),
    [
        ("scans", "scans/*.nii.gz", r"output=scans: holds the input .*a\.nii\.gz"),
        ("scans/old/../.", "scans/a.nii.gz", "holds the input"),
        ("scans", "scans", "holds the input"),
        ("scans/new", "scans", "output=scans/new: lies within input=scans"),
        ("scans/old/new", ["x", "scans/**/*.nii.gz"], r"lies within input=scans/\*\*"),
        ("new", "**/*.nii.gz", "lies within"),
    ],
)
def test_an_output_folder_among_the_inputs_is_refused(output, given, said, scans):
    with pytest.raises(ValueError, match=said):
        refuse_overlap(output, given, scans)


@pytest.mark.parametrize(
    ("output", "given"),
    [
        ("new", "scans"),
        (".", "scans/*.nii.gz"),
        ("scans/new", "scans/*.nii.gz"),
        ("scans2", "scans/**/*"),
        ("scans2", "scans"),
    ],
)
def test_one_beside_them_is_not(output, given, scans):
    refuse_overlap(output, given, scans)


def test_a_series_may_lie_beside_the_outputs(tmp_path):
    (tmp_path / "series").mkdir()
    refuse_overlap(tmp_path, str(tmp_path / "*"), [tmp_path / "series"])
