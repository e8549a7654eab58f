import threading

from pin_lightning.annotation.recent import Recent


def test_the_least_recently_used_goes_first_and_the_newest_stays():
    recent, made = Recent(10), []

    def get(key, size):
        return recent.get(key, lambda: (made.append(key) or key.upper(), size))

    assert [get("a", 4), get("b", 4), get("a", 4)] == ["A", "B", "A"]
    assert made == ["a", "b"]
    get("c", 4)
    get("a", 4)
    assert made == ["a", "b", "c"]
    get("b", 4)
    assert made == ["a", "b", "c", "b"]
    get("huge", 100)
    assert recent.bytes == 100


def test_what_many_ask_for_at_once_is_made_once():
    recent, made, begin = Recent(10), [], threading.Event()

    def ask():
        recent.get("a", lambda: (begin.wait(5) and made.append(1), 1))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for one in threads:
        one.start()
    begin.set()
    for one in threads:
        one.join()
    assert made == [1]
