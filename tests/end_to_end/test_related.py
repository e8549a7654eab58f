"""The comparison of PIN with the systems beside it: `benchmarks/related.py`."""

import json
import sys

import numpy as np
import pytest
from beside import figure, plan, table
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from processes import run_measured
from programs import run

from conftest import CONF, composed
from pin_lightning.baselines.registry import SYSTEMS
from pin_lightning.evaluation.evaluation import Evaluation
from pin_lightning.evaluation.predictions_csv import read_predictions, write_predictions

OWN = {**plan.OWN, "folds": 2}
# In the place of another program's interpreter: it answers the mean of the training landmarks.
MEAN_LANDMARKS = """#!{python}
import sys
import numpy as np
job = np.load(sys.argv[2])
if job["learning_rate"] == 2:
    sys.exit("no rate of 2")
tested = len(job["test_volumes"])
assert job["train_volumes"].shape[1:] == job["test_volumes"].shape[1:]
found = np.tile(job["train_landmarks"].mean(axis=0), (tested, 1, 1))
numbers = dict(training_seconds=1, weights=7, steps=5)
np.savez(sys.argv[3], positions=found, seconds=np.full(tested, 3), **numbers)
"""


def evaluation(cases, names, errors_mm, mean_shape_mm, seconds):
    """Cases whose truth is at the origin, or missing where an error is None."""
    shape = (len(cases), len(names))
    errors, guesses = np.array(errors_mm, dtype=float), np.array(mean_shape_mm, dtype=float)
    along_x = np.array([1.0, 0.0, 0.0])
    defined = np.isfinite(errors)
    return Evaluation(
        cases=tuple(cases),
        names=tuple(names),
        truth_world=np.where(defined[..., None], np.zeros((*shape, 3)), np.nan),
        defined=defined,
        predicted_world=np.nan_to_num(errors)[..., None] * along_x,
        mean_shape_world=guesses[..., None] * along_x,
        spread_mm=np.zeros(shape),
        seconds=np.full(len(cases), 9.0),
        localise_seconds=np.full(len(cases), seconds),
    )


def finished(network, fold, found, training_seconds, peak_gb):
    """Leave what the table reads of a run."""
    run_dir = network.run_dir(fold)
    run_dir.mkdir(parents=True)
    (run_dir / "run.json").touch()
    write_predictions(run_dir / "predictions.csv", {"test": found})
    cost = {"training_seconds": training_seconds, "peak_gb": peak_gb}
    content = {"settings": network.settings_of(fold), **cost}
    (run_dir / "measured.json").write_text(json.dumps(content))


@pytest.fixture
def weights(monkeypatch):
    """Each network has a thousand weights."""
    monkeypatch.setattr(table, "_weights", lambda network, fold: 1000)


def test_numbers_of_folds_by_hand(tmp_path, weights):
    own = {**OWN, "output": tmp_path, "only": ["heatmap"]}
    (method,) = plan.methods_of(own, [])
    (network,) = method.networks
    both = (["a", "b"], [[1, 3], [2, None]], [[2, 2], [2, 5]])
    first = evaluation(both[0], ["L", "R"], both[1], both[2], 0.5)
    second = evaluation(["c"], ["L", "R"], [[4, 10]], [[1, 11]], 1.5)
    finished(network, 0, first, 10.0, 2.0)
    finished(network, 1, second, 30.0, 1.0)
    found = table.measured(method)
    np.testing.assert_allclose(found.errors_mm, [[1, 3], [2, np.nan], [4, 10]])
    np.testing.assert_allclose(found.mean_shape_mm, [[2, 2], [2, np.nan], [1, 11]])
    # Worse: 3 beside 2 and 4 beside 1; 2 beside 2 is not, and one is missing.
    np.testing.assert_array_equal(found.is_worse, [[0, 1], [0, np.nan], [1, 0]])
    cells = dict(zip(table.HEADER, found.cells(), strict=True))
    assert cells["cases"] == "3"
    assert cells["mean error, mm (95 % interval)"].startswith("4.000 (")
    assert cells["median, mm"] == "3.000"
    assert cells["95th percentile"] == "8.800"  # 4 + 0.8 * (10 - 4)
    assert cells["mean shape"] == "3.600"
    assert cells["worse than it, % (95 % interval)"].startswith("40.0 (")
    assert cells["training, s"] == "20"  # of a fold
    assert cells["s a volume"] == "1.00"
    assert cells["peak, GB"] == "2.00"
    assert cells["weights"] == "1,000"
    assert figure.figure_of([found]).axes[0].get_yticklabels()[0].get_text() == "heatmap"


def test_networks_of_one_landmark_make_one_row(tmp_path, weights):
    own = {**OWN, "output": tmp_path, "only": ["single"], "landmarks": ["L", "R"]}
    (method,) = plan.methods_of(own, [])
    for number, network in enumerate(method.networks):
        assert f"model.landmark={'LR'[number]}" in network.settings
        for fold, case in enumerate("ab"):
            one = evaluation([case], ["LR"[number]], [[1 + number + fold]], [[2]], 0.25)
            finished(network, fold, one, 10.0, 1.0 + number)
    found = table.measured(method)
    np.testing.assert_allclose(found.errors_mm, [[1, 2], [2, 3]])
    assert found.training_seconds == 20
    assert found.localise_seconds == 0.5
    assert found.peak_gb == 2.0
    assert found.weights == 2000


def test_every_system_is_compared():
    assert {"multi", "single", "shared", *SYSTEMS} == set(plan.METHODS)
    for group in plan.METHODS:  # else a setting of all would be taken for one of a method
        assert group not in composed("run_name=x", "run_dir=x")


def test_settings_that_do_not_apply_are_left_out():
    settings = ["data.root=x", "trainer.max_steps=5", "heatmap.model.optimizer.lr=1"]
    kept = {name: plan.settings_for(name, settings) for name in ("registration", "heatmap")}
    assert kept["registration"] == ["data.root=x"]
    assert kept["heatmap"] == ["data.root=x", "trainer.max_steps=5", "model.optimizer.lr=1"]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"only": ["nothing"]}, "only=nothing: is no method"),
        ({"only": "heatmap"}, "only=heatmap: give a list"),
        ({"poses": None}, "poses=null"),
        ({"folds": 1}, "folds=1"),
        ({"minutes": 0}, "minutes=0"),
    ],
)
def test_wrong_settings_are_refused(given, named, tmp_path):
    with pytest.raises(ValueError, match=named):
        plan.methods_of({**OWN, "output": tmp_path, **given}, [])


def test_the_sweep_has_every_system():
    config = composed("run_name=x", "run_dir=x", "experiment=related", with_hydra=True)
    assert config.hydra.mode.name == "MULTIRUN"
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        override = f"model={config.hydra.sweeper.params.model}"
        (swept,) = OverridesParser.create(loader).parse_overrides([override])
        models = set(swept.sweep_string_iterator())
    assert models == {"multi", "shared", "shared_fast", *SYSTEMS}
    assert config.summary.reference.removeprefix("model=") in models


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the peak of a process is read with wait4")
def test_it_compares_names_what_failed_and_goes_on(tmp_path):
    common = ["benchmarks/related.py", "small=true", f"output={tmp_path / 'found'}"]
    common += [f"data.root={tmp_path / 'data'}", f"data.cache_dir={tmp_path / 'cache'}"]
    common += ["only=[registration,multi]"]
    failing = run(*common, "multi.model.alpha=2", timeout=900)
    assert failing.returncode == 2, failing.stderr
    assert failing.stderr.count("multi_as_scanned/fold") >= 2
    assert "error: " in failing.stderr
    assert "alpha=2" in failing.stderr
    rows = (tmp_path / "found" / "table.md").read_text("utf-8")
    assert "| registration | 8 |" in rows
    assert "| multi |" not in rows
    measured = tmp_path / "found" / "registration_as_scanned" / "fold0" / "measured.json"
    before = measured.stat().st_mtime_ns
    done = run(*common, timeout=900)
    assert done.returncode == 0, done.stderr
    assert measured.stat().st_mtime_ns == before
    rows = (tmp_path / "found" / "table.md").read_text("utf-8")
    assert "| registration | 8 |" in rows
    assert "| multi | 8 |" in rows
    assert (tmp_path / "found" / "figure.png").is_file()
    for setting, said in (("seed=1", "was trained with"), ("poses=[]", "poses=[]: give a list")):
        other = run(*common, setting, timeout=300)
        assert other.returncode == 2
        assert said in other.stderr
    beside_another_program(common, tmp_path)


def beside_another_program(common, tmp_path):
    """A program that answers the mean landmarks has the errors of the mean shape."""
    python = tmp_path / "python"
    python.write_text(MEAN_LANDMARKS.format(python=sys.executable))
    python.chmod(0o755)
    run_dir, output = tmp_path / "found" / "registration_as_scanned", tmp_path / "peer"
    # Voxels of twice the side.
    settings = [f"run={run_dir}", f"output={output}", f"python={python}", "most_voxels=4000"]
    failing = run("benchmarks/peer.py", *settings, "learning_rate=2", timeout=300)
    assert failing.returncode == 2
    assert f"{output / 'fold0'}: no rate of 2 (exit code 1" in failing.stderr
    assert not (output / "fold0" / "measured.json").exists()
    done = run("benchmarks/peer.py", *settings, timeout=300)
    assert done.returncode == 0, done.stderr
    for fold in ("fold0", "fold1"):
        found = read_predictions(output / fold / "predictions.csv")["test"]
        np.testing.assert_allclose(found.errors_mm, found.mean_shape_errors_mm, atol=1e-3)
        truth = read_predictions(run_dir / fold / "predictions.csv")["test"]
        np.testing.assert_array_equal(found.truth_world, truth.truth_world)
    done = run(*common, f"others.another={output}", timeout=300)
    assert done.returncode == 0, done.stderr
    (row,) = [
        line.split(" | ")
        for line in (tmp_path / "found" / "table.md").read_text("utf-8").splitlines()
        if line.startswith("| another |")
    ]
    assert row[3].startswith(row[6])  # the mean error is that of the mean shape
    assert row[-1] == "7 |"
    assert row[8:10] == ["1", "3.00"]  # seconds


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the peak of a process is read with wait4")
def test_a_program_is_stopped_when_its_time_is_over(tmp_path):
    settings = ["data=phantom", f"data.root={tmp_path / 'data'}", f"run_dir={tmp_path / 'run'}"]
    with (tmp_path / "output").open("w") as output:
        ended = run_measured("train.py", *settings, minutes=0.02, output=output)
    assert ended.stopped
    assert ended.code != 0
    assert ended.peak_gb > 0
