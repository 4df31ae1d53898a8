"""A gRPC server as its users have it, without generated code: messages are plain bytes.

usage: grpc_server.py [CHAIN KEY]    with TLS if both are given. It says `port N` when it listens.
"""
import json
import sys
import threading
import time
from concurrent import futures

import grpc

BYTES_MAX = 16 << 20
SERVICE = "floodgate.Test"
# As many calls as a test has in flight at once, and some that wait.
THREADS = 64

lock = threading.Lock()
seen = {"cancelled": 0, "remaining": [], "calls": 0}


def count(name, value=None):
    with lock:
        if value is None:
            seen[name] += 1
        else:
            seen[name].append(value)


def metadata(context):
    return [(key, value) for key, value in context.invocation_metadata() if key.startswith("x-")]


def unary(request, context):
    """What it was given, with the caller's `x-` metadata before and after."""
    count("calls")
    context.send_initial_metadata(metadata(context))
    context.set_trailing_metadata([("x-after", "1"), ("x-after-bin", b"\x00\xff\n")])
    return request


def server_streaming(request, context):
    """`COUNT SIZE`: so many messages of so many bytes."""
    amount, size = map(int, request.split())
    for number in range(amount):
        yield number.to_bytes(4, "big") + bytes(size)


def client_streaming(requests, context):
    """How many messages and bytes there were."""
    sizes = [len(request) for request in requests]
    return b"%d %d" % (len(sizes), sum(sizes))


def bidirectional(requests, context):
    """Each message back as it comes."""
    context.send_initial_metadata(metadata(context))
    for request in requests:
        yield request
    context.set_trailing_metadata([("x-after", "all")])


def fail(request, context):
    """`CODE DETAILS`."""
    code, _, details = request.partition(b" ")
    known = {code.value[0]: code for code in grpc.StatusCode}
    context.set_trailing_metadata([("x-why", "asked")])
    context.abort(known[int(code)], details.decode())


def fail_midway(request, context):
    """Two messages, then a status that is none of success."""
    yield b"one"
    yield b"two"
    context.abort(grpc.StatusCode.DATA_LOSS, "midway")


def until_gone(context):
    """Set when the call is over before we are; then it counts as cancelled."""
    gone = threading.Event()

    def over():
        count("cancelled")
        gone.set()

    assert context.add_callback(over)
    return gone


def hang(request, context):
    """Says nothing until the caller is gone; how much time it had is kept."""
    gone = until_gone(context)
    count("remaining", context.time_remaining())
    gone.wait(60)
    return b"late"


def drip(request, context):
    """A message now and then until the caller is gone."""
    gone = until_gone(context)
    number = 0
    # Whoever is gone is seen by the callback alone: nobody takes up what is left here.
    while not gone.wait(0.01):
        yield b"%d" % number
        number += 1


def tell(request, context):
    """What was seen so far."""
    with lock:
        return json.dumps(seen).encode()


def main():
    methods = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "ServerStreaming": grpc.unary_stream_rpc_method_handler(server_streaming),
        "ClientStreaming": grpc.stream_unary_rpc_method_handler(client_streaming),
        "Bidirectional": grpc.stream_stream_rpc_method_handler(bidirectional),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
        "FailMidway": grpc.unary_stream_rpc_method_handler(fail_midway),
        "Hang": grpc.unary_unary_rpc_method_handler(hang),
        "Drip": grpc.unary_stream_rpc_method_handler(drip),
        "Tell": grpc.unary_unary_rpc_method_handler(tell),
    }
    options = [
        ("grpc.max_receive_message_length", BYTES_MAX),
        ("grpc.max_send_message_length", BYTES_MAX),
        ("grpc.so_reuseport", 0),
    ]
    server = grpc.server(futures.ThreadPoolExecutor(THREADS), options=options)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, methods)])
    if len(sys.argv) == 3:
        with open(sys.argv[1], "rb") as chain, open(sys.argv[2], "rb") as key:
            credentials = grpc.ssl_server_credentials([(key.read(), chain.read())])
        port = server.add_secure_port("127.0.0.1:0", credentials)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"port {port}", flush=True)
    # The test ends us.
    while True:
        time.sleep(3600)


main()
