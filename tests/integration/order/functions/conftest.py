"""Real servers for order's tests: TF_TEST_PG_DSN says where a schema may be made; redis-server is started here, because tests empty and kill it."""

import os

import psycopg
import pytest

from inventory_model import ROOT, PrivateRedis, connect, free_port, load_library


@pytest.fixture(scope="session")
def client():
    server = PrivateRedis(free_port())
    connection = connect("127.0.0.1", server.port)
    load_library(connection)
    yield connection
    server.close()


@pytest.fixture
def server():
    """A redis-server that the test may restart; yields (server, connect)."""
    private = PrivateRedis(free_port())

    def again():
        connection = connect("127.0.0.1", private.port)
        load_library(connection)
        return connection

    yield private, again
    private.close()


@pytest.fixture(scope="session")
def dsn():
    """A schema of this run's own with all tables of order."""
    base = os.environ.get("TF_TEST_PG_DSN")
    if not base:
        pytest.skip("TF_TEST_PG_DSN is not set")
    schema = f"order_sql_{os.getpid()}"
    with psycopg.connect(base, autocommit=True) as admin:
        admin.execute(f"CREATE SCHEMA {schema}")
        admin.execute(f"SET search_path = {schema}")
        for folder in ("platform", "order"):
            for file in sorted((ROOT / "sql" / folder).glob("*.sql")):
                admin.execute(file.read_text())
    yield f"{base} options='-csearch_path={schema}'"
    with psycopg.connect(base, autocommit=True) as admin:
        admin.execute(f"DROP SCHEMA {schema} CASCADE")
