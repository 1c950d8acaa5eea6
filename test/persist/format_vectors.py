"""Opens the vectors of docs/format.md with nothing but that page: an independent reading of "Chain", "Sealed run" and "Store header".

Usage: format_vectors.py docs/format.md.  XChaCha20-Poly1305 and Ed25519 are written out here (RFC 8439, the XChaCha draft, RFC 8032), since
Python has them in no standard module; zstd is not, so the data of the second run is only measured."""
import hashlib
import re
import struct
import sys


def blake(label, data, key=b"", size=32):
    return hashlib.blake2b(data, digest_size=size, key=key, person=label).digest()


# ---- ChaCha20-Poly1305 (RFC 8439) and XChaCha20-Poly1305

def rounds(state):
    s = list(state)

    def quarter(a, b, c, d):
        for x, y, z, shift in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xffffffff
            s[z] ^= s[x]
            s[z] = (s[z] << shift | s[z] >> (32 - shift)) & 0xffffffff

    for _ in range(10):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return s


def initial(key, last):
    return struct.unpack("<16I", b"expand 32-byte k" + key + last)


def chacha(key, counter, nonce, data):
    out = b""
    for i in range(0, len(data), 64):
        state = initial(key, struct.pack("<I", counter + i // 64) + nonce)
        block = struct.pack("<16I", *((a + b) & 0xffffffff for a, b in zip(rounds(state), state)))
        out += bytes(a ^ b for a, b in zip(data[i:i + 64], block))
    return out


def poly1305(key, message):
    r = int.from_bytes(key[:16], "little") & 0x0ffffffc0ffffffc0ffffffc0fffffff
    total = 0
    for i in range(0, len(message), 16):
        total = (total + int.from_bytes(message[i:i + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((total + int.from_bytes(key[16:], "little")) % 2**128).to_bytes(16, "little")


def aead_open(key, nonce, associated, sealed):
    def padded(x):
        return x + bytes(-len(x) % 16)
    data, tag = sealed[:-16], sealed[-16:]
    covered = padded(associated) + padded(data) + struct.pack("<QQ", len(associated), len(data))
    assert poly1305(chacha(key, 0, nonce, bytes(32)), covered) == tag, "authentication tag"
    return chacha(key, 1, nonce, data)


def xchacha_open(key, nonce, associated, sealed):
    s = rounds(initial(key, nonce[:16]))
    return aead_open(struct.pack("<8I", *s[:4], *s[12:]), bytes(4) + nonce[16:], associated, sealed)


# ---- Ed25519 (RFC 8032): only as much as checks a signature

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def add(a, b):
    (x1, y1), (x2, y2) = a, b
    k = D * x1 * x2 * y1 * y2 % P
    return ((x1 * y2 + x2 * y1) * pow(1 + k, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - k, -1, P) % P)


def times(n, point):
    result = (0, 1)
    while n:
        if n & 1:
            result = add(result, point)
        point = add(point, point)
        n >>= 1
    return result


def decode(raw):
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert (x * x - square) % P == 0, "not a point"
    return (P - x if x & 1 != raw[31] >> 7 else x, y)


BASE = decode((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def encode(point):
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def public_key(seed):
    a = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little") & (2**254 - 8) | 2**254
    return encode(times(a, BASE))


def check_signature(public, message, signature):
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    left = times(int.from_bytes(signature[32:], "little"), BASE)
    assert left == add(decode(signature[:32]), times(h, decode(public))), "signature"


# ---- The page

def ascending(first, count):
    return bytes(range(first, first + count))


SPACE, ROUTING, EPOCH, EPOCH_KEY, ACTOR = (ascending(0x20, 32), ascending(0x40, 32), ascending(0x60, 32),
                                           ascending(0x80, 32), ascending(0xc0, 16))
DEVICE = public_key(ascending(0, 32))


def bucket(n):
    if n <= 256:
        return 256
    if n <= 1024:
        return -(-n // 64) * 64
    e = n.bit_length() - 1
    step = 2**(e - e.bit_length())
    return -(-n // step) * step


def check_run(vectors, name, lane, count, codec):
    def v(field):
        return vectors[name + "." + field]
    tip = start = blake(b"dunlin.log.1", SPACE + DEVICE + ACTOR + bytes([lane]))
    for n in range(1, count + 1):
        tip = blake(b"dunlin.entry.1", tip + bytes([n]) * 32 + SPACE)
    log_key = blake(b"dunlin.logkey.1", SPACE + EPOCH + ACTOR + bytes([lane]), EPOCH_KEY)
    assert (start, tip, log_key) == (v("e0"), v("tip"), v("log_key"))

    def tag(key, of, size):
        return blake(b"dunlin.tag.1", of, key)[:size]
    header = (bytes([1, lane]) + tag(ROUTING, SPACE, 8) + tag(log_key, start, 8) + tag(ROUTING, EPOCH, 4) +
              struct.pack(">QI", 1, count) + tag(log_key, tip, 12))
    sealed = v("sealed")
    assert sealed[:46] == header
    salt, commitment = sealed[46:70], sealed[70:102]
    both = blake(b"dunlin.seal.1", header + salt, log_key, 64)
    assert both[32:] == commitment
    body = aead_open(both[:32], bytes(12), sealed[:102], sealed[102:])
    assert salt == blake(b"dunlin.salt.1", b"\xa5" * 24 + header + body, log_key, 24)
    data_len, raw_len, its_codec = struct.unpack(">IIB", body[64:73])
    data = body[73:73 + data_len]
    assert its_codec == codec and raw_len == len(v("raw")) and len(body) == bucket(73 + data_len)
    assert not any(body[73 + data_len:])
    assert data == v("raw") if codec == 0 else data_len < raw_len
    check_signature(DEVICE, b"dunlin head 1" + SPACE + ACTOR + bytes([lane]) + struct.pack(">Q", count) + tip, body[:64])


def check_header(vectors):
    header = vectors["header1"]
    assert header[:24] == b"dunlinst" + struct.pack(">IIII", 1, 2, 0, 0)
    assert header[24:80] == ascending(0x30, 16) + ascending(0x10, 16) + ascending(0x50, 24)
    assert header[128:] == blake(b"dunlin.store.1", header[:128])
    wrapping = blake(b"dunlin.wrap.1", header[:56], ascending(0xa0, 32))
    assert xchacha_open(wrapping, header[56:80], header[:56], header[80:128]) == ascending(0xc0, 32)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        page = file.read()
    found = re.findall(r"^([a-z0-9_.]+) = ((?:[0-9a-f]+\n(?: +)?)+)", page, re.M)
    vectors = {name: bytes.fromhex(text) for name, text in found}
    check_run(vectors, "run1", 0, 1, 0)
    check_run(vectors, "run2", 2, 3, 1)
    check_header(vectors)


main()
