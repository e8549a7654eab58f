import time

from pin_lightning.annotation import proposals
from pin_lightning.annotation.proposals import Proposals

PLACE = {"nose": (1.0, 2.0, 3.0)}


def test_what_goes_wrong_with_one_ends_nothing(tmp_path, monkeypatch):
    told, write_json = [], proposals.write_json

    def make(key):
        if key == "b":
            raise RuntimeError("of a library")
        return PLACE

    def write(path, content):
        if path.stem == "a":
            raise OSError(28, "No space left on device")
        write_json(path, content)

    monkeypatch.setattr(proposals, "write_json", write)
    known = Proposals(tmp_path, make, told.append)
    for number, key in enumerate("abc", 1):
        known.ask(key)
        while len(told) < number:
            time.sleep(0.01)
        assert not known.is_coming(key)
    assert told == ["a", "b", "c"]
    assert known.of("c") == PLACE
    assert known.of("b") == {}
    assert [known.is_due(key) for key in "abcd"] == [False, False, False, True]
    known.begin_anew()
    assert [known.is_due(key) for key in "abcd"] == [False, True, False, True]
    known.close()
