import pytest
from omegaconf import OmegaConf

from conftest import composed
from pin_lightning.common.phantom_folder import phantom_folder

SETTINGS = {
    "num_cases": 2,
    "size": [20, 20, 20],
    "spacing_mm": [8, 8, 8],
    "seed": 0,
    "bend_degrees": 0,
}


@pytest.mark.parametrize(
    "other",
    [
        {"num_cases": 3},
        {"size": [20, 20, 21]},
        {"spacing_mm": [8, 8, 9]},
        {"seed": 1},
        {"bend_degrees": 1e-3},
    ],
)
def test_phantoms_of_other_settings_lie_in_another_folder(other):
    assert phantom_folder(SETTINGS | other) != phantom_folder(SETTINGS)


def test_equal_settings_have_one_folder():
    same = {"bend_degrees": 0.0, "root": "x", "spacing_mm": (8.0, 8, 8), "_target_": "y"}
    assert phantom_folder(SETTINGS | same) == phantom_folder(SETTINGS)
    config = OmegaConf.create({"other": 2, "source": {**SETTINGS, "num_cases": "${other}"}})
    assert phantom_folder(config.source) == phantom_folder(SETTINGS)


def test_the_config_names_the_folder_of_its_settings():
    roots = {
        name: composed(*settings).data.root
        for name, settings in {
            "default": ["data=phantom"],
            "demo": ["experiment=demo"],
            "table1": ["experiment=table1"],
            "table2": ["experiment=table2"],
            "bending": ["experiment=bending"],
            "fewer": ["experiment=demo", "data.source.num_cases=7"],
        }.items()
    }
    assert roots["table1"] == roots["table2"]
    assert len(set(roots.values())) == len(roots) - 1
    assert all(root.startswith("data/phantom_") for root in roots.values())
    assert roots["default"] == phantom_folder(composed("data=phantom").data.source)
    given = composed("data=phantom", "data.root=here").data
    assert given.root == given.source.root == "here"
