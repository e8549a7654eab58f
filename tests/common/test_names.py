import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pin_lightning.common.names import probable_names, similarity

PAIRS = {
    "typing": ("nasoin", "nasion", True),
    "case": ("NASION", "nasion", True),
    "joined": ("left eye-inner", "Left_Eye_Inner", True),
    "leading-zero": ("p01", "p1", True),
    "blank-at-end": ("A ", "A", True),
    "other-word": ("nasion", "gonion", False),
    "numbers": ("1", "11", False),
    "numbered": ("landmark_12", "landmark_13", False),
    "tens": ("landmark_1", "landmark_10", False),
    "vertebra": ("L1", "L2", False),
    "side-word": ("left_zygion", "right_zygion", False),
    "side-end": ("zygionL", "zygionR", False),
    "side-start": ("Lzygion", "Rzygion", False),
    "side-part": ("zygion_l_upper", "zygion_r_upper", False),
    "direction": ("spina nasalis anterior", "spina nasalis posterior", False),
    "inside-a-word": ("orbitare_end", "orbitale_end", True),
}


@pytest.mark.parametrize(("rare", "usual", "alike"), PAIRS.values(), ids=PAIRS)
def test_which_names_are_taken_for_a_misspelling(rare, usual, alike):
    names = {str(case): ["else", usual] for case in range(5)} | {"odd": ["else", rare]}
    assert probable_names(names) == ({("odd", rare): usual} if alike else {})


def test_a_name_beside_the_other_or_in_many_cases_is_no_misspelling():
    usual = {str(case): ["nasion"] for case in range(6)}
    assert probable_names(usual | {"x": ["nasion", "nasoin"]}) == {}
    assert len(probable_names(usual | {"x": ["nasoin"]})) == 1
    assert probable_names(usual | {"x": ["nasoin"], "y": ["nasoin"]}) == {}  # a quarter of them
    assert probable_names({"x": ["nasion"], "y": ["nasoin"]}) == {}  # neither is the usual one


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=12), st.text(max_size=12))
def test_similarity_is_that_of_a_pair_and_one_for_the_same_name(name, other):
    assert 0 <= similarity(name, other) <= 1
    assert similarity(name, name) == 1
