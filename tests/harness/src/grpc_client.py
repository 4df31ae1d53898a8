"""A gRPC client as its users have it, without generated code: messages are plain bytes.

usage: grpc_client.py TARGET CA CASE…    `-` as CA: without TLS. For each case it says `CASE ok`, or `CASE` and what went
wrong; a case `refused:METHOD` says how a call of that method ends.
"""
import json
import sys
import threading
import time
import traceback

import grpc

SERVICE = "/floodgate.Test/"
BYTES_MAX = 16 << 20
# For what should take no time at all.
PATIENCE = 30
MIB = 1 << 20


class Stub:
    def __init__(self, channel):
        self.channel = channel

    def unary(self, method):
        return self.channel.unary_unary(SERVICE + method)

    def server_streaming(self, method):
        return self.channel.unary_stream(SERVICE + method)

    def client_streaming(self, method):
        return self.channel.stream_unary(SERVICE + method)

    def bidirectional(self, method):
        return self.channel.stream_stream(SERVICE + method)

    def seen(self):
        return json.loads(self.unary("Tell")(b"", timeout=PATIENCE))


def same(found, expected):
    assert found == expected, f"{found!r} is not {expected!r}"


def own(metadata):
    """What the other side has set; proxies say `x-forwarded-`, and the server gives back what it was told."""
    return sorted(it for it in map(tuple, metadata) if it[0].startswith("x-") and "forwarded" not in it[0])


def eventually(what, ask):
    deadline = time.monotonic() + PATIENCE
    while not ask():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


def ends_with(code, call):
    """The call ends with this status; gives back how it ended."""
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, f"{error.code()} ({error.details()}) is not {code}"
        return error
    raise AssertionError(f"a call ended well that should end with {code}")


def case_unary(stub):
    for size in (0, 1, 1000, 16_384, 16_385, 100_000):
        message = bytes(index % 251 for index in range(size))
        same(stub.unary("Unary")(message, timeout=PATIENCE), message)


def case_metadata(stub):
    sent = [("x-one", "1"), ("x-two", "a b, c"), ("x-raw-bin", b"\x00\x01\xfe\xff"), ("x-two", "again")]
    answer, call = stub.unary("Unary").with_call(b"m", timeout=PATIENCE, metadata=sent)
    same(answer, b"m")
    # Equal names may be joined on the way (RFC 9110 5.2).
    joined = sorted([("x-one", "1"), ("x-raw-bin", b"\x00\x01\xfe\xff"), ("x-two", "a b, c, again")])
    assert own(call.initial_metadata()) in (sorted(sent), joined), call.initial_metadata()
    same(own(call.trailing_metadata()), [("x-after", "1"), ("x-after-bin", b"\x00\xff\n")])


def case_server_streaming(stub):
    for amount, size in ((0, 0), (1, 10), (500, 100), (40, 100_000)):
        got = list(stub.server_streaming("ServerStreaming")(b"%d %d" % (amount, size), timeout=PATIENCE))
        same([int.from_bytes(message[:4], "big") for message in got], list(range(amount)))
        same({len(message) for message in got}, {size + 4} if amount else set())


def case_client_streaming(stub):
    for amount, size in ((0, 0), (1, 5), (500, 100), (40, 100_000)):
        messages = (bytes(size) for _ in range(amount))
        same(stub.client_streaming("ClientStreaming")(messages, timeout=PATIENCE), b"%d %d" % (amount, amount * size))


def case_bidirectional(stub):
    """Each message is sent when the one before has come back: whoever holds one back holds up all."""
    turn = threading.Semaphore(1)
    rounds = 200

    def messages():
        for number in range(rounds):
            assert turn.acquire(timeout=PATIENCE)
            yield b"%d" % number

    call = stub.bidirectional("Bidirectional")(messages(), timeout=PATIENCE, metadata=[("x-k", "v")])
    got = []
    for message in call:
        got.append(message)
        turn.release()
    same(got, [b"%d" % number for number in range(rounds)])
    same(own(call.initial_metadata()), [("x-k", "v")])
    same(own(call.trailing_metadata()), [("x-after", "all")])


def case_statuses(stub):
    details = "why: 100 % «é»"
    for code in grpc.StatusCode:
        if code is grpc.StatusCode.OK:
            continue
        asked = b"%d %s" % (code.value[0], details.encode())
        error = ends_with(code, lambda: stub.unary("Fail")(asked, timeout=PATIENCE))
        same(error.details(), details)
        same(own(error.trailing_metadata()), [("x-why", "asked")])
    ends_with(grpc.StatusCode.UNIMPLEMENTED, lambda: stub.unary("None")(b"", timeout=PATIENCE))


def case_midway(stub):
    """What came before a status that is none of success is there."""
    call = stub.server_streaming("FailMidway")(b"", timeout=PATIENCE)
    same([next(call), next(call)], [b"one", b"two"])
    ends_with(grpc.StatusCode.DATA_LOSS, lambda: next(call))


def case_deadline(stub):
    """The caller's deadline reaches the server, which then has no more time than the caller gave it."""
    before = stub.seen()
    begun = time.monotonic()
    ends_with(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: stub.unary("Hang")(b"", timeout=1.0))
    took = time.monotonic() - begun
    assert took < PATIENCE / 2, f"{took} s for a deadline of one"
    eventually("the server heard of the end", lambda: stub.seen()["cancelled"] > before["cancelled"])
    remaining = stub.seen()["remaining"][-1]
    # gRPC's own clocks are some hundredths of a second apart.
    assert remaining is not None and 0 < remaining <= 1.1, f"{remaining} s were left to the server"


def case_quiet(stub):
    """Messages come when they come: with pauses between them, each way, and little in them."""
    pauses = (0, 1.0, 0.1, 1.0, 0.1)

    def messages():
        for number, pause in enumerate(pauses):
            time.sleep(pause)
            yield b"%d" % number

    call = stub.bidirectional("Bidirectional")(messages(), timeout=PATIENCE)
    same(list(call), [b"%d" % number for number in range(len(pauses))])
    same(stub.client_streaming("ClientStreaming")(messages(), timeout=PATIENCE), b"5 5")


def case_silent(stub):
    """Nobody says anything any more: whoever is between ends it, long before the caller's time is over."""
    silence = threading.Event()

    def messages():
        yield b"first"
        silence.wait(PATIENCE)

    begun = time.monotonic()
    call = stub.bidirectional("Bidirectional")(messages(), timeout=PATIENCE)
    same(next(call), b"first")
    ends_with(grpc.StatusCode.INTERNAL, lambda: next(call))
    silence.set()
    assert time.monotonic() - begun < PATIENCE / 2


def case_slow(stub):
    """One message, then nothing: nobody waits for the rest."""
    silence = threading.Event()

    def messages():
        yield b"first"
        silence.wait(PATIENCE)

    begun = time.monotonic()
    call = lambda: stub.client_streaming("ClientStreaming")(messages(), timeout=PATIENCE)
    same(ends_with(grpc.StatusCode.DEADLINE_EXCEEDED, call).details(), "Request Timeout")
    silence.set()
    assert time.monotonic() - begun < PATIENCE / 2


def case_impatient(stub):
    """Callers who don't wait for an answer."""
    for _ in range(12):
        ends_with(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: stub.unary("Hang")(b"", timeout=0.05))


def case_cancellation(stub):
    """Who takes no more of a stream ends it at the server, and the connection stays good."""
    before = stub.seen()
    calls = [stub.server_streaming("Drip")(b"", timeout=PATIENCE) for _ in range(10)]
    for call in calls:
        same(next(call), b"0")
    for call in calls:
        call.cancel()
    hanging = stub.unary("Hang").future(b"", timeout=PATIENCE)
    eventually("the call is there", lambda: len(stub.seen()["remaining"]) > len(before["remaining"]))
    hanging.cancel()
    assert hanging.cancelled()
    eventually("the server heard of all", lambda: stub.seen()["cancelled"] == before["cancelled"] + 11)
    case_unary(stub)


def case_large(stub):
    message = bytes(range(256)) * (4 * MIB // 256)
    same(stub.unary("Unary")(message, timeout=PATIENCE) == message, True)
    same(len(list(stub.server_streaming("ServerStreaming")(b"3 %d" % (4 * MIB), timeout=PATIENCE))), 3)
    same(stub.client_streaming("ClientStreaming")(iter([message] * 3), timeout=PATIENCE), b"3 %d" % (12 * MIB))


def case_compressed(stub):
    message = b"again and again " * 10_000
    call = stub.channel.unary_unary(SERVICE + "Unary")
    same(call(message, timeout=PATIENCE, compression=grpc.Compression.Gzip), message)


def case_thousand(stub):
    """A thousand calls at once."""
    unary = stub.unary("Unary")
    calls = [unary.future(b"%d" % number, timeout=PATIENCE * 2) for number in range(1_000)]
    same([call.result() for call in calls], [b"%d" % number for number in range(1_000)])


def refused(stub, method):
    """How a call ends that the gateway, not the server, answers."""
    try:
        stub.unary(method)(b"x", timeout=PATIENCE)
    except grpc.RpcError as error:
        return f"{error.code().name} {error.details()}"
    return "OK"


def main():
    target, ca, *names = sys.argv[1:]
    options = [("grpc.max_receive_message_length", BYTES_MAX), ("grpc.max_send_message_length", BYTES_MAX)]
    if ca == "-":
        channel = grpc.insecure_channel(target, options)
    else:
        with open(ca, "rb") as chain:
            options.append(("grpc.ssl_target_name_override", "localhost"))
            channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(chain.read()), options)
    stub = Stub(channel)
    for name in names:
        if name.startswith("refused:"):
            print(name, refused(stub, name.removeprefix("refused:")), flush=True)
            continue
        try:
            globals()["case_" + name](stub)
            print(name, "ok", flush=True)
        except Exception:
            print(name, traceback.format_exc().strip().replace("\n", " | "), flush=True)
    channel.close()


main()
