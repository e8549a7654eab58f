import re
from pathlib import Path
from time import process_time

import numpy as np
import pytest
from omegaconf import OmegaConf
from shared_cases import data_set

from pin_lightning.common.landmark_set import LandmarkSet
from pin_lightning.data.cases import Case
from pin_lightning.data.renaming import Renaming
from pin_lightning.data.sources.folder import find_cases


def case(name, **positions):
    landmarks = LandmarkSet.of(tuple(positions), np.array(list(positions.values()), float))
    return Case(name, Path(f"{name}.nii"), Path(f"{name}.fcsv"), lambda: landmarks, name)


RENAMED = {
    "nothing": ({}, "ANNA_LM1-1", "ANNA_LM1-1"),
    "prefix": ({"prefix": "{case}_"}, "ANNA_LM1-1", "LM1-1"),
    "prefix-of-another": ({"prefix": "{case}_"}, "BERT_LM1-1", "BERT_LM1-1"),
    "suffix": ({"suffix": " ({case})"}, "LM1 (ANNA)", "LM1"),
    "both": ({"prefix": "x-", "suffix": "-y"}, "x-LM1-y", "LM1"),
    "pattern": ({"pattern": "^Refined_Predicted_Landmark_", "replacement": "L"}, *("", "L7")),
    "group": ({"pattern": r"^.*_(LM\d+)$", "replacement": r"<\1>"}, "a_b_LM12", "<LM12>"),
    "names": ({"names": {7: "nasion"}}, "7", "nasion"),
    "names-last": ({"prefix": "{case}_", "names": {"1": "nasion"}}, "ANNA_1", "nasion"),
    "unicode": ({"names": {"Na\u0308se": "nose"}}, "N\u00e4se", "nose"),
}
RENAMED["pattern"] = (RENAMED["pattern"][0], "Refined_Predicted_Landmark_7", "L7")


@pytest.mark.parametrize(("settings", "label", "name"), RENAMED.values(), ids=RENAMED)
def test_labels_by_hand(settings, label, name):
    assert Renaming.of(OmegaConf.create(settings)).label(label, "ANNA") == name


def test_cases_are_renamed_when_they_are_read(tmp_path):
    (tmp_path / "names.csv").write_text("old,new\nLM1,nasion\n")
    settings = {"prefix": "{case}_", "names": str(tmp_path / "names.csv")}
    cases = [case("A", A_LM1=[1, 2, 3], A_LM2=[4, 5, 6]), case("B", LM1=[7, 8, 9])]
    first, second = (one.read() for one in Renaming.of(settings).cases(cases))
    assert (first.names, second.names) == (("nasion", "LM2"), ("nasion",))
    assert first.positions_world.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert Renaming.of(None).cases(cases) == cases


def test_two_labels_must_not_become_one_and_none_must_vanish():
    renaming = Renaming(pattern="[0-9]$")
    with pytest.raises(ValueError, match="both L1 and L2 of case A become L; rename"):
        renaming.cases([case("A", L1=[0, 0, 0], L2=[1, 1, 1])])[0].read()
    with pytest.raises(ValueError, match="leaves nothing of the label '1' of case A"):
        renaming.label("1", "A")


WRONG = {
    "repeated-group": ({"pattern": "(a+)+$"}, "may take too long"),
    "repeated-class-group": ({"pattern": "([ab]|a)*"}, "may take too long"),
    "counted-group": ({"pattern": "(?:a*){3}"}, "may take too long"),
    "many-repeats": ({"pattern": "a*a*a*a*b"}, "3 of * + ? {}"),
    "many-branches": ({"pattern": "|".join("abcdefghij")}, "5 of these and | together"),
    "long": ({"pattern": "a" * 201}, "at most 200 characters"),
    "invalid": ({"pattern": "(a"}, "not a regular expression"),
    "no-such-group": ({"pattern": "a", "replacement": r"\1"}, "does not fit the pattern a"),
    "a-number": ({"prefix": 5}, "data.rename.prefix=5: give text in quotes"),
    "a-list": ({"names": ["a"]}, "give {OLD: NEW}"),
    "no-file": ({"names": "gone.csv"}, "data.rename.names=gone.csv: there is no such file"),
    "no-name": ({"names": {"a": None}}, "a has no new name"),
}


@pytest.mark.parametrize(("settings", "message"), WRONG.values(), ids=WRONG)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Renaming.of(settings)


def test_what_is_escaped_or_in_a_class_does_not_repeat():
    renaming = Renaming.of({"pattern": r"\(\*\)[*+?|()]", "replacement": ""})
    assert renaming.label("L1(*)+", "A") == "L1"


def test_the_slowest_pattern_that_is_taken_is_fast():
    begin = process_time()
    assert Renaming.of({"pattern": ".*.*.*(a|a)(a|a)x"}).label("a" * 100, "A") == "a" * 100
    assert process_time() - begin < 5
    with pytest.raises(ValueError, match="label of 101 characters"):
        Renaming.of({"pattern": "b"}).label("a" * 101, "A")


def test_labels_with_the_specimens_name(tmp_path):
    """The labels of the shared case are NAME_LM1-1 to NAME_LM1-8."""
    cases = Renaming(prefix="{case}_").cases(find_cases(data_set("lm_specimen_labels", tmp_path)))
    assert len(cases) == 5
    assert {one.read().names for one in cases} == {tuple(f"LM1-{n}" for n in range(1, 9))}
