"""HPACK by the `hpack` package, which is not ours.

`encode COUNT` prints blocks as a line `B block` and a line `F name value` for each field, all in hexadecimal digits.
`decode` reads lines `S bytes`, which sets what its table may take, and `B block`; it prints the fields of each block, and `.`.
"""

import random
import sys

from hpack import Decoder, Encoder, NeverIndexedHeaderTuple

NAMES = [
    b":authority", b":method", b":path", b":scheme", b":status", b"accept", b"accept-encoding", b"authorization",
    b"cache-control", b"content-length", b"content-type", b"cookie", b"date", b"etag", b"location", b"server",
    b"set-cookie", b"te", b"user-agent", b"vary", b"via", b"x-forwarded-for", b"x-own", b"x-request-id",
]
VALUES = [
    b"", b"/", b"/index.html", b"/orders/4711", b"0", b"200", b"404", b"GET", b"POST", b"api.example.com",
    b"application/json", b"gzip, deflate", b"http", b"https", b"private, max-age=0", b"trailers",
    b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
]


def name(chance):
    if chance.random() < 0.9:
        return chance.choice(NAMES)
    # The package strips what Python takes for white space from names and values.
    return bytes(chance.randrange(33, 127) for _ in range(chance.randrange(1, 40))).lower()


def value(chance):
    kind = chance.random()
    if kind < 0.7:
        return chance.choice(VALUES)
    if kind < 0.8:
        return b"%d" % chance.randrange(10**12)
    length = chance.randrange(0, chance.choice([8, 40, 300, 5000]))
    return bytes(chance.randrange(256) for _ in range(length)).strip()


def field(chance):
    pair = (name(chance), value(chance))
    return NeverIndexedHeaderTuple(*pair) if chance.random() < 0.1 else pair


def encode(count):
    chance = random.Random(7541)
    encoder = Encoder()
    for _ in range(count):
        if chance.random() < 0.1:
            encoder.header_table_size = chance.choice([0, 64, 200, 1000, 4096])
        fields = [field(chance) for _ in range(chance.randrange(12))]
        block = encoder.encode(fields, huffman=chance.random() < 0.7)
        print("B", block.hex())
        for pair in fields:
            print("F", pair[0].hex(), pair[1].hex())


def decode():
    decoder = Decoder(max_header_list_size=1 << 30)
    for line in sys.stdin:
        kind, _, rest = line.strip().partition(" ")
        if kind == "S":
            decoder.max_allowed_table_size = int(rest)
            continue
        for pair in decoder.decode(bytes.fromhex(rest), raw=True):
            print("F", pair[0].hex(), pair[1].hex())
        print(".")


if sys.argv[1] == "encode":
    encode(int(sys.argv[2]))
else:
    decode()
