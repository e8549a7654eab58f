import pytest

from pin_lightning.evaluation.bootstrap import BootstrapSettings
from pin_lightning.evaluation.settings import ReportSettings, report_again

GIVEN = {"radii_mm": None, "failure_mm": None, "others": {}, "bootstrap": {"level": None}}


def test_null_keeps_what_a_page_was_made_with():
    before = {"radii_mm": [1, 2], "failure_mm": 3.0, "others": {"a": "a.csv"}}
    kept = ReportSettings((1, 2), 3.0, (("a", "a.csv"),))
    assert ReportSettings.of(report_again(before, GIVEN)) == kept
    assert ReportSettings.of(report_again({}, GIVEN)) == ReportSettings()  # of an earlier version


def test_what_is_given_counts():
    before = {"failure_mm": 3.0, "others": {"a": "a.csv"}, "bootstrap": {"seed": 5}}
    given = {"failure_mm": 2.0, "others": {"b": "b.csv"}, "bootstrap": {"level": 0.9}}
    settings = ReportSettings.of(report_again(before, given))
    assert settings.failure_mm == 2.0
    assert dict(settings.others) == {"a": "a.csv", "b": "b.csv"}
    assert settings.bootstrap == BootstrapSettings(level=0.9, seed=5)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("radii_mm", [2, 1], ""),
        ("bootstrap", 0.9, ".*settings by name"),
        ("others", ["ants.csv"], ".*settings by name"),
    ],
)
def test_settings_out_of_range_or_not_by_name_are_refused(name, value, words):
    with pytest.raises(ValueError, match=rf"report\.{name}={words}"):
        ReportSettings.of(report_again({}, {**GIVEN, name: value}))
