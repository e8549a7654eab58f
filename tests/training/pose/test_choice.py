import pytest

from conftest import composed
from pin_lightning.data.framing import AsScanned, ByLandmarks, InAnatomy
from pin_lightning.training.pose.choice import check_pose, framing_of

DATA = ["data=folder", "data.root=somewhere", "run_name=test", "run_dir=unused"]


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (["preset=fast"], "find"),
        (["preset=accurate"], "find"),
        (["model=multi"], "auto"),
        (["model=single", "model.landmark=a"], "auto"),
        (["preset=fast", "pose=as_scanned"], "as_scanned"),
        (["experiment=paper"], "as_scanned"),
        (["experiment=table1"], "as_scanned"),
        (["experiment=table2"], "as_scanned"),
        (["experiment=alpha"], "as_scanned"),
    ],
)
def test_who_finds_the_pose(given, kind):
    assert composed(*DATA, *given).pose.kind == kind


@pytest.mark.parametrize(
    ("pose", "made"), [("as_scanned", AsScanned), ("find", InAnatomy), ("auto", ByLandmarks)]
)
def test_what_chooses_the_frame(pose, made):
    assert type(framing_of(composed(*DATA, f"pose={pose}"))) is made


@pytest.mark.parametrize(
    ("given", "covered"),
    [
        ([], 40),
        (["augmentation=strong"], 40),
        (["augmentation=strong", "augmentation.rotation_sd_degrees=20"], 60),
        (["pose.covered_degrees=5"], 5),
    ],
)
def test_rotations_that_a_training_covers(given, covered):
    config = composed(*DATA, "model=multi", *given)
    assert framing_of(config).covered_degrees == covered


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("pose.kind=guess", "pose.kind=guess: give one of as_scanned, find, auto"),
        ("pose.rotations=some", "pose.rotations=some: give any or upright"),
        ("pose.num_rotations=30", "pose.num_rotations=30: give 24 or 60"),
        ("pose.landmarks=2", "pose.landmarks=2"),
        ("pose.landmarks=9999", "pose.landmarks=9999: give at most 256"),
        ("pose.patch_side=24", "pose.patch_side=24: give an odd number"),
        ("pose.patch_side=1001", "pose.patch_side=1001"),
        ("pose.steps=0", "pose.steps=0"),
        ("pose.batch_size=1.5", "pose.batch_size=1.5"),
        ("pose.calibration_folds=-1", "pose.calibration_folds=-1"),
        ("pose.spacings=[]", "pose.spacings="),
        ("pose.spacings=[0.1,0.02]", "the finest first"),
        ("pose.spacings=[2,4]", "pose.spacings="),
        ("pose.run=nowhere", "nowhere"),
    ],
)
def test_wrong_settings_are_named(setting, message):
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        check_pose(composed(*DATA, "preset=fast", setting))


def test_settings_of_a_pose_that_is_not_looked_for_do_not_matter():
    check_pose(composed(*DATA, "pose=as_scanned", "pose.landmarks=2"))
