"""The last word of a leaf, as a slot and as metadata, on machines of both byte orders.

It prints:

    x86_64: slot 15 reads 000000000000000e, the data ends at slot 14
    s390x: slot 15 reads 0e00000000000000, the data ends at slot 14
    sparc64: slot 15 reads 0e00000000000000, the data ends at slot 14
"""

from layout import MapleTree


def main() -> None:
    """Fill a leaf so that fifteen of its sixteen slots are in use, and read its last word."""
    for name in ("x86_64", "s390x", "sparc64"):
        tree = MapleTree(name)
        for i in range(7):
            tree.store(0x10000 + 0x2000 * i, 0x10FFF + 0x2000 * i, 0x2A0001 + 0x100 * i)
        [leaf] = tree.nodes()
        mem = tree.machine.mem
        slot, end = mem.slot(leaf.address, leaf.type, 15), mem.meta_end(leaf.address, leaf.type)
        print(f"{name}: slot 15 reads {slot:016x}, the data ends at slot {end}")


if __name__ == "__main__":
    main()
