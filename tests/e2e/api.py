"""A client of the public HTTP interface, as a stranger would write it: httpx and nothing of ours."""

import json
import secrets
import time

import httpx


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
        self.client = client or httpx.Client(timeout=20, limits=httpx.Limits(max_connections=200, max_keepalive_connections=200))

    def request(self, method, path, body=None, key=None, headers=None, params=None, content=None):
        h = {"Accept-Language": self.language}
        if self.token:
            h["Authorization"] = f"Bearer {self.token}"
        if key:
            h["Idempotency-Key"] = key
        h.update(headers or {})
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

    # ---- the purchase, in words ----

    def order(self, show_id, key=None, **what):
        """what: place_nos=[…] or choices=[{"tier", "count"}], attendee_ids, names."""
        return self.post("/v1/orders", {"show_id": str(show_id), **what}, key=key or new_key())["order"]

    def best(self, show_id, count=1, tier=1, key=None, **what):
        return self.order(show_id, key=key, choices=[{"tier": tier, "count": count, **what}])

    def pay(self, order_no, key=None):
        """Starts an attempt; the payer has not pressed yet."""
        return self.post(f"/v1/orders/{order_no}/payments", {"method": "sandbox"}, key=key or new_key())["payment"]

    def press(self, payment):
        """The payer presses the button on the provider's page."""
        return self.client.post(payment["pay_url"])

    def get_order(self, order_no):
        return self.get(f"/v1/orders/{order_no}")["order"]

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

    def buy(self, show_id, count=1, tier=1, **what):
        """The whole way to a paid order."""
        order = self.best(show_id, count, tier, **what) if "place_nos" not in what else self.order(show_id, **what)
        self.press(self.pay(order["order_no"]))
        return self.await_order(order["order_no"], state="ORDER_STATE_PAID")


def places(availability, wanted=1):
    """Place numbers whose packed status is wanted (0 none or blocked, 1 free, 2 held, 3 sold)."""
    import base64

    packed = base64.b64decode(availability["places"])
    return [4 * i + j for i, byte in enumerate(packed) for j in range(4) if (byte >> (2 * j)) & 3 == wanted]
