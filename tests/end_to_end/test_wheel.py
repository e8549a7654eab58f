"""The wheel, installed outside the checkout and used from an unrelated folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from conftest import REPOSITORY
from pin_lightning.__main__ import PROGRAMS

SHORT = ["model=multi", "trainer.max_steps=4", "loader.batch_size=8", "report.pictures=false"]
SHORT += ["network.widths=[8,16,16,16]", "network.hidden=[64]"]
PHANTOMS = ["data.source.num_cases=10", "data.source.size=[54,35,47]"]
PHANTOMS += ["data.source.spacing_mm=[3.0,3.0,3.0]"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, REPOSITORY]
    subprocess.run(pip, check=True, timeout=600)
    (path,) = folder.glob("pin_lightning-*.whl")
    return path


@pytest.fixture(scope="module")
def command(wheel, tmp_path_factory):
    """The console command of an environment that has the wheel, and the packages of this one."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    pip = [sys.executable, "-m", "pip", "--python", folder, "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, wheel], check=True, timeout=600)
    # After its own, so that the wheel comes before the checkout that is installed there.
    others = [path for path in sys.path if path.endswith("site-packages")]
    (site / "others.pth").write_text("\n".join(others), encoding="utf-8")
    return folder / "bin" / "pin-lightning"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    return tmp_path_factory.mktemp("elsewhere")


def succeeded(command, *arguments, cwd):
    without = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [command, *arguments],
        cwd=cwd,
        env={**without, "COLUMNS": "1000", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_the_wheel_holds_configs_pages_and_plugins(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    configs = [path.relative_to(REPOSITORY) for path in REPOSITORY.glob("conf/**/*.yaml")]
    assert {f"pin_lightning/{path.as_posix()}" for path in configs} <= names
    for name in ("pin_lightning/py.typed", "hydra_plugins/listed_jobs.py"):
        assert name in names
    models = {f"pin_lightning/models/{path.name}" for path in (REPOSITORY / "models").iterdir()}
    assert "pin_lightning/models/README.md" in models
    assert models <= names
    templates = "pin_lightning/reports/pages/templates"
    assert {f"{templates}/{path.name}" for path in (REPOSITORY / templates).iterdir()} <= names
    assert not any(name.startswith(("tests/", "conf/", "benchmarks/")) for name in names)


@pytest.mark.slow
def test_it_trains_checks_and_predicts_from_an_unrelated_folder(command, elsewhere):
    data = ["data=phantom", *PHANTOMS]
    said = succeeded(command, "train", *SHORT, *data, "run_dir=run", cwd=elsewhere)
    assert str(REPOSITORY) not in said
    assert (elsewhere / "run" / "metrics.json").is_file()
    (images,) = elsewhere.glob("data/phantom*/images")
    image = sorted(images.iterdir())[0]
    succeeded(command, "infer", "run=run", f"input={image}", "output=found", cwd=elsewhere)
    assert len(list(elsewhere.glob("found/*.mrk.json"))) == 1
    (models,) = command.parents[1].glob("lib/python*/site-packages/pin_lightning/models")
    packed = ["pack", "run", f"output={models}/tiny_heads.zip"]
    assert "# tiny_heads" in succeeded(command, *packed, cwd=elsewhere)
    by_name = ["infer", "run=tiny_heads", f"input={image}", "output=by_name"]
    succeeded(command, *by_name, cwd=elsewhere)
    (first, second) = (
        elsewhere / one / f"{image.name[:-7]}.mrk.json" for one in ("found", "by_name")
    )
    assert first.read_bytes() == second.read_bytes()
    succeeded(command, "check", *data, "sheet=sheet.png", cwd=elsewhere)
    assert (elsewhere / "sheet.png").is_file()
    where = succeeded(command.parent / "python", "-c", WHERE, cwd=elsewhere)
    assert not Path(where.strip()).is_relative_to(REPOSITORY)


WHERE = "import pin_lightning; print(pin_lightning.__file__)"


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_helps(name, command, elsewhere):
    assert f"pin-lightning {name}" in succeeded(command, name, "--help", cwd=elsewhere)


@pytest.mark.slow
def test_sweeps_and_spawned_processes_work(command, elsewhere):
    data = ["data=phantom", *PHANTOMS]
    launcher = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweep.dir=sweep"]
    succeeded(command, "train", "-m", "seed=0,1", *SHORT, *data, *launcher, cwd=elsewhere)
    assert (elsewhere / "sweep" / "table.md").is_file()
    several = ["trainer.accelerator=cpu", "trainer.devices=2"]
    for strategy in ("ddp", "ddp_spawn"):
        settings = [f"strategy={strategy}", *several, f"run_dir={strategy}"]
        succeeded(command, "train", *SHORT, *data, *settings, cwd=elsewhere)
        assert (elsewhere / strategy / "metrics.json").is_file()


@pytest.mark.slow
def test_own_configs_come_by_config_dir(command, elsewhere):
    own = elsewhere / "own" / "experiment"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("# @package _global_\n# My own.\nmodel:\n  alpha: 0.125\n")
    ask = ["train", "--config-dir", "own", "experiment=mine", "data=phantom", "--cfg", "job"]
    assert "alpha: 0.125" in succeeded(command, *ask, cwd=elsewhere)
