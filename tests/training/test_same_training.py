import pytest
from omegaconf import OmegaConf
from page_runs import CONFIG, write_page_run

from pin_lightning.runs.folder import read_record
from pin_lightning.training.same_training import check_same_training


def test_settings_that_have_no_effect_on_the_weights_may_differ(tmp_path):
    run_dir = write_page_run(tmp_path / "run")
    config = OmegaConf.create({**CONFIG, "run_name": "other", "report": {"pictures": False}})
    config.data = {**CONFIG["data"], "cache_dir": "elsewhere", "on_error": "skip"}
    check_same_training(run_dir, config, read_record(run_dir))


def test_another_setting_is_named_with_both_values(tmp_path):
    run_dir = write_page_run(tmp_path / "run")
    record = read_record(run_dir)
    config = OmegaConf.create({**CONFIG, "seed": 3, "trainer": {"max_steps": 99}})
    with pytest.raises(ValueError, match="run: was trained with seed=0, now it is 3; give the"):
        check_same_training(run_dir, config, record)
    check_same_training(run_dir, config, record, free=("seed", "trainer"))


def test_other_cases_are_refused(tmp_path):
    run_dir, other = (write_page_run(tmp_path / name) for name in ("run", "other"))
    text = (other / "run.json").read_text("utf-8").replace("case_0", "case_99")
    (other / "run.json").write_text(text)
    with pytest.raises(ValueError, match="was trained on other cases, landmarks or another"):
        check_same_training(run_dir, OmegaConf.create(CONFIG), read_record(other))
