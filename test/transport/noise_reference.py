#!/usr/bin/env python3
"""A second implementation of Noise XX over 25519, ChaChaPoly and BLAKE2b, written from the specification (revision 34)
and RFC 7748 and 8439 only.  Checks every handshake of noise_vectors.txt; --print writes one in that file's form."""
import hashlib
import hmac
import struct
import sys

P = 2**255 - 19
PATTERNS = {
    "XX": (["e"], ["e", "ee", "s", "es"], ["s", "se"]),
    "XXpsk0": (["psk", "e"], ["e", "ee", "s", "es"], ["s", "se"]),
    "XXpsk3": (["e"], ["e", "ee", "s", "es"], ["s", "se", "psk"]),
}
PROLOGUE = bytes.fromhex("4a6f686e2047616c74")
PSK = bytes.fromhex("54686973206973206d7920417573747269616e20706572737065637469766521")
STATIC = [bytes.fromhex("e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1"),
          bytes.fromhex("4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893")]
EPHEMERAL = [bytes.fromhex("893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a"),
             bytes.fromhex("bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b")]
PAYLOADS = [bytes.fromhex(x) for x in (
    "4c756477696720766f6e204d69736573", "4d757272617920526f746862617264", "462e20412e20486179656b",
    "4361726c204d656e676572", "4a65616e2d426170746973746520536179", "457567656e2042f6686d20766f6e2042617765726b")]


def x25519(k, u):
    k = int.from_bytes(k, "little") & ~7 & ~(1 << 255) | 1 << 254
    x1 = int.from_bytes(u, "little") & ((1 << 255) - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b = (x2 + z2) % P, (x2 - z2) % P
        c, d = (x3 + z3) % P, (x3 - z3) % P
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        e = (aa - bb) % P
        x3, z3 = (da + cb) ** 2 % P, x1 * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def public(k):
    return x25519(k, (9).to_bytes(32, "little"))


def chacha_block(key, counter, nonce):
    s = list(struct.unpack("<16I", b"expand 32-byte k" + key + struct.pack("<I", counter) + nonce))
    w = s[:]

    def quarter(a, b, c, d):
        for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            w[x] = (w[x] + w[y]) & 0xffffffff
            v = w[z] ^ w[x]
            w[z] = (v << n | v >> (32 - n)) & 0xffffffff
    for _ in range(10):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<16I", *((a + b) & 0xffffffff for a, b in zip(w, s)))


def poly1305(key, data):
    r = int.from_bytes(key[:16], "little") & 0x0ffffffc0ffffffc0ffffffc0fffffff
    s, a = int.from_bytes(key[16:], "little"), 0
    for i in range(0, len(data), 16):
        a = (a + int.from_bytes(data[i:i + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((a + s) % 2**128).to_bytes(16, "little")


def encrypt(key, n, ad, plain):
    nonce = bytes(4) + struct.pack("<Q", n)
    stream = b"".join(chacha_block(key, 1 + i, nonce) for i in range((len(plain) + 63) // 64))
    c = bytes(a ^ b for a, b in zip(plain, stream))
    pad = lambda x: x + bytes(-len(x) % 16)
    return c + poly1305(chacha_block(key, 0, nonce)[:32], pad(ad) + pad(c) + struct.pack("<QQ", len(ad), len(c)))


def h(data):
    return hashlib.blake2b(data).digest()


def hkdf(ck, ikm, count):
    mac = lambda k, d: hmac.new(k, d, hashlib.blake2b).digest()
    temp, out = mac(ck, ikm), [b""]
    for i in range(1, count + 1):
        out.append(mac(temp, out[-1] + bytes([i])))
    return out[1:]


def handshake(name):
    """The six messages (three of the handshake, then initiator first in turn) and the handshake hash."""
    pattern = PATTERNS[name.split("_")[1]]
    psk = "psk" in name
    ck = hh = name.encode().ljust(64, b"\0")
    hh = h(hh + PROLOGUE)
    key, n = None, 0
    s, e, messages = [public(k) for k in STATIC], [public(k) for k in EPHEMERAL], []

    def seal(plain):
        nonlocal hh, n
        c = plain
        if key:
            c = encrypt(key, n, hh, plain)
            n += 1
        hh = h(hh + c)
        return c

    for i, tokens in enumerate(pattern):
        who, out = i % 2, b""
        for token in tokens:
            if token == "e":
                out += e[who]
                hh = h(hh + e[who])
                if psk:
                    ck, key, n = *(x for x in hkdf(ck, e[who], 2)), 0
            elif token == "s":
                out += seal(s[who])
            elif token == "psk":
                ck, extra, key = hkdf(ck, PSK, 3)
                hh, n = h(hh + extra), 0
            else:
                shared = {"ee": lambda: x25519(EPHEMERAL[0], e[1]), "es": lambda: x25519(EPHEMERAL[0], s[1]),
                          "se": lambda: x25519(STATIC[0], e[1])}[token]()
                ck, key = hkdf(ck, shared, 2)
                n = 0
            key = key and key[:32]
        messages.append(out + seal(PAYLOADS[i]))
    keys = [k[:32] for k in hkdf(ck, b"", 2)]
    # cacophony goes on in turn: the fourth message is the responder's.
    for i in range(3, 6):
        messages.append(encrypt(keys[i % 2], (i - 3) // 2, b"", PAYLOADS[i]))
    return messages, hh


def main():
    if sys.argv[1] == "--print":
        messages, hh = handshake(sys.argv[2])
        print("protocol", sys.argv[2])
        print("hash", hh.hex())
        for m in messages:
            print("message", m.hex())
        return 0
    checked, expected = 0, []
    with open(sys.argv[1]) as file:
        for line in file:
            word, _, value = line.strip().partition(" ")
            if word == "protocol":
                messages, hh = handshake(value)
                assert not expected, "a handshake of the file is incomplete"
                expected = [("hash", hh.hex())] + [("message", m.hex()) for m in messages]
                checked += 1
            elif word in ("hash", "message"):
                assert expected.pop(0) == (word, value), f"handshake {checked}: {word} differs"
    assert checked == 3 and not expected
    print(checked, "handshakes agree")
    return 0


sys.exit(main())
