"""A reader of maple trees that can be told to make a mistake: python3 some_reader.py MISTAKE CORE TREE.

It shares nothing with the package but the JSON beside a core.
"""

import json
import struct
import sys
import time
from pathlib import Path

MISTAKES = {
    "metadata": "metadata read as an entry",
    "child": "metadata followed as a child",
    "low byte": "metadata taken from the low byte of a word, as on a little-endian machine",
    "full": "metadata read where a full node has none",
    "sixteenth": "last slot of a full node dropped (the 16th, on 32-bit machines the 32nd)",
    "end": "slot at the data end dropped",
    "dead": "dead slots of an inner node followed",
    "stale": "entries behind the data end of a leaf read",
    "signed": "signed comparison",
    "order": "words read in the wrong byte order",
    "first": "a range of index 0 alone dropped",
    "start": "a node's first index not passed down",
    "exclusive": "ends told as exclusive",
    "values": "value entries dropped",
    "zero": "XA_ZERO hidden",
    "root": "a root that is an entry dropped",
    "null": "NULL ranges told",
    "merged": "neighbours with the same entry merged",
    "shallow": "nothing below the second level read",
    "low": "nodes at low addresses refused",
    "backwards": "ranges out of order",
}


class Reader:
    def __init__(self, read, facts, mistake=""):
        self.read, self.mistake = read, mistake
        self.size = facts["word_size"]
        little = (facts["byteorder"] == "little") != (mistake == "order")
        self.char = ("<" if little else ">") + ("Q" if self.size == 8 else "L")
        self.little = facts["byteorder"] == "little"
        self.root_at = facts["root_at"]
        self.pivots, self.apivots = (15, 9) if self.size == 8 else (31, 20)
        self.top = (1 << 8 * self.size) - 1
        self.out = []

    def word(self, address):
        return struct.unpack(self.char, self.read(address, self.size))[0]

    def signed(self, value):
        return value - self.top - 1 if value > self.top // 2 else value

    def ranges(self, tree):
        root = self.word(tree + self.root_at)
        if root & 3 == 2 and root > 4096:
            self.node(root, 0, self.top, 1)
        elif root and self.mistake != "root":
            self.out.append((0, 0, root))
        if self.mistake == "exclusive":
            self.out = [(first, last + 1, entry) for first, last, entry in self.out]
        if self.mistake == "backwards":
            self.out.reverse()
        return self.out

    def node(self, word, low, high, level):
        node, kind = word & ~0xFF, word >> 3 & 15
        if kind not in (1, 2, 3):
            raise ValueError(f"{word:x} is no node")
        if (self.mistake == "shallow" and level > 2) or (
            self.mistake == "low" and not word > self.top // 2
        ):
            return
        if self.mistake == "start":
            low = 0
        count = self.apivots if kind == 3 else self.pivots
        pivot = [self.word(node + self.size * (1 + i)) for i in range(count)]
        slot = [self.word(node + self.size * (1 + count + i)) for i in range(count + 1)]
        end = self.end(node, kind, pivot, high)
        lasts = [*pivot[:end], high]
        if self.mistake in ("", "backwards") and (
            end > count or lasts != sorted(set(lasts)) or lasts[0] < low
        ):
            raise ValueError(f"node {node:x} makes no sense")
        upto = end
        if self.mistake == "sixteenth" and end == count and kind != 3:
            upto -= 1
        if self.mistake == "end":
            upto -= 1
        if (self.mistake == "dead" and kind != 1) or (self.mistake == "stale" and kind == 1):
            upto = count if kind == 3 or end == count else count - 1
            lasts = [*pivot, high]
        first = low
        for i in range(upto + 1):
            self.slot(slot[i], kind, first, lasts[i], level)
            first = lasts[i] + 1

    def end(self, node, kind, pivot, high):
        count = len(pivot)
        meta = node + (
            self.size * (1 + count + 2 * (count + 1) - 1 + 1) if kind == 3 else 256 - self.size
        )
        end = self.read(meta, 1)[0]
        if self.mistake == "low byte":
            end = self.word(meta) & 0xFF
        if kind == 3 or not pivot[-1] or self.mistake == "full":
            return min(end, count) if self.mistake == "full" else end
        if self.mistake == ("metadata" if kind == 1 else "child"):
            return count
        return count - (pivot[-1] == high)

    def slot(self, word, kind, first, last, level):
        if kind != 1:
            if word or self.mistake != "dead":
                self.node(word, first, last, level + 1)
        elif (self.mistake == "signed" and self.signed(last) < self.signed(first)) or (
            self.mistake == "first" and not last
        ):
            return
        elif self.mistake == "merged" and self.out and self.out[-1][1:] == (first - 1, word):
            self.out[-1] = (self.out[-1][0], last, word)
        elif (word or self.mistake == "null") and not (
            (self.mistake == "zero" and word == 0x406) or (self.mistake == "values" and word & 1)
        ):
            self.out.append((first, last, word))


def from_core(core):
    """Functions that read memory as the JSON beside a core says it lies in it."""
    facts = json.loads(Path(f"{core}.json").read_text())
    data = (Path(core).parent / facts["memory"]).read_bytes()
    facts["root_at"] = 8 if facts["word_size"] == 8 else 4
    if facts["word_size"] == 4 and facts["kernel"] != "6.1" and facts["lock_size"]:
        facts["root_at"] = 8

    def read(address, size):
        for segment in facts["segments"]:
            at = address - int(segment["address"], 16)
            if at >= 0 and at + size <= segment["size"]:
                start = segment["offset"] + at
                if start + size > len(data):
                    raise ValueError("the file is cut short")
                return data[start : start + size]
        raise ValueError(f"no memory at {address:x}")

    return read, facts


def main(mistake, core, tree):
    if mistake == "hangs":
        time.sleep(60)
    if mistake == "floods":
        while True:
            print("1 2 3\n" * 1000)
    if mistake == "talks":
        print("Hello, I am a reader.")
    reader = Reader(
        *from_core(core),
        "" if mistake in ("right", "talks", "crashes", "silent", "entries") else mistake,
    )
    try:
        ranges = reader.ranges(int(tree, 16))
    except (ValueError, RecursionError):
        if mistake == "silent":
            return
        raise
    for row in ranges:
        print(f"{row[2]:x}" if mistake == "entries" else "{:x} {:x} {:x}".format(*row))
    if mistake == "crashes":
        sys.exit("it fell over at the end")


if __name__ == "__main__":
    main(*sys.argv[1:])
