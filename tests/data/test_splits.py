import inspect
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from pin_lightning.cli.conf import CONF
from pin_lightning.data.splits import Split, split_cases

NAMES = [f"case{number:02d}" for number in range(20)]
OWN = {name: name for name in NAMES}
# Two scans of each of ten people: a0, a1, b0, ...
TWINS = {f"{subject}{scan}": subject for subject in "abcdefghij" for scan in "01"}
FRACTIONS = {"seed": 0, "val_fraction": 0.1, "test_fraction": 0.25}


def case_names(numbers):
    return tuple(f"case{number}" for number in numbers.split())


def sizes(split):
    return len(split.train), len(split.val), len(split.test)


def all_names(split):
    return sorted(split.train + split.val + split.test)


# What the first version of this program gave; a run can be repeated with its split.
EARLIER = {
    0: ("03 16", "02 04 06 13 19", "04 19"),
    1: ("11 12", "01 07 10 16 18", "01 10"),
    2: ("00 11", "02 06 07 10 18", "06 18"),
    3: ("13 15", "03 08 12 16 18", "12 16"),
    4: ("05 07", "00 08 10 13 18", "00 13"),
}


@pytest.mark.parametrize("seed", EARLIER)
@pytest.mark.parametrize("subject_of", [str, lambda name: f"s{100 - int(name[4:])}"])
def test_one_case_per_subject_splits_as_ever(seed, subject_of):
    val, test, val_beside_list = map(case_names, EARLIER[seed])
    subjects = {name: subject_of(name) for name in NAMES}
    split = split_cases(subjects, **{**FRACTIONS, "seed": seed})
    assert (split.val, split.test) == (val, test)
    fixed = split_cases(subjects, seed, 0.1, 0.25, test_names=["case07", "case03"])
    assert (fixed.val, fixed.test) == (val_beside_list, ("case03", "case07"))


def test_split_depends_on_the_seed_and_not_on_the_order():
    backwards = dict(reversed(TWINS.items()))
    assert split_cases(TWINS, 3, 0.1, 0.25) == split_cases(backwards, 3, 0.1, 0.25)
    # The first sorted names must not always be the test cases.
    assert len({split_cases(OWN, seed, 0.1, 0.25).test for seed in range(10)}) == 10


def test_fractions_count_subjects():
    split = split_cases(TWINS, 0, 0.1, 0.3)
    assert sizes(split) == (12, 2, 6)
    # One person with many scans weighs as much as one with a single scan.
    uneven = {**{f"a{scan}": "a" for scan in range(90)}, **{name: name for name in "bcdefghij"}}
    assert len({uneven[name] for name in split_cases(uneven, 0, 0.2, 0.3).test}) == 3

    # The smallest fraction gives one subject, and zero none.
    assert sizes(split_cases(OWN, 0, 0.001, 0)) == (19, 1, 0)
    assert sizes(split_cases(TWINS, 0, 0, 0.001)) == (18, 0, 2)


def test_lists_override_fractions():
    split = split_cases(OWN, 0, 0.5, 0.1, val_names=["case03"], test_names=["case07"])
    assert (split.val, split.test) == (("case03",), ("case07",))
    assert len(split.train) == 18
    only_test = split_cases(OWN, 0, 0.1, 0.9, test_names=["case09", "case01"])
    assert (only_test.test, len(only_test.val)) == (("case01", "case09"), 2)
    assert split_cases(OWN, 0, 0.1, 0.9, test_names=[]).test == ()


def test_training_list_leaves_out_what_no_list_names():
    lists = {"train_names": ["b1", "a1", "c0"], "val_names": ["d0"], "test_names": ["e1", "e0"]}
    split = split_cases(TWINS, 0, 0.5, 0.5, **lists)
    assert split == Split(("a1", "b1", "c0"), ("d0",), ("e0", "e1"))
    assert split_cases(TWINS, 0, 0, 0.5, train_names=["a0", "b0"]) == Split(("a0", "b0"), (), ())


def test_validation_is_taken_from_the_training_list_by_subject():
    listed = ["a0", "a1", "b0", "c1", "d0", "d1"]
    splits = [split_cases(TWINS, seed, 0.25, 0.5, train_names=listed) for seed in range(20)]
    assert {split.val for split in splits} == {("a0", "a1"), ("b0",), ("c1",), ("d0", "d1")}
    assert all(all_names(split) == listed and split.test == () for split in splits)
    assert splits[0] == split_cases(TWINS, 0, 0.25, 0.5, train_names=listed[::-1])


def test_every_setting_of_the_config_is_one_of_the_function():
    config = OmegaConf.load(CONF / "data/base.yaml").split
    parameters = inspect.signature(split_cases).parameters
    assert config.keys() == parameters.keys() - {"subjects", "skipped"}
    assert sizes(split_cases(OWN, **config)) == (13, 2, 5)
    config.val_names = ["case03"]  # a list of OmegaConf's own kind
    assert split_cases(OWN, **config).val == ("case03",)


FILES = {
    "plain": b"case01\ncase02\n",
    "no-last-line-end": b"case02\ncase01",
    "windows": b"\xef\xbb\xbfcase01\r\ncase02\r\n",
    "comments": b"# hold-out\n\n  case01  # the first\n#case05\n\tcase02\n",
    "suffixes": b"case01.nii.gz\nimages/case02.MHA\n",
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
@pytest.mark.parametrize("kind", [str, lambda path: path], ids=["text", "path"])
def test_names_from_a_file(tmp_path, content, kind):
    path = tmp_path / "names.txt"
    path.write_bytes(content)
    assert split_cases(OWN, 0, 0, 0, test_names=kind(path)).test == ("case01", "case02")
    split = split_cases(OWN, 0, 0, 0, train_names=kind(path), val_names=["case05.nii"])
    assert split == Split(("case01", "case02"), ("case05",), ())


def test_a_name_as_it_stands_comes_before_a_name_without_suffix(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("a#1\na.nii\nc.mha\n")
    subjects = {name: name for name in ("a#1", "a.nii", "a", "b", "c", "d")}
    assert split_cases(subjects, 0, 0, 0, test_names=path).test == ("a#1", "a.nii", "c")
    path.write_text("# an empty list\n")
    assert split_cases(OWN, 0, 0, 0.5, test_names=path).test == ()


def test_file_that_is_no_list_of_names(tmp_path):
    def refused(path, message):
        with pytest.raises(ValueError, match=re.escape(f"split.train_names={path}: ") + message):
            split_cases(OWN, 0, 0, 0, train_names=path)

    refused("case01", r"cannot be read \(No such file.*\); .* or a list as in \[case01\]")
    refused(tmp_path, r"cannot be read \(Is a directory\)")
    path = tmp_path / "names.txt"
    path.write_bytes("case01\n".encode("utf-16"))
    refused(path, "is not UTF-8 text")
    path.write_text("case01\ncase1l\n")
    refused(path, "no case named case1l; the name nearest to case1l is case1")
    path.write_text("case01\ncase01.nii\n")
    refused(path, "case01 given twice")


REFUSED = {
    "unknown": ({"test_names": ["CASE7"]}, r"=\[CASE7\]: no case named CASE7; .* case\d7$"),
    "many-unknown": ({"val_names": list("abcde")}, r"=\[a, b, c, and 2 more\]: .* and 2 more; the"),
    "number": ({"test_names": [7]}, r"test_names=\[7\]: 7 is not text; write it in quotes, '7'"),
    "null": ({"test_names": ["case01", None]}, "null is not text"),
    "one-number": ({"test_names": 7}, r"test_names=7: give a list, as in \['7'\]"),
    "twice": ({"val_names": ["case01", "case01"]}, r"=\[case01, case01\]: case01 given twice"),
    "both": (
        {"val_names": ["case01"], "test_names": ["case02", "case01"]},
        r"val_names=\[case01\], data\.split\.test_names=\[case02, case01\]: case01 is in both",
    ),
    "train-and-test": ({"train_names": NAMES, "test_names": ["case19"]}, "case19 is in both"),
    "negative": ({"val_fraction": -0.1}, "val_fraction=-0.1: give a number from 0"),
    "one": ({"test_fraction": 1.0}, "test_fraction=1.0: give"),
    "percent": ({"test_fraction": "10%"}, "test_fraction=10%: give"),
    "no-fraction": ({"val_fraction": None}, "val_fraction=null: give"),
    "nan": ({"val_fraction": float("nan")}, "val_fraction=nan: give"),
    "no-seed": ({"seed": None}, "seed=None: give a whole number"),
    "negative-seed": ({"seed": -1}, "seed=-1: give"),
    "none-left": (
        {"val_fraction": 0.5, "test_fraction": 0.5},
        r"val_fraction=0\.5, data\.split\.test_fraction=0\.5: 0 of 20 cases \(20 subjects\) left",
    ),
    "all-val": ({"val_names": NAMES}, r"val_names=.*: 0 of 20 cases"),
    "none-trains": ({"train_names": []}, r"train_names=\[\].*: 0 of 20 .* \(val 0,"),
    "one-fold": ({"folds": 1, "fold": 0}, "folds=1: give a whole number of at least 2"),
    "half-fold": ({"folds": 2.5, "fold": 0}, "folds=2.5: give"),
    "folds-of-one": (
        {"subjects": {"a": "a"}, "folds": 5, "fold": 0},
        "folds=5: there is 1 subject, folds need at least 2",
    ),
    "many-folds": ({"folds": 21, "fold": 0}, "folds=21: there are 20 subjects"),
    "fold-missing": ({"folds": 5}, r"folds=5: .* data\.split\.fold=0"),
    "fold-alone": ({"fold": 0}, r"fold=0: needs .* data\.split\.folds=5"),
    "fold-too-high": ({"folds": 5, "fold": 5}, "fold=5: give 0 to 4"),
    "fold-too-low": ({"folds": 5, "fold": -1}, "fold=-1: give a whole number"),
    "folds-and-test": ({"folds": 5, "fold": 0, "test_names": []}, r"test_names=\[\]: .*folds=5"),
    "folds-and-train": ({"folds": 5, "fold": 0, "train_names": "a.txt"}, r"train_names=a\.txt: "),
    "folds-and-val": ({"folds": 5, "fold": 0, "val_names": ["case01"]}, r"val_names=\[case01\]: "),
    "fold-left-little": (
        {"folds": 2, "fold": 1, "val_fraction": 0.5},
        r"folds=2, data\.split\.fold=1, data\.split\.val_fraction=0\.5: 0 of 20",
    ),
}


@pytest.mark.parametrize(("changes", "message"), REFUSED.values(), ids=REFUSED)
def test_split_refuses(changes, message):
    with pytest.raises(ValueError, match=rf"^data\.split\..*{message}"):
        split_cases(**{"subjects": OWN, **FRACTIONS, **changes})


# Subjects, fractions of validation and test, and how many train, validate and test.
FEW = {
    "one": (1, 0.1, 0.25, (1, 0, 0)),
    "two": (2, 0, 0.25, (2, 0, 0)),
    "two-that-validate": (2, 0.1, 0.25, (2, 0, 0)),
    "half-of-two-is-asked-for": (2, 0.1, 0.5, (1, 0, 1)),
    "three": (3, 0, 0.25, (2, 0, 1)),
    "three-that-validate": (3, 0.1, 0.25, (2, 0, 1)),
    "four": (4, 0.1, 0.25, (2, 1, 1)),
    "one-of-many-left": (20, 0.5, 0.45, (1, 10, 9)),
}


@pytest.mark.parametrize(("count", "val", "test", "expected"), FEW.values(), ids=FEW)
def test_few_cases_train_before_any_is_held_out(count, val, test, expected, caplog):
    split = split_cases({name: name for name in NAMES[:count]}, 0, val, test)
    assert sizes(split) == expected
    parts = (("val", split.val, val), ("test", split.test, test))
    given_up = [name for name, members, share in parts if share > 0 and not members]
    assert all(f"split.{name}_fraction=" in caplog.text for name in given_up)
    assert caplog.text.count("too few subjects") == len(given_up)


def test_few_cases_of_lists_and_folds_train():
    assert split_cases(OWN, 0, 0.1, 0.25, train_names=["case01"]) == Split(("case01",), (), ())
    tested = split_cases(OWN, 0, 0.1, 0, train_names=["case01"], test_names=["case02"])
    assert tested == Split(("case01",), (), ("case02",))
    # Of two subjects, one of which has two scans, the other tests if it is drawn.
    pair = [split_cases({"a1": "a", "a2": "a", "b": "b"}, seed, 0, 0.25) for seed in range(9)]
    assert {sizes(split) for split in pair} == {(2, 0, 1), (3, 0, 0)}
    for count, trains in ((2, 1), (3, 2)):
        subjects = {name: name for name in NAMES[:count]}
        for fold in range(count):
            split = split_cases(subjects, 0, 0.1, 0.25, folds=count, fold=fold)
            assert sizes(split) == (trains, 0, 1)


REFUSED_SUBJECTS = {
    "two-lists": ({"val_names": ["c0"], "test_names": ["c1"]}, "c0 and c1 are of .* subject c;"),
    "and-train": ({"train_names": ["a0", "b0"], "val_names": ["b1"]}, "b0 and b1 .* subject b;"),
    "both": ({"val_names": ["c0", "c1"], "test_names": ["c1"]}, "c1 is in both"),
    "rest-would-train": ({"test_names": ["d0"]}, r"test_names=\[d0\]: names d0 and not d1, .* d;"),
    "many-folds": ({"folds": 11, "fold": 0}, "folds=11: there are 10 subjects"),
    "too-few": ({"val_fraction": 0.5, "test_fraction": 0.5}, r"0 of 20 cases \(10 subjects\) left"),
    "no-case": ({"subjects": {}}, "0 of 0 cases"),
}


@pytest.mark.parametrize(("changes", "message"), REFUSED_SUBJECTS.values(), ids=REFUSED_SUBJECTS)
def test_split_refuses_to_part_a_subject(changes, message):
    with pytest.raises(ValueError, match=rf"^data\.split\..*{message}"):
        split_cases(**{"subjects": TWINS, **FRACTIONS, **changes})


def test_folds_by_hand(monkeypatch):
    # The order that the shuffle gives decides; here it is d, a, c, b, e.
    class Shuffle:
        def permutation(self, count):
            assert count == 5
            return [3, 0, 2, 1, 4]

    monkeypatch.setattr("numpy.random.default_rng", lambda seed: Shuffle())
    subjects = {name: name[0] for name in ("a1", "a2", "b1", "c1", "c2", "d1", "e1")}
    first, second = (split_cases(subjects, 0, 0.2, 0.9, folds=2, fold=fold) for fold in (0, 1))
    assert first == Split(train=("b1", "e1"), val=("c1", "c2"), test=("a1", "a2", "d1"))
    assert second == Split(train=("a1", "a2"), val=("d1",), test=("b1", "c1", "c2", "e1"))
    # Without folds, test comes first, then val.
    assert split_cases(subjects, 0, 0.2, 0.4) == first


# Seven subjects and more: of two folds of 3 and 4, three train or validate, so that two train.
many_subjects = st.lists(st.integers(0, 8), min_size=4, max_size=30).map(
    lambda scans: {
        f"{subject}-{number}": f"s{subject}"
        for number, subject in enumerate([*scans, *range(100, 106)])
    }
)


def check_whole(split, subjects):
    parts = {name: part for part in ("train", "val", "test") for name in getattr(split, part)}
    assert len(parts) == sum(sizes(split))  # else a name is in two parts
    assert parts.keys() == subjects.keys()
    whole = {(subjects[name], part) for name, part in parts.items()}
    assert len(whole) == len({*subjects.values()})


@settings(max_examples=60, deadline=None)
@given(many_subjects, st.integers(0, 10**6), st.sampled_from([0, 0.1, 0.3]))
def test_no_subject_is_in_two_parts(subjects, seed, fraction):
    split = split_cases(subjects, seed, fraction, fraction)
    check_whole(split, subjects)
    assert (len(split.val) > 0) == (len(split.test) > 0) == (fraction > 0)
    # The same split as fixed lists: what is written down can be used again.
    again = {"val_names": split.val, "test_names": split.test}
    assert split_cases(subjects, 1, 0.5, 0.5, **again) == split
    assert split_cases(subjects, 1, 0.5, 0.5, train_names=split.train, **again) == split


@settings(max_examples=60, deadline=None)
@given(many_subjects, st.integers(0, 10**6), st.integers(2, 5))
def test_folds_test_every_case_once(subjects, seed, folds):
    splits = [split_cases(subjects, seed, 0.1, 0.5, folds=folds, fold=n) for n in range(folds)]
    for split in splits:
        check_whole(split, subjects)
    tested = Counter(name for split in splits for name in split.test)
    assert tested == dict.fromkeys(subjects, 1)
    counts = [len({subjects[name] for name in split.test}) for split in splits]
    assert max(counts) - min(counts) <= 1


def test_lists_may_name_cases_that_were_left_out():
    subjects = dict.fromkeys("abcd") | {name: name for name in "abcd"}
    lists = {"val_names": ["a", "x.nii.gz"], "test_names": ["b", "y"]}
    split = split_cases(subjects, 0, 0, 0, **lists, skipped=["x", "y", "z"])
    assert split == Split(("c", "d"), ("a",), ("b",))
    with pytest.raises(ValueError, match="no case named y"):
        split_cases(subjects, 0, 0, 0, **lists, skipped=["x"])


def test_lists_name_cases_in_any_spelling(tmp_path):
    (tmp_path / "test.txt").write_text("Mu\u0308ller.nii.gz\n", "utf-8")
    for names in (["Mu\u0308ller"], str(tmp_path / "test.txt")):
        split = split_cases({"M\u00fcller": "1", "a": "2"}, 0, 0, 0, test_names=names)
        assert split.test == ("M\u00fcller",)
