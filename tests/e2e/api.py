"""A client of the public HTTP interface, as a stranger would write it: httpx and nothing of ours."""

import base64
import concurrent.futures
import datetime
import http.client
import json
import secrets
import socket
import threading
import time
import urllib.parse

import httpx

CONNECTIONS = httpx.Limits(max_connections=200, max_keepalive_connections=200)


class Refused(AssertionError):
    """An answer that is not 200, with its problem document."""

    def __init__(self, response):
        self.response = response
        self.status = response.status_code
        try:
            self.problem = response.json()
        except ValueError:
            self.problem = {}
        self.reason = self.problem.get("reason")
        super().__init__(f"{response.request.method} {response.request.url}: {response.status_code} {response.text[:500]}")


def new_key():
    return secrets.token_hex(12)


class Api:
    """One caller: nobody (token None), a buyer, or an operator."""

    def __init__(self, base, token=None, language="en", client=None):
        self.base = base
        self.token = token
        self.language = language
        self.client = client or httpx.Client(timeout=20, limits=CONNECTIONS)

    def speaking(self, language):
        """The same caller, asking for another language."""
        return Api(self.base, self.token, language, self.client)

    def headers(self, key=None, headers=None):
        h = {"Accept-Language": self.language}
        if self.token:
            h["Authorization"] = f"Bearer {self.token}"
        if key:
            h["Idempotency-Key"] = key
        h.update(headers or {})
        return h

    def request(self, method, path, body=None, key=None, headers=None, params=None, content=None):
        h = self.headers(key, headers)
        if body is not None:
            content = json.dumps(body).encode()
            h.setdefault("Content-Type", "application/json")
        return self.client.request(method, self.base + path, headers=h, params=params, content=content)

    def call(self, method, path, body=None, **kw):
        response = self.request(method, path, body, **kw)
        if response.status_code != 200:
            raise Refused(response)
        return response.json()

    def get(self, path, **kw):
        return self.call("GET", path, **kw)

    def post(self, path, body=None, **kw):
        return self.call("POST", path, {} if body is None else body, **kw)

    def delete(self, path, **kw):
        return self.call("DELETE", path, **kw)

    def prepared(self, method, path, body=None, key=None, headers=None):
        """The bytes of a call, for volley()."""
        url = urllib.parse.urlsplit(self.base)
        content = b"" if body is None else json.dumps(body).encode()
        h = {"Host": url.netloc, "Connection": "close", **self.headers(key, headers)}
        if body is not None:
            h["Content-Type"] = "application/json"
        if method != "GET":
            h["Content-Length"] = str(len(content))
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in h.items()), "", ""]
        return url, "\r\n".join(lines).encode() + content

    # ---- the purchase, in words ----

    def order(self, show_id, key=None, **what):
        """what: place_nos=[…] or choices=[{"tier", "count"}], attendee_ids, names."""
        return self.post("/v1/orders", {"show_id": str(show_id), **what}, key=key or new_key())["order"]

    def prepared_order(self, show_id, key=None, **what):
        return self.prepared("POST", "/v1/orders", {"show_id": str(show_id), **what}, key=key or new_key())

    def best(self, show_id, count=1, tier=1, key=None, **what):
        return self.order(show_id, key=key, choices=[{"tier": tier, "count": count, **what}])

    def pay(self, order_no, key=None):
        """Starts an attempt; the payer has not pressed yet."""
        return self.post(f"/v1/orders/{order_no}/payments", {"method": "sandbox"}, key=key or new_key())["payment"]

    def press(self, payment):
        """The payer presses the button on the provider's page."""
        return self.client.post(payment["pay_url"])

    def check(self, payment):
        """Asks the provider through us."""
        return self.post(f"/v1/orders/{payment['order_no']}/payments/{payment['payment_id']}:check")["payment"]

    def get_order(self, order_no):
        return self.get(f"/v1/orders/{order_no}")["order"]

    def get_payment(self, payment):
        return self.get(f"/v1/orders/{payment['order_no']}/payments/{payment['payment_id']}")["payment"]

    def await_order(self, order_no, timeout=15, **members):
        """Polls until the order's members have these values."""
        until = time.monotonic() + timeout
        while True:
            order = self.get_order(order_no)
            if all(order[name] == value for name, value in members.items()):
                return order
            if time.monotonic() > until:
                raise AssertionError(f"order {order_no}: {members} not reached, is {[(n, order[n]) for n in members]}")
            time.sleep(0.05)

    def paid(self, order, payment=None):
        """Pays an order and waits until it is paid."""
        self.press(payment or self.pay(order["order_no"]))
        return self.await_order(order["order_no"], state="ORDER_STATE_PAID")

    def buy(self, show_id, count=1, tier=1, **what):
        """The whole way to a paid order."""
        by_name = "place_nos" in what or "choices" in what
        return self.paid(self.order(show_id, **what) if by_name else self.best(show_id, count, tier, **what))


# ---- many at once ----


class Answer:
    """What came back on one connection of a volley."""

    def __init__(self, status, headers, text):
        self.status, self.headers, self.text = status, headers, text
        try:
            self.body = json.loads(text)
        except ValueError:
            self.body = {}
        self.reason = None if status == 200 else self.body.get("reason", f"HTTP {status}")

    @property
    def order(self):
        return self.body["order"]

    def __repr__(self):
        return f"<{self.status} {self.reason or ''} {self.text[:200]!r}>"


def volley(calls, timeout=30):
    """Sends prepared calls at one moment, each on a connection of its own; the answers, in the order of the calls.

    All but the last byte of every call is on the wire before the first last byte is sent, so that the calls arrive within milliseconds."""
    sockets = []
    try:
        for url, request in calls:
            sock = socket.create_connection((url.hostname, url.port), timeout=timeout)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(request[:-1])
            sockets.append(sock)
        for sock, (_, request) in zip(sockets, calls):
            sock.sendall(request[-1:])
        return [_read(sock) for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


def _read(sock):
    response = http.client.HTTPResponse(sock)
    response.begin()
    return Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, response.read().decode())


def in_threads(work, items, threads=8):
    """work(item) for every item on a few threads; the results in order, the first exception raised."""
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))


class Background:
    """Runs step() again and again on threads of its own until the block ends; their first exception is raised there."""

    def __init__(self, step, threads=1):
        self._stop = threading.Event()
        self._step = step
        self._pool = concurrent.futures.ThreadPoolExecutor(threads)
        self._running = [self._pool.submit(self._loop) for _ in range(threads)]

    def _loop(self):
        while not self._stop.is_set():
            self._step()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self._stop.set()
        self._pool.shutdown(wait=True)
        if failure[0] is None:
            for running in self._running:
                running.result()


def until(condition, timeout=15, pause=0.05, what="condition"):
    """Polls until condition() is true, and returns what it returned."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} not reached within {timeout} s")
        time.sleep(pause)


# ---- reading answers ----


def moment(text):
    """Seconds since the epoch of a timestamp in an answer."""
    return datetime.datetime.fromisoformat(text).timestamp()


def places(availability, wanted=1):
    """Place numbers whose packed status is wanted (0 none or blocked, 1 free, 2 held, 3 sold)."""
    packed = base64.b64decode(availability["places"])
    return [4 * i + j for i, byte in enumerate(packed) for j in range(4) if (byte >> (2 * j)) & 3 == wanted]


def blanks(value, path=""):
    """Paths of everything in an answer that says nothing: empty texts and lists, 0, null, UNSPECIFIED."""
    if isinstance(value, dict):
        return [p for name, member in value.items() for p in blanks(member, f"{path}.{name}" if path else name)]
    if isinstance(value, list) and value:
        return [p for i, item in enumerate(value) for p in blanks(item, f"{path}[{i}]")]
    empty = value in ("", None, [], 0, "0", "0.000Z") and value is not False
    return [path] if empty or (isinstance(value, str) and value.endswith("_UNSPECIFIED")) else []


_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def resident_id(n):
    """A number of a Chinese identity card with the checksum of GB 11643; every n below 16,800,000 is another person."""
    digits = f"110101{1950 + n // 336000 % 50}{1 + n // 1000 % 12:02d}{1 + n // 12000 % 28:02d}{n % 1000:03d}"
    return digits + "10X98765432"[sum(int(d) * w for d, w in zip(digits, _WEIGHTS)) % 11]
