import pytest
from omegaconf import OmegaConf

from conftest import composed
from pin_lightning.common.phantom_folder import phantom_folder

SETTINGS = {"num_cases": 2, "size": [20, 20, 20], "spacing_mm": [8, 8, 8], "seed": 0}
SETTINGS["bend_degrees"] = 0
OTHERS = {"num_cases": 3, "size": [20, 20, 21], "spacing_mm": [8, 8, 9], "seed": 1}
OTHERS |= {"bend_degrees": 1e-3, "turned": "head", "field": 1.5}


@pytest.mark.parametrize("setting", OTHERS)
def test_phantoms_of_other_settings_lie_in_another_folder(setting):
    assert phantom_folder(SETTINGS | {setting: OTHERS[setting]}) != phantom_folder(SETTINGS)


def test_equal_settings_have_one_folder():
    same = {"bend_degrees": 0.0, "root": "x", "spacing_mm": (8.0, 8, 8), "_target_": "y"}
    assert phantom_folder(SETTINGS | same) == phantom_folder(SETTINGS)
    config = OmegaConf.create({"other": 2, "source": {**SETTINGS, "num_cases": "${other}"}})
    assert phantom_folder(config.source) == phantom_folder(SETTINGS)


def test_the_config_names_the_folder_of_its_settings():
    default = composed("data=phantom").data
    fewer = composed("experiment=demo", "data.source.num_cases=7").data
    experiments = [composed(f"experiment={name}").data for name in ("demo", "table1", "bending")]
    roots = [data.root for data in (default, fewer, *experiments)]
    assert len(set(roots)) == len(roots)
    assert all(root.startswith("data/phantom_") for root in roots)
    assert composed("experiment=table2").data.root == experiments[1].root
    assert default.root == phantom_folder(default.source)
    given = composed("data=phantom", "data.root=here").data
    assert given.root == given.source.root == "here"


def test_later_settings_leave_the_folder_of_earlier_phantoms():
    assert phantom_folder(SETTINGS | {"turned": "none", "field": 1}) == phantom_folder(SETTINGS)
    # Of conf/data/phantom.yaml, before there were turned heads.
    assert composed("data=phantom").data.root == "data/phantom_18a0d139"
