"""An observer of single accesses: runs code of a scene between a writer's steps."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from layout.memory.node import NodeMemory


@contextmanager
def looking_on(
    mem: NodeMemory, methods: Iterable[str], look: Callable[..., None]
) -> Iterator[None]:
    """Call ``look(method, *arguments)`` after every call of these methods of the memory."""

    def watched(name: str) -> Callable[..., object]:
        method = getattr(mem, name)

        def _then_look(*args: int) -> object:
            result = method(*args)
            look(name, *args)
            return result

        return _then_look

    names = tuple(methods)
    for name in names:
        setattr(mem, name, watched(name))
    try:
        yield
    finally:
        for name in names:
            delattr(mem, name)
