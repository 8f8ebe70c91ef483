"""The services over gRPC with a client that is not ours: health, unknown methods, identity."""

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


def test_malformed_message_is_refused(service, local):
    """Bytes that are no message: refused, and the connection goes on."""
    import hashlib
    import hmac

    from ticketflow.options.v1 import options_pb2

    name, channel = service
    identity = options_pb2.Identity(caller="gateway", audience=name, expires_unix_ms=int(time.time() * 1000) + 20000, user_id=7).SerializeToString()
    key = (local.home / "secrets" / "internal.key").read_bytes()
    token = identity + hmac.new(key, identity, hashlib.sha256).digest()
    with pytest.raises(grpc.RpcError) as error:
        raw_call(channel, f"/{SERVICES[name]}/{CALLS[name]}", b"\xff\xff\xff\xff", metadata=(("tf-identity-bin", token),))
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    details = dict(error.value.trailing_metadata())
    assert "grpc-status-details-bin" in details
    # The same identity at another service is refused: it is bound to its audience.
    other = "pay" if name != "pay" else "user"
    with grpc.insecure_channel(f"127.0.0.1:{local.base_port + PORTS[other]}") as elsewhere:
        with pytest.raises(grpc.RpcError) as error:
            raw_call(elsewhere, f"/{SERVICES[other]}/{CALLS[other]}", metadata=(("tf-identity-bin", token),))
        assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED
