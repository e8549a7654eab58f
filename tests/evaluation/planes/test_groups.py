import logging

import pytest
from omegaconf import OmegaConf

from conftest import composed
from pin_lightning.data.sources.phantom_anatomy import LANDMARK_NAMES
from pin_lightning.evaluation.planes import groups
from pin_lightning.evaluation.planes.axes import LineFit, MeanToMean
from pin_lightning.evaluation.planes.groups import PlaneGroup, plane_groups

DATA = ["data=folder", "data.root=somewhere", "run_name=test", "run_dir=unused"]
ABC = ("a", "b", "c")


def test_groups_of_a_config():
    found = plane_groups(
        {
            "own": {"landmarks": ABC},
            "line": {"landmarks": [*ABC, "d"], "x_axis": {"fit": ["d", "a"]}},
            "means": {"landmarks": [1, 2, 3], "x_axis": {"from": [1], "to": [2, "e"]}},
        }
    )
    assert found == (
        PlaneGroup("own", ABC, LineFit(ABC)),
        PlaneGroup("line", (*ABC, "d"), LineFit(("d", "a"))),
        PlaneGroup("means", ("1", "2", "3"), MeanToMean(("1",), ("2", "e"))),
    )
    assert found[2].names == ("1", "2", "3", "e")
    assert plane_groups(None) == plane_groups({}) == ()


@pytest.mark.parametrize(
    ("planes", "message"),
    [
        (["TV"], r"data\.planes=\['TV'\]: give groups of landmarks by name"),
        ({"TV": ABC}, r"data\.planes\.TV: give landmarks, and x_axis if you like, as TV: "),
        ({"TV": {"x_axis": None}}, r"data\.planes\.TV: give landmarks"),
        ({"TV": {"landmarks": ABC, "z": 1}}, r"data\.planes\.TV: give landmarks"),
        ({"TV": {"landmarks": ["a", "b"]}}, r"TV\.landmarks=\['a', 'b'\]: give 3 or more names"),
        ({"TV": {"landmarks": ["a", "b", "a"]}}, "each only once"),
        ({"TV": {"landmarks": "abc"}}, r"TV\.landmarks=abc: give 3"),
        ({"TV": {"landmarks": None}}, r"TV\.landmarks=None: give 3"),
        ({"T/V": {"landmarks": ABC}}, r"data\.planes\.T/V: is part of file names"),
        ({"TV": {"landmarks": ABC, "x_axis": ABC}}, r"TV\.x_axis=\('a', 'b', 'c'\): give {fit: "),
        ({"TV": {"landmarks": ABC, "x_axis": {"from": ["a"]}}}, r"TV\.x_axis=.*or {from: "),
        ({"TV": {"landmarks": ABC, "x_axis": {"fit": ["a"]}}}, r"TV\.x_axis\.fit=\['a'\]: give 2"),
        ({"TV": {"landmarks": ABC, "x_axis": {"from": [], "to": ["a"]}}}, r"x_axis\.from=\[\]"),
    ],
)
def test_what_is_no_group_is_refused_by_its_name(planes, message):
    with pytest.raises(ValueError, match=message):
        plane_groups(planes)


def test_landmarks_of_a_group_have_one_spelling():
    (group,) = plane_groups({"P": {"landmarks": ["Na\u0308se", "b", "c"]}})
    assert group.landmarks == ("N\u00e4se", "b", "c")


def test_the_phantoms_have_the_planes_of_the_paper():
    planes = OmegaConf.to_container(composed(*DATA, "data=phantom").data.planes)
    ventricles, cerebellum = plane_groups(planes)
    assert (ventricles.name, cerebellum.name) == ("TV", "TC")
    assert set(ventricles.landmarks) == {*LANDMARK_NAMES[:7], "CSP"}
    assert set(ventricles.x_axis.names) == {"centerHead", "frontHead", "backHead", "CSP"}
    assert set(cerebellum.landmarks) == {"rightCerebellar", "leftCerebellar", "CSP"}
    assert cerebellum.x_axis.start == ("CSP",)


def test_other_data_have_none_until_they_are_named():
    assert plane_groups(composed(*DATA).data.planes) == ()
    given = composed(*DATA, "+data.planes.P.landmarks=[a,b,c]").data.planes
    assert plane_groups(given) == (PlaneGroup("P", ABC, LineFit(ABC)),)
    assert plane_groups(composed(*DATA, "data=phantom", "data.planes=null").data.planes) == ()


def test_a_group_is_used_with_all_its_landmarks_and_those_of_its_axis():
    group = PlaneGroup("P", ABC, LineFit(("a", "d")))
    assert groups.groups_within([group], [*ABC, "d", "e"]) == (group,)
    assert groups.groups_within([group], ABC) == ()


def test_unknown_names_are_refused_and_unused_groups_logged(caplog):
    group = PlaneGroup("P", ("front", "back", "left"), LineFit(("front", "back")))
    with pytest.raises(ValueError, match=r"^data\.planes\.P: no case has left; did you mean lefd"):
        groups.check_groups([group], ["front", "back", "lefd"], ["front"])
    with caplog.at_level(logging.INFO, "pin_lightning.evaluation.planes.groups"):
        groups.check_groups([group], ["front", "back", "left"], ["front", "back", "left"])
        assert not caplog.messages
        groups.check_groups([group], ["front", "back", "left"], ["front"])
    assert caplog.messages == ["plane P: not used, without back, left"]
