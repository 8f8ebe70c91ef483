"""The gateway as HTTP: pictures, compression, versions, methods, headers, languages; and what clients see while the parts behind it die."""

import contextlib
import gzip
import json
import os
import re
import signal
import time
import xml.etree.ElementTree

import pytest

from api import Api, Background, new_key, until
from conftest import catalogue, new_ref

PICTURE = "/pictures/swan-lake.svg"


@pytest.fixture(scope="module")
def show(new_show):
    document = catalogue(new_ref(), rows=20, seats=30, show={"one_pending_order": False, "account_limit": 1000})
    document["programs"][0]["texts"]["detail"] = {"zh-CN": "详情。" * 300, "en": "Details. " * 300 + "End."}
    return new_show(document=document)


@pytest.fixture(scope="module")
def program(nobody, show):
    """The path of a programme with long texts."""
    return f"/v1/programs/{nobody.get(f'/v1/shows/{show}')['show']['program_id']}"


def bare(api, method, path, encoding=None, **headers):
    """One call with no encoding but the given one, and the body as it travelled."""
    headers["Accept-Encoding"] = encoding if encoding is not None else ""
    with api.client.stream(method, api.base + path, headers=headers) as response:
        return response, b"".join(response.iter_raw())


# ---- pictures ----


def named_pictures(local):
    documents = [json.loads((local.root / "catalogue" / name).read_text()) for name in ("demo.json", "self-check.json")]
    return sorted({p["picture"] for document in documents for p in document["programs"]})


def test_every_picture_of_the_catalogue_is_served(nobody, local):
    pictures = named_pictures(local)
    assert len(pictures) >= 9
    for path in pictures:
        response, data = bare(nobody, "GET", path)
        assert response.status_code == 200 and response.headers["Content-Type"] == "image/svg+xml", path
        assert len(data) < 6144 and int(response.headers["Content-Length"]) == len(data)
        root = xml.etree.ElementTree.fromstring(data)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert not re.search(rb"<script|<foreignObject|javascript:|\son\w+=|href=\"[^#]", data), path


def test_a_picture_may_be_cached_and_can_do_nothing(nobody):
    response, data = bare(nobody, "GET", PICTURE)
    headers = response.headers
    assert headers["Cache-Control"] == "public, max-age=86400"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    assert headers["Vary"] == "Accept-Encoding"
    etag = headers["ETag"]
    assert re.fullmatch(r'"[0-9a-f]{32}"', etag), "strong"

    packed, bytes_packed = bare(nobody, "GET", PICTURE, "gzip")
    assert packed.headers["Content-Encoding"] == "gzip" and gzip.decompress(bytes_packed) == data
    assert packed.headers["ETag"] != etag, "other bytes, another strong tag"

    for given in (etag, f'"x", {etag}', f"W/{etag}", "*"):
        fresh, nothing = bare(nobody, "GET", PICTURE, **{"If-None-Match": given})
        assert (fresh.status_code, nothing) == (304, b""), given
        assert fresh.headers["ETag"] == etag and fresh.headers["Cache-Control"] == headers["Cache-Control"]
    assert bare(nobody, "GET", PICTURE, **{"If-None-Match": packed.headers["ETag"]})[0].status_code == 200
    assert bare(nobody, "GET", PICTURE, "gzip", **{"If-None-Match": packed.headers["ETag"]})[0].status_code == 304


NO_PICTURES = [
    "nothing.svg",
    "",
    "swan-lake",
    "swan-lake.svg/",
    "SWAN-LAKE.svg",
    "..%2fdemo.json",
    "%2e%2e/demo.json",
    "../demo.json",
    "%73wan-lake.svg",
    "swan-lake.svg%00",
    "demo.json",
    "a" * 5000 + ".svg",
]


@pytest.mark.parametrize("name", NO_PICTURES)
def test_nothing_else_is_served(nobody, name):
    response, data = bare(nobody, "GET", f"/pictures/{name}")
    assert response.status_code == 404 and json.loads(data)["reason"] in ("NOT_FOUND", "METHOD_UNKNOWN"), name


# ---- compression ----


ENCODINGS = [
    ("gzip", True),
    ("GZIP", True),
    ("x-gzip", True),
    ("gzip, deflate, br", True),
    ("*", True),
    ("br;q=1, gzip;q=0.001", True),
    ("gzip;q=0", False),
    ("gzip;q=0.000, *", False),
    ("*;q=0", False),
    ("identity", False),
    ("br", False),
    ("gzipped", False),
    ("", False),
]


@pytest.mark.parametrize("accepted,packed", ENCODINGS)
def test_json_is_compressed_for_who_takes_it(nobody, program, accepted, packed):
    plain, data = bare(nobody, "GET", program)
    assert len(data) > 1024 and "Content-Encoding" not in plain.headers
    response, travelled = bare(nobody, "GET", program, accepted)
    assert (response.headers.get("Content-Encoding") == "gzip") == packed
    assert response.headers["Vary"] == "Accept-Encoding" and plain.headers["Vary"] == "Accept-Encoding"
    assert int(response.headers["Content-Length"]) == len(travelled)
    if packed:
        assert len(travelled) < len(data)
        travelled = gzip.decompress(travelled)
    same = [{k: v for k, v in json.loads(d).items() if k != "server_time"} for d in (data, travelled)]
    assert same[0] == same[1]


def test_small_answers_travel_as_they_are(nobody, show):
    for path in ("/", "/v1/shows/12"):
        response, data = bare(nobody, "GET", path, "gzip")
        assert len(data) < 1024 and json.loads(data) and "Content-Encoding" not in response.headers


def test_many_compressed_answers_at_once(nobody, program, show):
    """The kept stream carries nothing over from answer to answer."""
    seen = []

    def step():
        for path in (program, f"/v1/shows/{show}", f"/v1/shows/{show}/availability"):
            seen.append(nobody.get(path, headers={"Accept-Encoding": "gzip"}))

    with Background(step, threads=4):
        until(lambda: len(seen) > 300, what="300 answers")
    assert all(isinstance(answer, dict) for answer in seen)


# ---- versions ----


def test_seat_plan_by_its_tag(nobody, show):
    path = f"/v1/shows/{show}/seat-plan"
    packed, travelled = bare(nobody, "GET", path, "gzip")
    plain, data = bare(nobody, "GET", path)
    assert packed.headers["Content-Encoding"] == "gzip" and gzip.decompress(travelled) == data
    tag = packed.headers["ETag"]
    assert re.fullmatch(r'"[^"]+"', tag) and plain.headers["ETag"] == f"W/{tag}"
    for given in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        fresh, nothing = bare(nobody, "GET", path, "gzip", **{"If-None-Match": given})
        assert (fresh.status_code, nothing) == (304, b"") and fresh.headers["ETag"] == tag
        assert fresh.headers["Vary"] == "Accept-Encoding"
    assert bare(nobody, "GET", path, "gzip", **{"If-None-Match": '"other"'})[0].status_code == 200


# ---- methods ----


def test_head_is_get_without_a_body(nobody, show):
    for path in ("/", PICTURE, f"/v1/shows/{show}", f"/v1/shows/{show}/seat-plan", "/v1/nothing"):
        get, data = bare(nobody, "GET", path)
        head, nothing = bare(nobody, "HEAD", path)
        assert (head.status_code, nothing) == (get.status_code, b""), path
        for name in ("Content-Type", "ETag", "Cache-Control"):
            assert head.headers.get(name) == get.headers.get(name), (path, name)
        # Times inside may differ by a digit.
        assert abs(int(head.headers["Content-Length"]) - len(data)) < 16, path


@pytest.mark.parametrize(
    "method,path,allowed",
    [
        ("POST", PICTURE, {"GET", "HEAD", "OPTIONS"}),
        ("DELETE", "/pictures/nothing.svg", {"GET", "HEAD", "OPTIONS"}),
        ("PUT", "/v1/programs", {"GET", "HEAD", "OPTIONS"}),
        ("DELETE", "/v1/orders", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("GET", "/v1/sessions:refresh", {"POST", "OPTIONS"}),
        ("BREW", "/v1/programs", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_methods_that_a_path_does_not_offer(nobody, method, path, allowed):
    response = nobody.request(method, path)
    assert (response.status_code, response.json()["reason"]) == (405, "METHOD_NOT_ALLOWED")
    assert set(response.headers["Allow"].split(", ")) == allowed
    options = nobody.request("OPTIONS", path)
    assert (options.status_code, options.content) == (204, b"")
    assert set(options.headers["Allow"].split(", ")) == allowed


# ---- headers ----


IDS = [
    ("a-Request_01", True),
    ("x" * 64, True),
    ("x" * 65, False),
    ("short", False),
    ("with blank", False),
    ("semi;colon", False),
]


@pytest.mark.parametrize("given,kept", IDS)
def test_request_id(nobody, given, kept):
    for path in ("/v1/programs", "/v1/nothing", PICTURE):
        answered = nobody.request("GET", path, headers={"X-Request-Id": given}).headers["X-Request-Id"]
        assert (answered == given) == kept
        assert re.fullmatch(r"[A-Za-z0-9_-]{8,64}", answered)


def test_request_ids_are_made_and_told(nobody):
    responses = [nobody.request("GET", "/v1/shows/12") for _ in range(20)]
    assert len({r.headers["X-Request-Id"] for r in responses}) == 20
    assert all(r.json()["request_id"] == r.headers["X-Request-Id"] for r in responses)


@pytest.mark.parametrize("method,path", [("GET", "/"), ("GET", "/v1/programs"), ("GET", "/v1/orders"), ("GET", "/v1/nothing"), ("PUT", "/v1/programs"), ("OPTIONS", "/v1/programs")])
def test_every_answer_is_guarded(nobody, method, path):
    headers = nobody.request(method, path, headers={"Origin": "https://stranger.example"}).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert not any(name.lower().startswith("access-control-") for name in headers), "no origin was allowed"
    assert "Server" not in headers and "Set-Cookie" not in headers
    if method != "OPTIONS":
        assert headers["Cache-Control"] == "no-store"


LANGUAGES = [
    ("en", "en"),
    ("en-GB,en;q=0.9", "en"),
    ("zh", "zh-CN"),
    ("zh-TW, en;q=0.9", "zh-CN"),
    ("zh;q=0.2, en;q=0.8", "en"),
    ("fr, de;q=0.9, en;q=0.1", "en"),
    ("fr", "zh-CN"),
    ("*", "zh-CN"),
    ("en;q=0", "zh-CN"),
    (";;q==,,", "zh-CN"),
]


@pytest.mark.parametrize("wanted,got", LANGUAGES)
def test_language(nobody, show, program, wanted, got):
    refusal = nobody.request("GET", "/v1/shows/12", headers={"Accept-Language": wanted})
    assert refusal.headers["Content-Language"] == got
    assert refusal.json()["title"] == {"en": "This does not exist.", "zh-CN": "内容不存在。"}[got]
    title = nobody.get(program, headers={"Accept-Language": wanted})["program"]["title"]
    assert title == {"en": "Test Show", "zh-CN": "测试演出"}[got]


# ---- parts that die ----


@contextlib.contextmanager
def frozen(local, part):
    """The part is there and does nothing; it goes on afterwards."""
    pid = local.parts()[part]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def killed(local, part):
    before = local.parts()[part]
    os.kill(before["pid"], signal.SIGKILL)
    return before


def await_new(local, part, before):
    def running():
        now = local.parts()[part]
        return now["state"] == "running" and now["pid"] != before["pid"]

    until(running, timeout=30, what=f"another {part}")


def assert_honest(response):
    """A refusal that says what to do next: the same call again."""
    problem = response.json()
    assert response.status_code in (503, 504), response.text
    assert problem["reason"] in ("STORE_DOWN", "UNKNOWN_OUTCOME", "OVERLOADED", "DEADLINE"), problem
    assert problem["retryable"] is True
    assert response.status_code == 504 or int(response.headers["Retry-After"]) >= 1
    assert "127.0.0.1" not in response.text and "ticketflow." not in response.text, "nothing internal"


@pytest.mark.parametrize("part", ["program", "order"])
def test_a_service_is_killed_while_requests_run(local, nobody, buyers, show, part):
    gateway = local.parts()["gateway"]
    buyer = buyers(1)[0]
    counts = {"good": 0, "refused": 0}

    def step():
        responses = [buyer.request("GET", f"/v1/shows/{show}"), buyer.request("GET", f"/v1/shows/{show}/availability")]
        responses.append(buyer.request("POST", "/v1/orders", {"show_id": show, "choices": [{"tier": 1, "count": 1}]}, key=new_key()))
        for response in responses:
            if response.status_code == 200:
                counts["good"] += 1
            else:
                assert_honest(response)
                counts["refused"] += 1

    def more(what, n):
        start = counts[what]
        until(lambda: counts[what] >= start + n, timeout=30, what=f"{n} answers {what}")

    with Background(step, threads=4):
        more("good", 30)
        before = killed(local, part)
        more("refused", 1)
        await_new(local, part, before)
        more("good", 60)
    assert local.parts()["gateway"]["pid"] == gateway["pid"], "the gateway stays"
    print(f"{part}: {counts}")


def test_keys_are_fetched_when_user_comes_back(local, nobody, new_buyer, show):
    """user is away when the gateway starts: strangers are served, sessions are neither believed nor sent away, and go on by themselves."""
    buyer = new_buyer()
    with frozen(local, "user"):
        before = killed(local, "gateway")
        await_new(local, "gateway", before)
        until(lambda: nobody.request("GET", f"/v1/shows/{show}").status_code == 200, what="a public answer")
        began = time.monotonic()
        response = buyer.request("GET", "/v1/orders")
        assert_honest(response)
        assert time.monotonic() - began < 10
        assert nobody.request("GET", "/v1/orders").status_code == 401
        forged = Api(nobody.base, "e30.e30.AAAA", client=nobody.client).request("GET", "/v1/orders")
        assert forged.status_code in (401, 503), forged.text
    until(lambda: buyer.request("GET", "/v1/orders").status_code == 200, timeout=30, what="the session's orders")


def test_known_keys_stay_in_use_without_user(local, new_buyer, show):
    buyer = new_buyer()
    with frozen(local, "user"):
        for _ in range(5):
            assert buyer.request("GET", "/v1/orders").status_code == 200
        assert buyer.best(show)["state"] == "ORDER_STATE_PENDING_PAYMENT"


def test_traffic_goes_on_without_etcd(local, buyers, show):
    """Longer than a registration lives: the last known members are used. After that etcd is killed outright."""
    buyer = buyers(1)[0]
    good = []

    def step():
        responses = [buyer.request("GET", f"/v1/shows/{show}"), buyer.request("GET", "/v1/orders")]
        assert [r.status_code for r in responses] == [200, 200], [r.text for r in responses]
        good.append(time.monotonic())
        time.sleep(0.02)

    with Background(step, threads=2):
        with frozen(local, "etcd"):
            time.sleep(12)
            paused = len(good)
            assert paused > 100
        before = killed(local, "etcd")
        await_new(local, "etcd", before)
        until(lambda: len(good) > paused + 100, what="a hundred more answers")
    assert buyer.best(show)["state"] == "ORDER_STATE_PENDING_PAYMENT"
