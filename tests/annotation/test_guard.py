import re

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from pin_lightning.annotation.guard import MOST_BODY, Guard

TOKEN = "a-long-token_1"


def client(host="127.0.0.1:8765", **settings):
    app = FastAPI()
    app.add_middleware(Guard, limits={"/large": 10}, **settings)

    @app.api_route("/{path:path}", methods=["GET", "PUT", "POST", "DELETE"])
    async def anything(path: str, request: Request):
        return {"path": path, "size": len(await request.body())}

    return TestClient(app, base_url=f"http://{host}")


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("127.0.0.1:8765", 200),
        ("localhost:9000", 200),  # a tunnel
        ("LOCALHOST", 200),
        ("[::1]:8765", 200),
        ("evil.example:8765", 421),
        ("127.0.0.1.evil.example", 421),
        ("127.0.0.1:8765@evil.example", 421),
        ("localhost.", 421),
        ("", 421),
    ],
)
def test_only_names_of_this_machine_are_answered(host, code):
    assert client().get("/api/session", headers={"host": host}).status_code == code
    assert client(any_host=True, token=TOKEN).get("/", headers={"host": host}).status_code == 401


def test_two_hosts_are_refused():
    headers = [("host", "127.0.0.1"), ("host", "evil.example")]
    assert client().get("/", headers=headers).status_code == 400


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 200),  # no browser
        ({"origin": "http://127.0.0.1:8765"}, 200),
        ({"origin": "https://127.0.0.1:8765"}, 200),  # a proxy
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"origin": "file://127.0.0.1:8765"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
    ],
)
def test_pages_of_other_sites_change_nothing(method, headers, code):
    answer = client().request(method, "/other", headers=headers)
    assert answer.status_code == code
    assert code == 200 or "\n" not in answer.json()["detail"]


def test_pages_of_other_sites_read_nothing():
    headers = {"sec-fetch-site": "cross-site"}
    for path in ("/api/volumes", "/datastore/image", "/session/a"):
        assert client().get(path, headers=headers).status_code == 403
    assert client().get("/", headers=headers).status_code == 200  # a link to the page


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Bearer {TOKEN} "[:-2]},
        {"authorization": "Bearer Ünïcode".encode()},
        {"cookie": "pin_lightning_80=wrong"},
        {"cookie": f"pin_lightning_81={TOKEN}"},
        {"cookie": 'pin_lightning_80="; broken'},
    ],
)
def test_without_the_token_nothing_is_answered(headers):
    with client("127.0.0.1", token=TOKEN) as one:
        for path in ("/", "/api/session", "/static/a.js", "/openapi.json", f"/api?token={TOKEN}"):
            answer = one.get(path, headers=headers)
            assert answer.status_code == 401
            assert "set-cookie" not in answer.headers


def test_the_token_lets_in_by_header_and_by_the_cookie_that_the_page_sets():
    with client("127.0.0.1", token=TOKEN) as one:
        assert one.get("/api", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert one.get(f"/?token={TOKEN}x").status_code == 401
        answer = one.get(f"/?token={TOKEN}")
        assert answer.status_code == 200
        said = answer.headers["set-cookie"].lower()
        assert {"httponly", "samesite=strict", "path=/"} <= set(said.split("; "))
        assert one.get("/api").status_code == 200  # by the cookie
        assert one.put("/api", headers={"origin": "http://evil.example"}).status_code == 403


def test_cookies_of_other_programs_on_this_machine_hide_none():
    for others in ('menu={"open": 1}', "list[0]=1", "=", '"'):
        cookies = {"cookie": f"{others}; pin_lightning_80={TOKEN}; last=1"}
        with client("127.0.0.1", token=TOKEN) as one:
            assert one.get("/api", headers=cookies).status_code == 200


def test_bodies_are_bounded_also_those_of_no_length():
    def parts(size):
        yield b"x" * (size // 2)
        yield b"x" * (size - size // 2)

    with client() as one:
        assert one.put("/a", content=b"x" * MOST_BODY).json()["size"] == MOST_BODY
        assert one.put("/large/a", content=b"x" * 10).status_code == 200
        for path, size in (("/a", MOST_BODY + 1), ("/large/a", 11)):
            assert one.put(path, content=b"x" * size).status_code == 413
            assert one.put(path, content=parts(size)).status_code == 413
        assert one.put("/a", content=b"", headers={"content-length": "-1"}).status_code == 400


def test_answers_say_how_a_browser_has_to_treat_them():
    for answer in (client().get("/"), client().get("/", headers={"host": "evil.example"})):
        headers = answer.headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert not re.search("unsafe|https?:|\\*", policy)
        assert headers["cache-control"] == "no-store"
