"""A gateway of its own beside the installation's, with tight bounds and with web sites that may call: memory under hostile load, large answers, CORS."""

import contextlib
import gzip
import json
import os
import re
import socket
import subprocess
import tempfile
import time
import urllib.parse

import httpx
import pytest

from api import Api, in_threads, until
from conftest import BASE_PORT, BIN, HOME, catalogue, new_ref

PORT = BASE_PORT + 85
BUDGET = 32 << 20
BODY = 1_000_000
SHOP = "https://shop.example"


@contextlib.contextmanager
def gateway_with(**settings):
    """A second gateway on the same services; yields (its address, the address of its metrics)."""
    settings = {
        "listen": f"127.0.0.1:{PORT}",
        "admin_listen": f"127.0.0.1:{PORT + 100}",
        "instance": "gateway-edge",
        "internal_key_file": HOME / "secrets" / "internal.key",
        "redis_address": f"127.0.0.1:{BASE_PORT + 79}",
        "redis_password_file": HOME / "secrets" / "redis.password",
        "etcd_endpoints": f"127.0.0.1:{BASE_PORT + 23}",
        "etcd_user": "ticketflow",
        "etcd_password_file": HOME / "secrets" / "etcd-ticketflow.password",
        **settings,
    }
    environment = {"PATH": os.environ["PATH"]} | {f"TF_{name.upper()}": str(value) for name, value in settings.items()}
    with tempfile.TemporaryFile("w+") as log, subprocess.Popen([BIN / "tf-gateway"], env=environment, stdout=log, stderr=log) as process:
        try:

            def serves():
                if process.poll() is not None:
                    log.seek(0)
                    raise AssertionError(f"ended with {process.returncode}: {log.read()}")
                with contextlib.suppress(httpx.HTTPError):
                    return httpx.get(f"http://127.0.0.1:{PORT}/v1/programs", timeout=1).status_code == 200

            until(serves, timeout=20, what="the second gateway serves")
            yield f"http://127.0.0.1:{PORT}", f"http://127.0.0.1:{PORT + 100}"
            process.terminate()
            assert process.wait(timeout=30) == 0, "it ends by itself"
        finally:
            process.kill()


@pytest.fixture(scope="module")
def edge():
    with gateway_with(
        buffer_bytes_max=BUDGET, json_bytes_max=2 * BODY, body_timeout_ms=4000, cors_origins=f"https://other.example, {SHOP}"
    ) as addresses:
        yield addresses


def metric(admin, name, label=""):
    found = re.search(rf"^{re.escape(name + label)} (\S+)$", httpx.get(f"{admin}/metrics").text, re.M)
    return float(found.group(1)) if found else 0


def connect(base):
    url = urllib.parse.urlsplit(base)
    return socket.create_connection((url.hostname, url.port), timeout=10)


def answer_of(sock, wait):
    """What comes within the time, to the end of the connection if it ends."""
    sock.settimeout(wait)
    data = b""
    with contextlib.suppress(TimeoutError, ConnectionResetError):
        while chunk := sock.recv(65536):
            data += chunk
    return data


def parsed(data):
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return int(lines[0].split()[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}, body


# ---- memory ----


def hog(base):
    """Nearly the whole of a body, and then nothing."""
    sock = connect(base)
    with contextlib.suppress(OSError):  # refused while it is sent
        sock.sendall(f"POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {BODY}\r\n\r\n".encode())
        sock.sendall(b"x" * (BODY - 1))
    return sock


def test_bodies_beyond_the_budget_are_refused_and_service_resumes(edge):
    base, admin = edge
    large = {"content": b"x" * BODY, "headers": {"Content-Type": "application/json"}}
    with httpx.Client(timeout=20) as client:
        assert client.post(f"{base}/v1/users", **large).status_code == 400, "alone it is read, and is no JSON"
        refused_before = metric(admin, "tf_http_refused_total", '{status="503"}')
        socks = in_threads(lambda _: hog(base), range(BUDGET // BODY + 12), threads=8)
        try:
            answers = [a for a in in_threads(lambda s: answer_of(s, 0.3), socks, threads=len(socks)) if a]
            assert len(answers) >= 10
            for answer in answers:
                status, headers, body = parsed(answer)
                assert (status, headers["connection"]) == (503, "close")
                assert headers["content-type"] == "application/problem+json" and int(headers["retry-after"]) >= 1
                problem = json.loads(body)
                assert (problem["reason"], problem["status"], problem["retryable"]) == ("OVERLOADED", 503, True)
                assert problem["request_id"] == headers["x-request-id"]
            assert BUDGET * 0.8 < metric(admin, "tf_http_buffered_bytes") <= BUDGET
            # Small requests go on; the next large one does not.
            assert client.get(f"{base}/v1/programs").status_code == 200
            assert client.post(f"{base}/v1/users", json={}).json()["reason"] == "FIELD_INVALID"
            with contextlib.suppress(httpx.WriteError):
                assert client.post(f"{base}/v1/users", **large).status_code == 503
            assert metric(admin, "tf_http_refused_total", '{status="503"}') >= refused_before + len(answers)
            # Who sends no more is cut in time, and the memory is there again.
            until(lambda: metric(admin, "tf_http_buffered_bytes") == 0, timeout=15, what="the memory is free")
            assert client.post(f"{base}/v1/users", **large).status_code == 400
        finally:
            for sock in socks:
                sock.close()


def test_a_client_that_never_reads_is_cut(edge, show):
    """It asks for a large answer again and again and reads none; the server keeps one, and not for long."""
    base, admin = edge
    request = f"GET /v1/shows/{show}/seat-plan HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(connect(base)) for _ in range(3)]
        for sock in socks:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                for _ in range(2000):
                    sock.sendall(request)
        most = metric(admin, "tf_http_connections")
        time.sleep(1)
        assert metric(admin, "tf_http_buffered_bytes") < 3 * 1_000_000
        until(lambda: metric(admin, "tf_http_connections") <= most - 3, timeout=20, what="the connections are cut")
        until(lambda: metric(admin, "tf_http_buffered_bytes") == 0, timeout=10, what="the answers are forgotten")


# ---- large answers ----


@pytest.fixture(scope="module")
def show(new_show):
    return new_show(rows=60, seats=100)


def test_large_answers_are_written_beside_the_small(edge, show):
    """Unpacking a stored plan is a worker's job, and gives the same bytes for everybody."""
    base, admin = edge
    path = f"{base}/v1/shows/{show}/seat-plan"

    def written():
        return metric(admin, "tf_gateway_large_answers_total", '{outcome="written"}')

    packed = httpx.get(path, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    before = written()
    assert httpx.get(path, headers={"Accept-Encoding": "gzip"}).status_code == 200
    assert httpx.get(path, headers={"Accept-Encoding": "", "If-None-Match": packed.headers["ETag"]}).status_code == 304
    assert written() == before, "nothing to unpack"
    plain = in_threads(lambda _: httpx.get(path, headers={"Accept-Encoding": ""}), range(40), threads=8)
    assert {r.status_code for r in plain} == {200} and {r.content for r in plain} == {packed.content}
    assert written() == before + 40
    with httpx.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as response:
        assert gzip.decompress(b"".join(response.iter_raw())) == packed.content


def test_large_json_is_a_workers_job_too(edge, new_show):
    base, admin = edge
    document = catalogue(new_ref())
    detail = "Details. " * 2000 + "End."
    document["programs"][0]["texts"]["detail"] = {"zh-CN": "详情。" * 2000, "en": detail}
    show = new_show(document=document)
    path = f"{base}/v1/programs/{httpx.get(f'{base}/v1/shows/{show}').json()['show']['program_id']}"

    before = metric(admin, "tf_gateway_large_answers_total", '{outcome="written"}')
    plain = httpx.get(path, headers={"Accept-Encoding": "", "Accept-Language": "en"})
    packed = httpx.get(path, headers={"Accept-Encoding": "gzip", "Accept-Language": "en"})
    assert detail in json.dumps(plain.json()["program"]) and plain.json()["program"] == packed.json()["program"]
    assert packed.headers["Content-Encoding"] == "gzip" and "Content-Encoding" not in plain.headers
    assert metric(admin, "tf_gateway_large_answers_total", '{outcome="written"}') == before + 2


# ---- web sites ----


def test_a_page_of_an_allowed_site_may_call(edge):
    base, _ = edge
    for path, status in [("/v1/programs", 200), ("/v1/orders", 401), ("/v1/nothing", 404), ("/", 200)]:
        response = httpx.get(base + path, headers={"Origin": SHOP})
        assert response.status_code == status
        assert response.headers["Access-Control-Allow-Origin"] == SHOP
        exposed = response.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"X-Request-Id", "Retry-After", "ETag", "Allow", "WWW-Authenticate"} <= set(exposed)
        assert "Origin" in response.headers["Vary"]
        assert "Access-Control-Allow-Credentials" not in response.headers, "tokens travel in a header, not in cookies"


def test_preflight(edge):
    base, _ = edge
    asked = {"Origin": SHOP, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, idempotency-key"}
    response = httpx.options(f"{base}/v1/orders", headers=asked)
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["Access-Control-Allow-Origin"] == SHOP
    assert set(response.headers["Access-Control-Allow-Methods"].split(", ")) == {"GET", "HEAD", "POST", "OPTIONS"}
    allowed = {name.lower() for name in response.headers["Access-Control-Allow-Headers"].split(", ")}
    assert {"authorization", "content-type", "accept-language", "if-none-match", "idempotency-key", "idempotency-attempt", "x-request-id"} <= allowed
    assert int(response.headers["Access-Control-Max-Age"]) > 0 and "Origin" in response.headers["Vary"]


STRANGERS = ["https://stranger.example", "http://shop.example", "https://shop.example:8443", "https://shop.example.evil.example", "https://SHOP.example", "null", ""]


@pytest.mark.parametrize("origin", STRANGERS)
def test_other_sites_get_no_leave(edge, origin):
    base, _ = edge
    for method in ("GET", "OPTIONS"):
        headers = httpx.request(method, f"{base}/v1/programs", headers={"Origin": origin, "Access-Control-Request-Method": "GET"}).headers
        assert not any(name.lower().startswith("access-control-") for name in headers)
        assert "Origin" in headers["Vary"], "caches must not mix the two"


# ---- bounds of what is not read ----


def test_an_import_is_taken_only_from_whom_it_is_wanted(gateway, new_buyer, http):
    """Larger than other bodies may be: judged by its header, answered in words, before it is sent."""
    expected = {None: (401, "UNAUTHENTICATED"), "a.b.c": (401, "UNAUTHENTICATED"), new_buyer().token: (403, "FORBIDDEN")}
    for token, wanted in expected.items():
        with connect(gateway) as sock:
            authorization = f"Authorization: Bearer {token}\r\n" if token else ""
            sock.sendall(f"POST /v1/admin/imports HTTP/1.1\r\nHost: x\r\n{authorization}Content-Length: 9000000\r\n\r\n".encode())
            status, headers, body = parsed(answer_of(sock, 3))
        problem = json.loads(body)
        assert (status, problem["reason"]) == wanted and headers["connection"] == "close"
        assert ("www-authenticate" in headers) == (status == 401)
    assert Api(gateway, client=http).get("/v1/programs")["server_time"]
