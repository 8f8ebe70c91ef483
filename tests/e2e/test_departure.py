"""What others notice when a gateway stops, and what the services do when a client leaves."""

import os
import signal
import threading
import time

import httpx
import pytest

from api import until
from test_edge import connect, gateway_with, metric, parsed

CLIENTS = 24
ASK = b"GET /v1/programs HTTP/1.1\r\nHost: x\r\nAccept-Encoding: identity\r\n\r\n"


def one_answer(sock):
    """The next answer on a kept connection: (status, headers). Nothing came: ConnectionError."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = sock.recv(65536)
        if not chunk:
            raise ConnectionError("closed without an answer")
        data += chunk
    status, headers, body = parsed(data)
    left = int(headers["content-length"]) - len(body)
    while left > 0:
        chunk = sock.recv(65536)
        if not chunk:
            raise ConnectionError("closed inside an answer")
        left -= len(chunk)
    return status, headers


def test_a_gateway_that_stops_loses_no_answer():
    told, lost, answered = [], [], []

    def client(base, pause):
        try:
            with connect(base) as sock:
                while True:
                    sock.sendall(ASK)
                    status, headers = one_answer(sock)
                    answered.append(status)
                    if headers.get("connection") == "close":
                        told.append(status)
                        return
                    time.sleep(pause)
        except OSError as error:
            lost.append(error)

    with gateway_with() as (base, _):
        threads = [threading.Thread(target=client, args=(base, i * 0.005)) for i in range(CLIENTS)]
        for thread in threads:
            thread.start()
        until(lambda: len(answered) > 10 * CLIENTS, what="they are served")
    # It was asked to stop, and has ended by itself.
    for thread in threads:
        thread.join(timeout=10)
    assert lost == []
    assert len(told) == CLIENTS
    assert set(answered) == {200}
    with pytest.raises(ConnectionRefusedError):
        connect(base)


def test_clients_that_leave_take_their_calls_with_them(local):
    program = local.parts()["program"]["pid"]
    with gateway_with() as (base, admin):
        before = metric(admin, "tf_rpc_client_calls_total", '{call="program ListPrograms CANCELLED"}')
        os.kill(program, signal.SIGSTOP)
        try:
            socks = [connect(base) for _ in range(CLIENTS)]
            for sock in socks:
                sock.sendall(ASK)
            time.sleep(0.5)  # under way: nobody answers
            began = time.monotonic()
            for sock in socks:
                sock.close()
            until(
                lambda: metric(admin, "tf_rpc_client_calls_total", '{call="program ListPrograms CANCELLED"}') >= before + CLIENTS,
                timeout=2,
                what="they are cancelled, long before their deadlines",
            )
            assert time.monotonic() - began < 2
        finally:
            os.kill(program, signal.SIGCONT)
        until(lambda: httpx.get(f"{base}/v1/programs").status_code == 200, what="program answers again")


def test_a_store_that_is_away_is_told_with_a_time(local, gateway, database):
    """PostgreSQL frozen: STORE_DOWN or UNKNOWN_OUTCOME or DEADLINE, soon, and with Retry-After where one may come back."""
    postgres = local.parts()["pg"]["pid"]
    children = [postgres] + [int(pid) for pid in os.popen(f"pgrep -P {postgres}").read().split()]
    try:
        for pid in children:
            os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        answers = []
        while time.monotonic() - began < 8:
            since = time.monotonic()
            answer = httpx.post(f"{gateway}/v1/sessions", json={"login": "nobody@example.org", "password": "wrong-password"}, timeout=20)
            assert time.monotonic() - since < 10
            answers.append(answer)
            time.sleep(0.1)
    finally:
        for pid in children:
            os.kill(pid, signal.SIGCONT)
    reasons = [a.json()["reason"] for a in answers]
    assert set(reasons) <= {"STORE_DOWN", "DEADLINE", "UNKNOWN_OUTCOME"}, reasons
    assert reasons[-1] == "STORE_DOWN", reasons
    assert all(int(a.headers["Retry-After"]) >= 1 for a in answers if a.json()["reason"] == "STORE_DOWN")
    until(
        lambda: httpx.post(f"{gateway}/v1/sessions", json={"login": "nobody@example.org", "password": "wrong-password"}, timeout=20).status_code == 401,
        timeout=15,
        what="it answers again",
    )
