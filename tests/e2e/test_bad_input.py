"""Hostile input, each answered clearly and without side effect: malformed documents, wrong types, other people's things, framing, tokens."""

import base64
import concurrent.futures
import json
import re
import secrets
import socket
import time

import pytest

from api import Api, Refused, new_key, places


@pytest.fixture(scope="module")
def show(new_show):
    return new_show(rows=3, seats=10, account_limit=4, order_limit=4)


@pytest.fixture(scope="module")
def some_buyer(new_buyer):
    return new_buyer()


def refused(api, method, path, **kw):
    response = api.request(method, path, **kw)
    problem = response.json()
    assert response.headers["Content-Type"].startswith("application/problem+json"), response.text
    assert problem["status"] == response.status_code
    assert problem["title"] and problem["request_id"] == response.headers["X-Request-Id"]
    return response.status_code, problem["reason"], problem.get("field")


def order_body(show, **change):
    return {"show_id": show, "choices": [{"tier": 1, "count": 1}], **change}


BAD_DOCUMENTS = [
    ("empty text", b"x"),
    ("cut off", b'{"show_id":"1"'),
    ("two values", b"{} {}"),
    ("an array", b"[]"),
    ("a string", b'"order"'),
    ("invalid UTF-8", b'{"request_note":"\xff"}'),
    ("a lone surrogate", b'{"show_id":"\\ud800"}'),
    ("a duplicate member", b'{"show_id":"1","show_id":"2"}'),
    ("a duplicate member in two spellings", b'{"show_id":"1","showId":"1"}'),
    ("an overlong character", b'{"show_id":"\xc0\xaf"}'),
    ("a byte order mark", b'\xef\xbb\xbf{"show_id":"1"}'),
    ("UTF-16", '{"show_id":"1"}'.encode("utf-16")),
    ("a NUL byte", b'{"show_id":"1\x00"}'),
    ("a NUL byte behind the document", b'{"show_id":"1"}\x00'),
    ("a NUL byte as an escape", b'{"names":["a\\u0000b"]}'),
    ("not a number", b'{"show_id":NaN}'),
    ("too deep", b'{"choices":' + b"[" * 2000 + b"]" * 2000 + b"}"),
    ("far too deep", b"[" * 200000),
]


@pytest.mark.parametrize("name,document", BAD_DOCUMENTS, ids=[n for n, _ in BAD_DOCUMENTS])
def test_malformed_documents(some_buyer, name, document):
    status, reason, _ = refused(some_buyer, "POST", "/v1/orders", content=document, key=new_key(), headers={"Content-Type": "application/json"})
    assert (status, reason) == (400, "FIELD_INVALID")


BAD_ORDERS = [
    ("a price is not the client's to say", {"price_minor": 1}, "price_minor"),
    ("a total is not the client's to say", {"total_minor": "1"}, "total_minor"),
    ("another's user id", {"user_id": "5"}, "user_id"),
    ("the key in the body", {"request_id": "abcdefgh1234"}, "request_id"),
    ("an id as an object", {"show_id": {}}, "show_id"),
    ("an id as a fraction", {"show_id": 1.5}, "show_id"),
    ("an id beyond 2^63", {"show_id": "9223372036854775808"}, "show_id"),
    ("an id far beyond", {"show_id": 10**30}, None),
    ("choices as an object", {"choices": {}}, "choices"),
    ("a tier as a string of letters", {"choices": [{"tier": "one", "count": 1}]}, "choices[0].tier"),
    ("a tier beyond 2^31", {"choices": [{"tier": 2**31, "count": 1}]}, "choices[0].tier"),
    ("no such tier", {"choices": [{"tier": 9, "count": 1}]}, "choices[0].tier"),
    ("a negative count", {"choices": [{"tier": 1, "count": -1}]}, "choices[0].count"),
    ("a count of zero", {"choices": [{"tier": 1, "count": 0}]}, "choices[0].count"),
    ("an unknown member inside", {"choices": [{"tier": 1, "count": 1, "price": 0}]}, "choices[0].price"),
    ("nothing chosen", {"choices": []}, None),
    ("both ways of choosing", {"place_nos": [32]}, None),
    ("attendees that the show does not ask for", {"attendee_ids": ["1"]}, "attendee_ids"),
    ("names that the show does not ask for", {"names": ["x"]}, "names"),
]


@pytest.mark.parametrize("name,change,field", BAD_ORDERS, ids=[n for n, _, _ in BAD_ORDERS])
def test_orders_refused_by_field(some_buyer, show, name, change, field):
    status, reason, at = refused(some_buyer, "POST", "/v1/orders", body=order_body(show, **change), key=new_key())
    assert (status, reason) == (400, "FIELD_INVALID")
    if field:
        assert at == field


def test_places_refused(some_buyer, show, new_show, nobody):
    def order(**what):
        return refused(some_buyer, "POST", "/v1/orders", body={"show_id": show, **what}, key=new_key())

    free = places(nobody.get(f"/v1/shows/{show}/availability"))
    assert order(place_nos=[free[0], free[0]]) == (400, "FIELD_INVALID", "place_nos[1]")
    assert order(place_nos=[31])[1:] == ("FIELD_INVALID", "place_nos[0]")
    assert order(place_nos=[-5])[1:] == ("FIELD_INVALID", "place_nos[0]")
    assert order(place_nos=[free[-1] + 1])[1:] == ("FIELD_INVALID", "place_nos[0]")  # the padding behind the last place
    assert order(place_nos=[2**31 - 1])[1:] == ("FIELD_INVALID", "place_nos[0]")
    assert order(place_nos=free[:5])[1] in ("FIELD_INVALID", "LIMIT_EXCEEDED")
    assert order(place_nos=list(range(32, 20032)))[0] == 400


def test_no_side_effect(some_buyer, show, nobody):
    """After all of the refusals above the show is untouched and the buyer has no order."""
    availability = nobody.get(f"/v1/shows/{show}/availability")
    assert availability["tiers"][0]["free"] == availability["tiers"][0]["capacity"] == 30
    assert some_buyer.get("/v1/orders")["orders"] == []
    assert some_buyer.get(f"/v1/shows/{show}/allowance")["used"] == 0


BAD_KEYS = [None, "short", "x" * 65, "with blank 123", "späße-12345"]


@pytest.mark.parametrize("key", BAD_KEYS, ids=["none", "short", "long", "blank", "letters"])
def test_keys(some_buyer, show, key):
    headers = {"Idempotency-Key": key.encode() if key and not key.isascii() else key} if key else {}
    status, reason, field = refused(some_buyer, "POST", "/v1/orders", body=order_body(show), headers=headers)
    assert (status, reason, field) == (400, "FIELD_INVALID", "Idempotency-Key")


BODY_HEADERS = [
    ("no type", {}, "Content-Type"),
    ("text", {"Content-Type": "text/plain"}, "Content-Type"),
    ("a form", {"Content-Type": "application/x-www-form-urlencoded"}, "Content-Type"),
    ("another charset", {"Content-Type": "application/json; charset=iso-8859-1"}, "Content-Type"),
    ("nearly JSON", {"Content-Type": "application/jsonp"}, "Content-Type"),
    ("compressed", {"Content-Type": "application/json", "Content-Encoding": "gzip"}, "Content-Encoding"),
]


@pytest.mark.parametrize("name,headers,field", BODY_HEADERS, ids=[n for n, _, _ in BODY_HEADERS])
def test_bodies_of_another_kind(some_buyer, show, name, headers, field):
    body = json.dumps(order_body(show)).encode()
    assert refused(some_buyer, "POST", "/v1/orders", content=body, key=new_key(), headers=headers) == (400, "FIELD_INVALID", field)


def test_a_body_where_none_is_taken(nobody):
    response = nobody.request("GET", "/v1/programs", content=b"{}")
    assert (response.status_code, response.json()["reason"]) == (400, "FIELD_INVALID") and "field" not in response.json()


def test_texts_and_bodies_too_large(nobody, some_buyer):
    status, reason, field = refused(nobody, "POST", "/v1/users", body={"email": "a@b.example", "password": "x" * 5000})
    assert (status, reason, field) == (400, "FIELD_INVALID", "password")
    response = some_buyer.request("POST", "/v1/attendees", content=b'{"name":"' + b"x" * (20 << 20) + b'"}', headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["reason"]) == (413, "TOO_LARGE")


def test_bodies_too_large_are_refused_by_their_header(gateway):
    """In words, before they are sent, and the connection ends; nothing is asked for with 100 Continue."""
    head = b"POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    for framing in (
        b"Content-Length: 300000\r\n\r\n",
        b"Content-Length: 99999999999\r\n\r\n",
        b"Content-Length: 300000\r\nExpect: 100-continue\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5000000\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n40000\r\n",
    ):
        answer = raw(gateway, head + framing, timeout=3)
        assert answer.startswith(b"HTTP/1.1 413 ") and answer.count(b"HTTP/1.1 ") == 1, framing
        assert b"Connection: close\r\n" in answer
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["reason"] == "TOO_LARGE"


def test_other_methods_and_paths(nobody, some_buyer):
    assert refused(nobody, "GET", "/v1/nothing")[:2] == (404, "METHOD_UNKNOWN")
    response = nobody.request("PATCH", "/v1/programs")
    assert response.status_code == 405 and "GET" in response.headers["Allow"]
    assert refused(nobody, "GET", "/v1/programs", params={"colour": "red"})[1:] == ("FIELD_INVALID", "colour")
    assert refused(nobody, "GET", "/v1/programs", params={"page_size": "101"})[1:] == ("FIELD_INVALID", "page_size")
    assert refused(nobody, "GET", "/v1/programs", params={"page_token": "!!"})[1:] == ("FIELD_INVALID", "page_token")
    assert refused(nobody, "GET", "/v1/shows/9223372036854775808")[:2] == (400, "FIELD_INVALID")
    assert refused(some_buyer, "POST", "/v1/orders", body={"show_id": "12", "choices": [{"tier": 1, "count": 1}]}, key=new_key())[:2] == (404, "NOT_FOUND")
    assert refused(nobody, "GET", "/v1/shows/12")[:2] == (404, "NOT_FOUND")
    assert refused(some_buyer, "GET", "/v1/orders/12")[:2] == (404, "NOT_FOUND")
    # Internal calls have no path at all.
    assert refused(nobody, "POST", "/ticketflow.order.v1.OrderService/GetPayable", body={})[:2] == (404, "METHOD_UNKNOWN")


PATHS = [
    ("a NUL byte", "/v1/shows/%00", 400, "FIELD_INVALID"),
    ("a NUL byte inside", "/v1/shows/1%002", 400, "FIELD_INVALID"),
    ("no hex", "/v1/shows/%zz", 400, "FIELD_INVALID"),
    ("half a byte", "/v1/shows/%2", 400, "FIELD_INVALID"),
    ("not UTF-8", "/v1/shows/%ff", 400, "FIELD_INVALID"),
    ("a slash inside a segment", "/v1/shows/1%2f2", 400, "FIELD_INVALID"),
    ("a slash for a separator", "/v1/shows%2F12", 404, "METHOD_UNKNOWN"),
    ("dots", "/v1/../v1/programs", 404, "METHOD_UNKNOWN"),
    ("encoded dots", "/v1/%2e%2e/v1/programs", 404, "METHOD_UNKNOWN"),
    ("a dot", "/v1/./programs", 404, "METHOD_UNKNOWN"),
    ("two slashes", "//v1/programs", 404, "METHOD_UNKNOWN"),
    ("a slash at the end", "/v1/programs/", 404, "METHOD_UNKNOWN"),
    ("upper case", "/V1/programs", 404, "METHOD_UNKNOWN"),
    ("an encoded colon is no verb", "/v1/orders/1%3Acancel", 400, "FIELD_INVALID"),
    ("a verb that is none", "/v1/shows/12:explode", 404, "METHOD_UNKNOWN"),
    ("a colon alone", "/v1/shows/:", 404, "METHOD_UNKNOWN"),
    ("three thousand segments", "/a" * 3000, 404, "METHOD_UNKNOWN"),
    ("ten thousand digits", "/v1/shows/" + "9" * 10000, 400, "FIELD_INVALID"),
    ("a sign", "/v1/shows/+1", 400, "FIELD_INVALID"),
    ("below zero", "/v1/shows/-1", 404, "NOT_FOUND"),
    ("hexadecimal", "/v1/shows/0x10", 400, "FIELD_INVALID"),
    ("a NUL byte in the query", "/v1/programs?page_token=%00", 400, "FIELD_INVALID"),
    ("a parameter twice", "/v1/programs?page_size=1&page_size=2", 400, "FIELD_INVALID"),
    ("a hundred parameters", "/v1/programs?" + "&".join(["page_size=1"] * 100), 400, "FIELD_INVALID"),
]


@pytest.mark.parametrize("name,path,status,reason", PATHS, ids=[n for n, *_ in PATHS])
def test_absurd_paths(gateway, some_buyer, name, path, status, reason):
    """As written: a client's library would tidy them up."""
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {some_buyer.token}\r\n\r\n"
    answer = raw(gateway, head.encode())
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    problem = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert (problem["status"], problem["reason"]) == (status, reason)


def test_other_peoples_things(new_buyer, show, operator):
    me, other = new_buyer(), new_buyer()
    order = me.best(show)
    number = order["order_no"]
    payment = me.pay(number)
    ticket = order["tickets"][0]["ticket_id"]
    mine = me.post("/v1/attendees", {"name": "Me", "id_type": "ID_TYPE_PASSPORT", "id_number": "E" + secrets.token_hex(4)})["attendee"]
    for method, path, kw in [
        ("GET", f"/v1/orders/{number}", {}),
        ("POST", f"/v1/orders/{number}:cancel", {"body": {}}),
        ("POST", f"/v1/orders/{number}/payments", {"body": {}, "key": new_key()}),
        ("GET", f"/v1/orders/{number}/payments/{payment['payment_id']}", {}),
        ("POST", f"/v1/orders/{number}/payments/{payment['payment_id']}:check", {"body": {}}),
        ("GET", f"/v1/tickets/{ticket}", {}),
        ("DELETE", f"/v1/attendees/{mine['attendee_id']}", {}),
    ]:
        assert refused(other, method, path, **kw)[:2] == (404, "NOT_FOUND"), path
    assert other.get(f"/v1/orders/{number}/payments")["payments"] == []
    for path in ["/v1/admin/orders/1:refund", "/v1/admin/shows/1:pause", "/v1/admin/tickets:redeem"]:
        assert refused(me, "POST", path, body={})[:2] == (403, "FORBIDDEN"), path
    assert me.get_order(number)["state"] == "ORDER_STATE_PENDING_PAYMENT"
    me.post(f"/v1/orders/{number}:cancel")


def forge(token, **claims):
    head, body, signature = token.split(".")
    document = json.loads(base64.urlsafe_b64decode(body + "=="))
    document.update(claims)
    return ".".join([head, base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("="), signature])


def test_tokens(gateway, some_buyer, http):
    token = some_buyer.token
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    bad = {
        "forged claims": forge(token, sub="1"),
        "roles added": forge(token, roles=["ROLE_PLATFORM_OPERATOR"]),
        "a longer life": forge(token, exp=2**40),
        "no algorithm": none + "." + token.split(".")[1] + ".",
        "signature cut": token[:-2],
        "another text": "hello",
        "empty parts": "..",
        "very long": "a" * 9000,
    }
    for name, text in bad.items():
        api = Api(gateway, text, client=http)
        response = api.request("GET", "/v1/users/me")
        assert response.status_code in (401, 431), name
        if response.status_code == 401:
            assert response.json()["reason"] == "UNAUTHENTICATED", name
            assert "WWW-Authenticate" in response.headers
    response = Api(gateway, client=http).request("GET", "/v1/users/me")
    assert response.status_code == 401 and response.json()["reason"] == "UNAUTHENTICATED"
    # No header switches the check off.
    for header in ("X-User-Id", "tf-identity-bin", "X-Internal", "no_verify", "debug"):
        assert Api(gateway, client=http).request("GET", "/v1/users/me", headers={header: "1"}).status_code == 401


def test_expired_and_foreign_tokens(gateway, some_buyer, http, local):
    """A token of ours whose time is over, signed with the installation's key, as only this machine can; and somebody else's."""
    signing = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    seed = (local.home / "secrets" / "user-signing.key").read_bytes()
    key = signing.Ed25519PrivateKey.from_private_bytes(seed)
    head, body, _ = some_buyer.token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))

    def signed(**change):
        text = head + "." + base64.urlsafe_b64encode(json.dumps({**claims, **change}).encode()).decode().rstrip("=")
        return text + "." + base64.urlsafe_b64encode(key.sign(text.encode())).decode().rstrip("=")

    assert Api(gateway, signed(), client=http).request("GET", "/v1/users/me").status_code == 200
    assert Api(gateway, signed(exp=int(time.time()) - 60), client=http).request("GET", "/v1/users/me").status_code == 401
    # Of another installation: well signed, by a key that is nobody's here, under its own name and under ours.
    foreign = signing.Ed25519PrivateKey.generate()
    for kid in (secrets.token_hex(8), json.loads(base64.urlsafe_b64decode(head + "=="))["kid"]):
        own = base64.urlsafe_b64encode(json.dumps({"alg": "EdDSA", "typ": "JWT", "kid": kid}).encode()).decode().rstrip("=")
        text = f"{own}.{body}"
        text += "." + base64.urlsafe_b64encode(foreign.sign(text.encode())).decode().rstrip("=")
        response = Api(gateway, text, client=http).request("GET", "/v1/users/me")
        assert (response.status_code, response.json()["reason"]) == (401, "UNAUTHENTICATED"), kid
    assert Api(gateway, signed(iss="somebody"), client=http).request("GET", "/v1/users/me").status_code == 401


def test_session_tokens(new_buyer, gateway, http):
    buyer = new_buyer()
    first = buyer.tokens["refresh_token"]
    second = buyer.post("/v1/sessions:refresh", {"refresh_token": first})["tokens"]["refresh_token"]
    assert second != first
    assert refused(buyer, "POST", "/v1/sessions:refresh", body={"refresh_token": first})[:2] == (401, "UNAUTHENTICATED")
    # The second use of the first ended the session for everybody.
    assert refused(buyer, "POST", "/v1/sessions:refresh", body={"refresh_token": second})[:2] == (401, "UNAUTHENTICATED")
    assert refused(buyer, "POST", "/v1/sessions", body={"login": buyer.login["email"], "password": "wrong password"})[:2] == (401, "CREDENTIALS_WRONG")
    assert refused(buyer, "POST", "/v1/sessions", body={"login": "nobody@nowhere.example", "password": "wrong password"})[:2] == (401, "CREDENTIALS_WRONG")
    assert refused(buyer, "POST", "/v1/users", body=buyer.login)[::2] == (409, "email")


# ---- below the parsed request: raw sockets ----


def raw(gateway, data, timeout=10, linger=0):
    host, port = gateway.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=timeout) as s:
        s.sendall(data)
        if linger:
            time.sleep(linger)
        answer = b""
        try:
            while chunk := s.recv(65536):
                answer += chunk
        except (TimeoutError, ConnectionResetError):
            pass
        return answer


FRAMING = [
    ("two lengths", b"POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x"),
    ("two equal lengths", b"POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}"),
    ("length and chunks", b"POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
    ("a negative length", b"POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: -2\r\n\r\n{}"),
    ("a list of lengths", b"POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: 2, 2\r\n\r\n{}"),
    ("a length with a sign", b"POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\n{}"),
    ("a blank before the colon", b"GET /v1/programs HTTP/1.1\r\nHost : x\r\n\r\n"),
    ("a folded header", b"GET /v1/programs HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n 2\r\n\r\n"),
    ("an unknown coding", b"POST /v1/users HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n{}"),
    ("chunks in HTTP/1.0", b"POST /v1/users HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
    ("chunks without a size", b"POST /v1/users HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
    ("a length beyond 64 bits", b"POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n{}"),
    ("no host", b"GET /v1/programs HTTP/1.1\r\n\r\n"),
    ("two hosts", b"GET /v1/programs HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
    ("lines that end with LF alone", b"GET /v1/programs HTTP/1.1\nHost: x\n\n"),
    ("a NUL byte in a header", b"GET /v1/programs HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n"),
    ("a fragment", b"GET /v1/programs#a HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("bytes that are no ASCII in the path", b"GET /v1/shows/\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("a tunnel", b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("HTTP/0.9", b"GET /v1/programs\r\n\r\n"),
    ("HTTP/2 by surprise", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("an expectation that nobody has", b"POST /v1/users HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\nContent-Length: 2\r\n\r\n{}"),
    ("no request line", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
]


@pytest.mark.parametrize("name,data", FRAMING, ids=[n for n, _ in FRAMING])
def test_ambiguous_framing(gateway, name, data):
    answer = raw(gateway, data + b"GET /v1/programs HTTP/1.1\r\nHost: x\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] in (b"400", b"413", b"417", b"501", b"505"), head
    assert body == b"" and b"\r\nConnection: close" in head, "bare, and the connection must not go on"


def test_header_too_large(gateway):
    answer = raw(gateway, b"GET /v1/programs HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 100000 + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431")
    answer = raw(gateway, b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431")
    many = b"".join(b"X-%d: 1\r\n" % i for i in range(101))
    answer = raw(gateway, b"GET /v1/programs HTTP/1.1\r\nHost: x\r\n" + many + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 431")


def test_connections_that_go_on(gateway):
    """Pipelined requests are answered in their order; HTTP/1.0 ends unless it asks; a close is heeded; a body is asked for."""

    def get(path, more=b"", version=b"1.1"):
        return b"GET " + path + b" HTTP/" + version + b"\r\nHost: x\r\n" + more + b"\r\n"

    answer = raw(gateway, b"".join(get(b"/v1/shows/%d" % n) for n in range(1, 60)) + get(b"/v1/nothing", b"Connection: close\r\n"))
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"404"] * 60
    assert re.findall(rb'"reason":"(\w+)"', answer) == [b"NOT_FOUND"] * 59 + [b"METHOD_UNKNOWN"]
    assert re.findall(rb"HTTP/1.1 (\d+)", raw(gateway, get(b"/", version=b"1.0") * 2)) == [b"200"]
    kept = b"Connection: keep-alive\r\n"
    assert re.findall(rb"HTTP/1.1 (\d+)", raw(gateway, get(b"/", kept, b"1.0") + get(b"/", version=b"1.0"))) == [b"200", b"200"]
    assert re.findall(rb"HTTP/1.1 (\d+)", raw(gateway, get(b"/", b"Connection: close\r\n") + get(b"/"))) == [b"200"]
    waiting = b"POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    assert raw(gateway, waiting, timeout=1) == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_options_of_the_server(gateway):
    answer = raw(gateway, b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 204 ")
    allowed = re.search(rb"\r\nAllow: ([A-Z, ]+)\r\n", answer).group(1).split(b", ")
    assert {b"GET", b"HEAD", b"POST", b"DELETE", b"OPTIONS"} <= set(allowed)


def test_slow_senders_are_cut(gateway):
    """A header, and a body, that come a byte a second are cut off at the deadline, not kept for ever."""
    host, port = gateway.removeprefix("http://").split(":")

    def drip(start):
        began = time.monotonic()
        with socket.create_connection((host, int(port)), timeout=2) as s:
            s.sendall(start)
            while time.monotonic() - began < 60:
                try:
                    s.sendall(b"a")
                    s.settimeout(1)
                    if s.recv(65536) == b"":
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
        return time.monotonic() - began

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        header = pool.submit(drip, b"GET /v1/programs HTTP/1.1\r\nHost: x\r\nX-A: ")
        body = pool.submit(drip, b"POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n")
        assert header.result() < 40
        assert body.result() < 40
