import pytest
from hydra.errors import ConfigCompositionException, InstantiationException
from omegaconf.errors import ConfigKeyError

from pin_lightning.cli.refusals import hydra_refusal
from pin_lightning.common.errors import user_mistake


def test_what_a_constructor_refused_inside_hydra_is_what_is_printed():
    wrapped = InstantiationException("Error in call to target 'x':\nValueError('side 4')")
    wrapped.__cause__ = ValueError("side 4")
    assert user_mistake(wrapped) == "side 4"


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (
            "In 'train': Could not find 'model/mutli'\n\nAvailable options in 'model':",
            "model=mutli: there is no such option; did you mean model=multi? There are multi, ",
        ),
        (
            "In 'hydra/launcher/joblib': Could not load 'hydra/launcher/joblib_plugin'.",
            "hydra/launcher=joblib: is not installed; pip install 'pin-lightning[sweep]'",
        ),
        (
            "In 'hydra/sweeper/optuna': Could not load 'hydra/sweeper/optuna_plugin'.",
            "hydra/sweeper=optuna: is not installed; pip install 'pin-lightning[optuna]'",
        ),
        ("Something\n  else\nConfig search path:\n\tx", "config: Something else"),
    ],
)
def test_what_hydra_refuses_is_one_line(said, line):
    found = hydra_refusal(ConfigCompositionException(said), "train", [])
    assert found.startswith(line)
    assert "\n" not in found


def test_other_errors_of_hydra_and_of_the_system():
    cause = NotADirectoryError(20, "Not a directory", "/dev/null/x")
    error = ValueError("Unable to configure handler 'file'")
    error.__cause__ = cause
    assert hydra_refusal(error, "train", []).startswith("run_dir: /dev/null/x: Not a directory;")
    assert hydra_refusal(ConfigKeyError("no key\nmore"), "train", []) == "config: no key"
    assert hydra_refusal(ValueError("No trials."), "train", []) == "No trials."  # of a sweeper
    assert hydra_refusal(InstantiationException("of a launcher"), "train", []) is None
