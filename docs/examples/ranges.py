"""The memory map of a process, read out of a capture of a real kernel's memory.

It prints:

    s390x 6.12: 8 ranges, the first is 1000000-11ebfff
"""

from layout.cli.examples import EXAMPLES, path
from layout.images.decode import decode
from layout.traces.inputs import load


def main() -> None:
    """Decode the capture that comes with the package."""
    [capture] = [each for each in EXAMPLES if each.name.endswith(".json")]
    image = load(str(path(capture)))
    ranges = decode(image.memory, image.tree).ranges
    first, last, _ = ranges[0]
    kernel = f"{image.arch.name} {image.profile.version}"
    print(f"{kernel}: {len(ranges)} ranges, the first is {first:x}-{last:x}")


if __name__ == "__main__":
    main()
