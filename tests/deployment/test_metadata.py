import json

import numpy as np
import pytest
import torch
from small_finders import small_finder
from small_localizers import NAMES, build, cascade, folds

from pin_lightning.deployment.metadata import metadata, numbers
from pin_lightning.deployment.pose_metadata import pose_metadata
from pin_lightning.evaluation.conformal import ConformalSettings, calibrate
from pin_lightning.method.pose.limits import PoseLimits


def about(kind):
    return {key: json.loads(value) for key, value in metadata(NAMES, [build(kind)]).items()}


def test_names_grid_and_preprocessing():
    found = about("pca")
    assert found["format_version"] == 1
    assert found["landmarks"] == list(NAMES)
    assert found["grid"] == {"size": [20, 17, 14], "spacing_mm": 1.5}
    assert found["preprocessing"]["percentiles"] == [0.5, 99.5]
    assert "b ü" in metadata(NAMES, [build("pca")])["landmarks"]  # readable, not escaped


def test_a_run_that_finds_the_pose_is_of_another_format():
    """A reader of format 1 would take its volumes along the axes of the image."""
    entries = metadata(NAMES, [build("pca")], None, "robust", ["pose.onnx"])
    found = {key: json.loads(value) for key, value in entries.items()}
    assert found["format_version"] == 3
    assert (found["frame"], found["poses"]) == ("anatomical", ["pose.onnx"])
    assert found["preprocessing"]["window"] == "robust"
    assert "percentiles" not in found["preprocessing"]
    plain = about("pca")
    assert (plain["frame"], plain["preprocessing"]["window"]) == ("image", "percentiles")
    assert "poses" not in plain


def test_what_the_search_of_a_pose_needs():
    finder = small_finder(largest_scale=1.35)
    entries = pose_metadata(finder, PoseLimits(-1.0, 0.5), "robust")
    found = json.loads(entries["search"])
    assert json.loads(entries["format_version"]) == 3
    assert json.loads(entries["preprocessing"])["window"] == "robust"
    read = torch.tensor(found["shape_mm"], dtype=torch.float32)
    assert torch.equal(read, finder.mean_mm_[finder.chosen_])
    assert len(found["rotations"]) == 24
    assert found["spacings_mm"] == [2.0, 5.0]
    assert found["limits"] == {"score": -1.0, "lead": 0.5}
    assert found["with_scale"] is True
    first = {"landmarks": 4, "steps": 1, "kept": 64, "turned_over": 0, "rescored": False}
    assert found["rounds"][0] == first
    assert [one["turned_over"] for one in found["rounds"]] == [0, 0, 4, 0]
    turns, centre = np.array(found["half_turns"]), np.array(found["turned_about_mm"])
    np.testing.assert_allclose(turns @ turns, np.broadcast_to(np.eye(3), (3, 3, 3)), atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(turns), 1, atol=1e-6)
    np.testing.assert_allclose(centre, finder.mean_mm_.mean(dim=0), atol=1e-5)


def test_scans_that_are_upright_are_not_turned_over():
    finder = small_finder(rotations="upright")
    found = json.loads(pose_metadata(finder, PoseLimits(-1.0, 0.5))["search"])
    assert {one["turned_over"] for one in found["rounds"]} == {0}
    assert found["rotations"] == np.eye(3)[None].tolist()


@pytest.mark.parametrize("kind", ["pca", "autoencoder", "identity", "points"])
def test_a_shape_model_is_there_to_the_bit(kind):
    localizer, (found,) = build(kind), about(kind)["localizers"]
    assert found["shape_model"]["kind"] == type(localizer.shape_model).__name__
    for name, value in localizer.shape_model.state_dict().items():
        read = torch.tensor(found["shape_model"]["tensors"][name], dtype=torch.float32)
        assert torch.equal(read, value)
    assert torch.equal(torch.tensor(found["starts"]), localizer.starts())
    assert torch.equal(torch.tensor(found["displacement_unit_mm"]), localizer.unit_mm())
    assert (found["prior"] is not None) == (kind == "points")


def test_decoding_and_encoding_by_hand_what_may_bend():
    """As `docs/deployment.md` has it."""
    localizer, (found,) = build("autoencoder"), about("autoencoder")["localizers"]
    of = {name: np.array(one) for name, one in found["shape_model"]["tensors"].items()}
    b = np.array(found["starts"])[1]
    bent = np.tanh(b @ of["inner_"] + of["bias_"]) @ of["outer_"] + of["offset_"]
    shape = of["mean_mm_"] + (b @ of["modes_"] + bent).reshape(-1, 3)
    expected = localizer.shape_model.decode(localizer.starts()[1])
    np.testing.assert_allclose(shape, expected, atol=1e-5)
    parameters = (shape - of["mean_mm_"]).ravel() @ of["projection_"].T
    np.testing.assert_allclose(parameters, localizer.shape_model.encode(expected), atol=1e-4)


def test_settings_of_the_iteration():
    (found,) = about("points")["localizers"]
    assert found["update_rule"] == {"kind": "RuleB", "max_iterations": 5}
    expected = {"patch_spacings": [1, 3], "interpolation": "linear", "prior_iterations": 3}
    assert found.items() >= {**expected, "tolerance_mm": 3.0}.items()
    assert found["shape_model"]["groups"] == 3


def test_stages_and_folds():
    (second,) = json.loads(metadata(NAMES, [cascade()])["localizers"])
    assert [one["update_rule"]["kind"] for one in second["first_stage"]] == ["RuleA"]
    assert second["starts"] is None  # they are where the first stage ends
    assert second["num_starts"] == 2
    both = json.loads(metadata(NAMES, folds().members)["localizers"])
    assert [one["network"] for one in both] == ["CompactNetwork", "SharedNetwork"]


def test_error_bars():
    generator = np.random.default_rng(0)
    errors, spread = generator.random((12, 3)), generator.random((12, 3))
    bars = calibrate(errors, spread, NAMES, ConformalSettings(coverage=0.8))
    found = json.loads(metadata(NAMES, [build("pca")], bars)["error_bars"])
    scale = np.maximum(found["usual_error_mm"], found["spread_weight"] * spread[0])
    np.testing.assert_allclose(np.array(found["factor"]) * scale, bars.radius_mm(spread[0]))
    assert found["coverage"] == 0.8
    assert "error_bars" not in about("pca")


def test_how_far_apart_starts_that_agree_end():
    entries = metadata(NAMES, [build("pca")], apart_mm=0.25)
    assert json.loads(entries["most_apart_mm"]) == 2.5
    assert "most_apart_mm" not in about("pca")


def test_numbers_are_short_and_exact():
    values = torch.tensor([[0.1, 1 / 3], [1e-30, -3.0]])
    assert numbers(values) == [[0.100000001, 0.333333343], [1e-30, -3.0]]
    assert torch.equal(torch.tensor(numbers(values)), values)
    assert numbers(torch.tensor(7)) == 7
