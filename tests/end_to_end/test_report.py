import shutil
import sys

import pytest
from page_runs import write_page_run

from conftest import composed
from pin_lightning.report import main
from pin_lightning.reports.pages.page import Picture


def report(monkeypatch, *arguments):
    """Run the command in this process."""
    monkeypatch.setattr(sys, "argv", ["pin_lightning.report", *map(str, arguments)])
    main()


def test_the_page_is_made_again_with_other_settings(tmp_path, monkeypatch):
    write_page_run(tmp_path / "run")
    shutil.copytree(tmp_path / "run", tmp_path / "other")
    monkeypatch.setattr(Picture, "of_chart", lambda _, alt: Picture("data:,", alt))
    settings = ["report.failure_mm=1.5", "report.bootstrap.resamples=100"]
    other = f"report.others.older={tmp_path / 'other'}"
    report(monkeypatch, f"run={tmp_path / 'run'}", other, *settings)
    text = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "1.50\u00a0mm, as report.failure_mm asks" in text
    assert ">older<" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "run: is not set"),
        (["run=nowhere"], "run=nowhere: has no config.yaml"),
        (["run={run}", "report.others.older=nothing.csv"], "there is no such file"),
        (["run={run}", "report.failure_mm=-1"], "report.failure_mm=-1"),
    ],
)
def test_bad_input_ends_in_one_line(tmp_path, monkeypatch, capsys, arguments, words):
    run_dir = write_page_run(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        report(monkeypatch, *(one.format(run=run_dir) for one in arguments))
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


def test_every_setting_of_a_training_can_be_given_again():
    again = composed("run=RUN", config_name="report").report
    made_with = composed("data.root=somewhere", "run_name=x", "run_dir=x").report
    assert again.keys() == made_with.keys() - {"pictures"}
    assert again.bootstrap.keys() == made_with.bootstrap.keys()
