import pytest
from hydra.errors import ConfigCompositionException, InstantiationException
from omegaconf.errors import ConfigKeyError
from programs import run

from pin_lightning.cli.config_tree import option_names
from pin_lightning.cli.refusals import hydra_refusal, meant_by, no_such_option, no_such_setting
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
            "model=mutli: there is no such option; did you mean model=multi? There are "
            + ", ".join(option_names("model")),
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


KEYS = ["seed", "model", "model.alpha", "model.optimizer.lr", "trainer.max_steps"]
KEYS += ["data.split.seed"]


@pytest.mark.parametrize(
    ("meant", "wrong"),
    [
        ("model.alpha", ("model.alhpa", "alpha", "modle.alpha")),
        ("model.optimizer.lr", ("lr",)),
        ("seed", ("sede",)),
        ("seed data.split.seed", ("train.seed",)),
        ("", ("model.alpha.x", "radius")),  # nothing is below a number
    ],
)
def test_the_setting_that_is_meant(meant, wrong):
    assert [meant_by(one, KEYS) for one in wrong] == len(wrong) * [meant.split()]


def test_the_option_that_is_meant():
    said = no_such_option("update_rule", "D")
    assert said == "update_rule=D: there is no such option; there are A, B, C"
    said = no_such_option("sampling", "sctter")
    assert "did you mean sampling=scatter? There are approach, " in said
    assert "did you mean shape=pca? " in no_such_option("shape", "PCA")
    assert no_such_option("model/x", "y") == "model/x=y: there is no such group of options"


def test_a_setting_of_another_option_and_a_group():
    said = no_such_setting("loader.queue_length", "train", [])
    assert said == "loader.queue_length: is a setting of loader=queue; give that, or leave it out"
    said = no_such_setting("shpae", "train", ["shpae=pca"])
    assert "did you mean shape? There are autoencoder, " in said
    said = no_such_setting("data", "infer", [])
    assert said.startswith("data: there is no such setting or group;")


def test_a_setting_of_a_group_that_an_option_leaves_out():
    said = no_such_setting("network.widths", "train", ["model=heatmap", "network.widths=[8]"])
    assert said == "network.widths: there is no network with model=heatmap; leave it out"
    said = no_such_setting("network.wides", "train", ["model=multi", "network.wides=[8]"])
    assert "did you mean network.widths?" in said


PROCESSES = {
    "train.py model=mutli": "model=mutli: there is no such option; did you mean model=multi?",
    "train.py data=phantom max_steps=5": "did you mean trainer.max_steps?",
    "train.py loader.queue_lenght=9": "did you mean loader.queue_length, of loader=queue?",
    "train.py data=phantom -m model.alhpa=0,1": "did you mean model.alpha?",
    "train.py -m hydra/sweeper=listed hydra.sweeper.jobs=[[modle=multi]]": "did you mean model?",
    "train.py hydra/launcher=jobllib": "did you mean hydra/launcher=joblib?",
    "infer.py imput=x": "imput: there is no such setting or group; did you mean input?",
    "-m pin_lightning.check dta=csv": "did you mean data?",
    "-m pin_lightning.cross_validate folds=3": "did you mean data.split.folds?",
    "-m pin_lightning.evaluate ouput=x": "did you mean output?",
    "-m pin_lightning.report report.radii=[1]": "did you mean report.radii_mm?",
    "-m pin_lightning.gather swep=x": "did you mean sweep?",
}


@pytest.mark.slow
@pytest.mark.parametrize("command", PROCESSES)
def test_every_program_names_the_nearest_in_one_line(command):
    done = run(*command.split())
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert PROCESSES[command] in line
