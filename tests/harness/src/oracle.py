"""Reads HTTP/1.1 from standard input with h11 and prints each message as a line of JSON.

Arguments: `server` (the input is requests) or `client` and the methods of the requests that were answered.
"""

import json
import sys

import h11


def main() -> None:
    role, methods = sys.argv[1], [m for m in sys.argv[2].split(",") if m]
    data = sys.stdin.buffer.read()
    while data:
        connection = h11.Connection(h11.SERVER if role == "server" else h11.CLIENT)
        if role == "client":
            method = methods.pop(0) if methods else "GET"
            connection.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
            connection.send(h11.EndOfMessage())
        connection.receive_data(data)
        data = message(connection)


def message(connection: h11.Connection) -> bytes:
    """Prints one message; gives back what follows it."""
    start, fields, body, closed = "", [], b"", False
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            if closed:
                raise SystemExit("the message is not whole")
            connection.receive_data(b"")
            closed = True
        elif isinstance(event, (h11.Request, h11.Response)):
            if isinstance(event, h11.Request):
                start = f"{event.method.decode()} {event.target.decode('latin-1')}"
            else:
                start = str(event.status_code)
            fields = [(name.decode(), value.decode("latin-1")) for name, value in event.headers]
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            print(json.dumps({"start": start, "fields": fields, "body": body.decode("latin-1")}))
            return connection.trailing_data[0]


try:
    main()
except h11.RemoteProtocolError as problem:
    raise SystemExit(f"not HTTP/1.1: {problem}")
