"""Real servers for order's tests: TF_TEST_REDIS (host:port) and TF_TEST_PG_DSN; without the former a private redis-server is started."""

import os
import socket

import pytest
import redis

from inventory_model import PrivateRedis, load_library


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def connect(host, port):
    # latin-1 maps bytes one to one, so that bitmaps and text travel alike.
    return redis.Redis(host=host, port=port, decode_responses=True, encoding="latin-1")


@pytest.fixture(scope="session")
def client():
    address = os.environ.get("TF_TEST_REDIS")
    server = None
    if address:
        host, port = address.rsplit(":", 1)
    else:
        server = PrivateRedis(free_port())
        host, port = "127.0.0.1", server.port
    connection = connect(host, int(port))
    load_library(connection)
    yield connection
    if server:
        server.stop()


@pytest.fixture
def server():
    """A redis-server that the test may restart; yields (server, connect)."""
    private = PrivateRedis(free_port())

    def again():
        connection = connect("127.0.0.1", private.port)
        load_library(connection)
        return connection

    yield private, again
    private.stop()
