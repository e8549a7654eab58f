import asyncio
import json

from pin_lightning.annotation import events as module
from pin_lightning.annotation.events import Events
from pin_lightning.annotation.looking import SECONDS, Looking


def heard(events, number, act):
    async def listen():
        stream = events.stream()
        lines = [await anext(stream)]
        act()
        lines += [await anext(stream) for _ in range(number)]
        events.close()
        return lines + [one async for one in stream]

    return asyncio.run(listen())


def test_all_that_is_published_is_heard_in_order():
    events = Events()

    def publish():
        for number in range(3):
            events.publish("volume", {"name": "Ä\n\n", "number": number})

    first, *lines = heard(events, 3, publish)
    assert first.startswith("retry")
    for number, text in enumerate(lines):
        kind, data = text.rstrip("\n").split("\n")
        assert kind == "event: volume"
        assert json.loads(data.removeprefix("data: ")) == {"name": "Ä\n\n", "number": number}
    assert not events._listeners


def test_of_a_page_that_does_not_listen_the_newest_are_kept(monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    events = Events()
    lines = heard(events, 2, lambda: [events.publish("volume", {"n": n}) for n in range(9)])
    assert ['"n": 7' in lines[1], '"n": 8' in lines[2]] == [True, True]


def test_a_connection_is_kept_open(monkeypatch):
    monkeypatch.setattr(module, "SECONDS_ALIVE", 0.01)
    assert heard(Events(), 1, lambda: None)[1].startswith(":")


def test_who_says_nothing_looks_no_more():
    now = 0.0
    looking = Looking(lambda: now)
    assert looking.note("a", "tab")
    assert not looking.note("a", "tab")
    assert looking.note("b", "tab")  # it has gone on to another volume
    assert (looking.at("a"), looking.at("b")) == ([], ["tab"])
    now += SECONDS + 1
    assert looking.at("b") == []
    assert not looking.note("b", "tab", closed=True)
    looking.note("b", "tab")
    assert looking.note("b", "tab", closed=True)
    assert looking.at("b") == []
