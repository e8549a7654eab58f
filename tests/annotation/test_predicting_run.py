from pathlib import Path

from pin_lightning.annotation.predicting_run import PredictingRun, settings_of
from pin_lightning.deployment.packed_files import write_files
from pin_lightning.runs.packed import write_packed

CASCADE = Path(__file__).parents[1] / "earlier_runs" / "version1" / "cascade"


def test_the_process_that_predicts_unpacks_a_file_by_itself(tmp_path):
    """Temporary folders may be cleared while a server runs for weeks."""
    write_files(CASCADE, tmp_path / "staged", "heads")
    write_packed(tmp_path / "a.zip", tmp_path / "staged", "heads", "1.2")
    run = PredictingRun.of(tmp_path / "a.zip", {"device": "cpu"})
    assert run.names == ("CSP", "frontHead", "backHead")
    assert run.shown == "heads"
    assert settings_of(run, tmp_path / "output")["run"] == str(tmp_path / "a.zip")


def test_a_folder_is_named_as_it_is(tmp_path):
    run = PredictingRun.of(CASCADE, {})
    assert (run.folder, run.shown) == (CASCADE, "cascade")
    assert settings_of(run, tmp_path)["run"] == str(CASCADE)
