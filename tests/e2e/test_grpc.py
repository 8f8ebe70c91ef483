"""The services over gRPC with a client that is not ours: health, unknown methods, identity, bounds, and callers that leave."""

import hashlib
import hmac
import resource
import socket
import threading
import time

import grpc
import pytest

PORTS = {"user": 11, "program": 12, "order": 13, "pay": 14}
SERVICES = {name: f"ticketflow.{name}.v1.{name.capitalize()}Service" for name in PORTS}


def raw_call(channel, path, data=b"", metadata=(), timeout=5):
    call = channel.unary_unary(path, request_serializer=lambda b: b, response_deserializer=lambda b: b)
    return call(data, metadata=metadata, timeout=timeout)


@pytest.fixture(params=sorted(PORTS))
def service(request, local):
    with grpc.insecure_channel(f"127.0.0.1:{local.base_port + PORTS[request.param]}") as channel:
        yield request.param, channel


SERVING = b"\x08\x01"  # HealthCheckResponse{status: SERVING} on the wire


def test_health(service):
    name, channel = service
    full = SERVICES[name].encode()
    assert raw_call(channel, "/grpc.health.v1.Health/Check") == SERVING
    assert raw_call(channel, "/grpc.health.v1.Health/Check", b"\x0a" + bytes([len(full)]) + full) == SERVING
    with pytest.raises(grpc.RpcError) as error:
        raw_call(channel, "/grpc.health.v1.Health/Check", b"\x0a\x06nobody")
    assert error.value.code() == grpc.StatusCode.NOT_FOUND


def test_unknown_methods_at_once(service):
    name, channel = service
    for path in (f"/{SERVICES[name]}/NoSuchCall", "/no.such.Service/Call", "/x"):
        began = time.monotonic()
        with pytest.raises(grpc.RpcError) as error:
            raw_call(channel, path, timeout=10)
        assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED, path
        assert time.monotonic() - began < 1


CALLS = {"user": "GetMe", "program": "ListPrograms", "order": "GetOrder", "pay": "GetPayment"}


@pytest.mark.parametrize("token", [None, b"", b"x" * 60, b"x" * 5000], ids=["none", "empty", "noise", "long noise"])
def test_no_call_without_identity(service, token):
    name, channel = service
    metadata = (("tf-identity-bin", token),) if token is not None else ()
    with pytest.raises(grpc.RpcError) as error:
        raw_call(channel, f"/{SERVICES[name]}/{CALLS[name]}", metadata=metadata)
    assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED


@pytest.fixture
def seal(local):
    """An identity token as the gateway makes it; changes to it by name."""
    from ticketflow.options.v1 import options_pb2

    key = (local.home / "secrets" / "internal.key").read_bytes()

    def make(audience, key=key, seconds=20, **fields):
        expires = int((time.time() + seconds) * 1000)
        identity = options_pb2.Identity(**({"caller": "gateway", "user_id": 7} | fields), audience=audience, expires_unix_ms=expires).SerializeToString()
        return identity + hmac.new(key, identity, hashlib.sha256).digest()

    return make


def refusal(channel, path, data=b"", token=None, timeout=5, metadata=()):
    """The error's code: the call must fail."""
    if token is not None:
        metadata = (("tf-identity-bin", token), *metadata)
    with pytest.raises(grpc.RpcError) as error:
        raw_call(channel, path, data, metadata=metadata, timeout=timeout)
    return error.value.code()


def test_tokens_that_do_not_pass(service, seal):
    name, channel = service
    path = f"/{SERVICES[name]}/{CALLS[name]}"
    good = seal(name)
    assert refusal(channel, path, b"\xff", good) == grpc.StatusCode.INVALID_ARGUMENT  # past the door, then not a message
    tampered = bytearray(good)
    tampered[3] ^= 1
    for what, token in {
        "tampered": bytes(tampered),
        "cut": good[:-1],
        "longer": good + b"x",
        "run out": seal(name, seconds=-60),
        "valid for too long": seal(name, seconds=3600),
        "another key": seal(name, key=b"k" * 32),
        "another service": seal("pay" if name != "pay" else "user"),
    }.items():
        assert refusal(channel, path, b"\xff", token) == grpc.StatusCode.UNAUTHENTICATED, what


def test_what_is_too_large(service, seal, local):
    """A message or metadata past the limit: refused before anything is done, and the service goes on. For metadata the library may close the connection."""
    name, channel = service
    path = f"/{SERVICES[name]}/{CALLS[name]}"
    assert refusal(channel, path, b"\x00" * (64 << 20), seal(name), timeout=20) == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert raw_call(channel, "/grpc.health.v1.Health/Check") == SERVING
    with grpc.insecure_channel(f"127.0.0.1:{local.base_port + PORTS[name]}", options=[("grpc.use_local_subchannel_pool", 1)]) as another:
        assert refusal(another, path, metadata=(("x-padding", "a" * 100_000),)) == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert raw_call(channel, "/grpc.health.v1.Health/Check") == SERVING


def test_callers_that_leave(service, seal):
    """Hundreds of calls that are cancelled at once, or whose time is over before they arrive, hold nothing up."""
    name, channel = service
    path = f"/{SERVICES[name]}/{CALLS[name]}"
    call = channel.unary_unary(path, request_serializer=lambda b: b, response_deserializer=lambda b: b)
    metadata = (("tf-identity-bin", seal(name)),)
    for _ in range(300):
        call.future(b"", metadata=metadata, timeout=10).cancel()
        call.future(b"", metadata=metadata, timeout=0.0001)
    began = time.monotonic()
    assert raw_call(channel, "/grpc.health.v1.Health/Check") == SERVING
    assert refusal(channel, path, b"\xff", seal(name)) == grpc.StatusCode.INVALID_ARGUMENT
    assert time.monotonic() - began < 2


def test_health_watch(service):
    """A watch says how it stands at once, and stays open; it costs the service no worker."""
    _, channel = service
    watch = channel.unary_stream("/grpc.health.v1.Health/Watch", request_serializer=lambda b: b, response_deserializer=lambda b: b)
    streams = [watch(b"", timeout=30) for _ in range(40)]
    assert [next(stream) for stream in streams] == [SERVING] * 40
    began = time.monotonic()
    assert refusal(channel, "/no.such.Service/Call") == grpc.StatusCode.UNIMPLEMENTED
    assert time.monotonic() - began < 1
    ended = threading.Event()
    assert streams[0].add_callback(ended.set)
    assert not ended.wait(0.5)
    for stream in streams:
        stream.cancel()


def test_connections_opened_and_left(service, local):
    """Thousands of connections on which nothing is said hinder nobody; the service closes them by itself."""
    name, _ = service
    port = local.base_port + PORTS[name]
    count = 2000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count + 500:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 500), hard))
    left = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            began = time.monotonic()
            assert raw_call(channel, "/grpc.health.v1.Health/Check") == SERVING
            assert time.monotonic() - began < 3
        for connection in left:
            connection.settimeout(20)
            while connection.recv(4096):  # the service's settings come first, then the end
                pass
    finally:
        for connection in left:
            connection.close()


def test_malformed_message_is_refused(service, seal):
    """Bytes that are no message: refused with details, and the connection goes on."""
    name, channel = service
    with pytest.raises(grpc.RpcError) as error:
        raw_call(channel, f"/{SERVICES[name]}/{CALLS[name]}", b"\xff\xff\xff\xff", metadata=(("tf-identity-bin", seal(name)),))
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    details = dict(error.value.trailing_metadata())
    assert "grpc-status-details-bin" in details
    assert raw_call(channel, "/grpc.health.v1.Health/Check") == SERVING
