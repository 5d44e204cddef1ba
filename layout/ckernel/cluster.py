"""A pool of a campaign: the workers of a dask.distributed scheduler.

A seed whose worker is killed goes to another one. Where the connection to the scheduler is lost, a
new one is tried for some time, and what was pending is submitted again. run_campaign() counts each
seed once.
"""

from __future__ import annotations

import contextlib
import math
import time
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import uuid4

from layout.ckernel import unit
from layout.ckernel.oracle import Counting
from layout.memory.errors import InputError, MapleLayoutError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layout.ckernel.oracle import Trial, Work

CONNECT = 4
"""Seconds for the first connection."""

PATIENCE = 30
"""Seconds that a lost connection, or the first worker, is waited for."""

_TRIES = 3
"""How often a seed is carried out whose process is killed."""

_LOOK = 2
"""Seconds between looks at how many workers there are."""

_GOES_ON = "The same command goes on from there"

_NOBODY = "no scheduler answers; dask scheduler starts one"

W = TypeVar("W")


def needed() -> Any:
    """The module distributed, which tells nothing by itself. Raises UsageError without it."""
    try:
        import dask  # noqa: PLC0415 - an optional extra

        quiet = {f"distributed{part}": "critical" for part in ("", ".client", ".core", ".comm")}
        dask.config.set({"logging": {**dask.config.get("logging", {}), **quiet}})
        import distributed  # noqa: PLC0415 - an optional extra
    except ImportError:
        message = "--scheduler needs dask.distributed: pip install 'maple-layout[cluster]'"
        raise UsageError(message) from None
    return distributed


def reach(address: str, seconds: float = CONNECT, otherwise: str = _NOBODY) -> Any:
    """A client of the scheduler there. Raises UsageError, InputError with ``otherwise``."""
    try:
        return needed().Client(address, timeout=seconds)
    except MapleLayoutError:
        raise
    except Exception as error:  # noqa: BLE001 - of sockets, addresses, certificates
        why = str(error).strip().partition("\n")[0]
        message = f"--scheduler {address}: {otherwise} ({why})"
        raise InputError(message) from None


class Cluster(Generic[W]):
    """The workers of the scheduler at an address such as tcp://host:8786.

    Raises UsageError, InputError.
    """

    def __init__(self, oracle: Work[W], address: str) -> None:
        self._distributed = needed()
        self._address = address
        self._packed = unit.pack(oracle)
        self._client: Any = None
        self._pending: dict[Any, tuple[list[int], float]] = {}
        self._waiting: list[tuple[int, float]] = []
        self._at_once = oracle.at_once if isinstance(oracle, Counting) else 1
        self._workers = 0
        self._looked = self._seen = -math.inf
        try:
            self._connect(CONNECT, _NOBODY)
            self._look(PATIENCE)
        except BaseException:
            self.close()
            raise

    @property
    def workers(self) -> int:
        """The threads of all workers that the scheduler has just now."""
        if time.monotonic() > self._looked + _LOOK:
            with self._mended():
                self._look()
        return self._workers

    @property
    def pending(self) -> int:
        """How many seeds were submitted and have no trial yet."""
        return len(self._waiting) + sum(len(seeds) for seeds, _ in self._pending.values())

    @property
    def room(self) -> int:
        """How many may be pending: two tasks for each worker."""
        return 2 * max(self._workers, 1) * self._at_once

    @property
    def dashboard(self) -> str:
        """The scheduler's page."""
        with contextlib.suppress(Exception):  # a scheduler without one
            return str(self._client.dashboard_link)
        return ""

    def submit(self, seed: int, end: float) -> None:
        """Have a seed carried out; ``end`` is of time.monotonic()."""
        self._waiting.append((seed, end))
        if len(self._waiting) >= self._at_once:
            self._send()

    def completed(self) -> list[Trial[W]]:
        """Trials that have come, perhaps none. Raises InputError."""
        trials: list[Trial[W]] = []
        if self._waiting:
            self._send()
        if not self._pending:
            return trials
        with self._mended():
            try:
                done = self._distributed.wait(
                    list(self._pending), timeout=_LOOK, return_when="FIRST_COMPLETED"
                ).done
            except TimeoutError:
                return trials
            given = self._client.gather(list(done))
            for future in done:
                del self._pending[future]
            for answer in given:
                if isinstance(answer, MapleLayoutError):
                    raise answer
                trials += answer
        return trials

    def close(self) -> None:
        """Give up what is pending, and leave the scheduler."""
        client, self._client = self._client, None
        if client is None:
            return
        with contextlib.suppress(Exception):  # it may be gone
            if client.status == "running":
                client.cancel(list(self._pending))
                client.unregister_worker_plugin(self._name)
        with contextlib.suppress(Exception):
            client.close(timeout=_LOOK)

    def _connect(self, seconds: float, otherwise: str) -> None:
        self._name = f"maple-layout-{uuid4().hex}"
        self._client = reach(self._address, seconds, otherwise)
        try:
            self._client.register_plugin(_luggage(self._distributed, self._name, self._packed))
        except Exception as error:  # noqa: BLE001 - whatever a worker has to complain about
            raise self._unfit(error) from None

    def _send(self) -> None:
        """Submit the seeds that wait as one task, which ends with the first of them."""
        seeds, end = [seed for seed, _ in self._waiting], min(end for _, end in self._waiting)
        self._waiting = []
        with self._mended((seeds, end)):
            self._submit(seeds, end)

    def _submit(self, seeds: list[int], end: float) -> None:
        future = self._client.submit(
            unit.carry_out,
            self._name,
            seeds,
            max(end - time.monotonic(), 0),
            key=f"{self._name}-{seeds[0]}",
            retries=_TRIES - 1,
            pure=False,
        )
        self._pending[future] = seeds, end

    def _look(self, wait: float = 0) -> None:
        """Count the workers' threads. Raises InputError where there have been none for long."""
        if wait:
            with contextlib.suppress(TimeoutError):
                self._client.wait_for_workers(1, timeout=wait)
        self._looked = time.monotonic()
        self._workers = sum(self._client.nthreads().values())
        if self._workers:
            self._seen = self._looked
        elif self._looked > self._seen + PATIENCE:
            message = (
                f"--scheduler {self._address}: no worker is there; dask worker {self._address} "
                f"starts one. {_GOES_ON}"
            )
            raise InputError(message)

    @contextlib.contextmanager
    def _mended(self, *more: tuple[list[int], float]) -> Iterator[None]:
        """A block after whose loss of the connection there is another, and seeds go there again.

        So do ``more``. Raises InputError where a worker is unfit, or no scheduler is there.
        """
        try:
            yield
        except MapleLayoutError:
            raise
        except Exception as error:  # noqa: BLE001 - of the connection, of a worker's seed
            if self._client.status == "running" and not isinstance(error, OSError | CancelledError):
                raise self._unfit(error) from None
            lost = [*self._pending.values(), *more]
            self._pending.clear()
            self.close()
            self._again(lost)

    def _again(self, lost: list[tuple[list[int], float]]) -> None:
        """Submit seeds to the scheduler that is there now. Raises InputError."""
        gone = f"the connection was lost. {_GOES_ON}"
        self._connect(PATIENCE, gone)
        self._seen = time.monotonic()
        try:
            for seeds, end in lost:
                if end > time.monotonic():  # else they are for the next run
                    self._submit(seeds, end)
        except Exception as error:  # noqa: BLE001 - once more
            raise InputError(f"--scheduler {self._address}: {gone} ({error})") from None

    def _unfit(self, error: Exception) -> InputError:
        """What the workers ran into, on one line."""
        why = " ".join(str(error).split())
        if isinstance(error, ImportError):
            why += ": install maple-layout where the scheduler and the workers run"
        elif isinstance(error, self._distributed.KilledWorker):
            why = f"workers were killed over and over ({why[:60]}...): give them more memory"
        elif isinstance(error, unit.Gone):
            why += f", {_TRIES} times: give it more memory"
        else:
            why = f"{type(error).__name__}: {why}"
        return InputError(f"--scheduler {self._address}: {why}. {_GOES_ON}")


def _luggage(distributed: Any, campaign: str, packed: bytes) -> Any:
    """What brings an oracle to each worker, also to those that come later."""

    class Luggage(distributed.WorkerPlugin):  # type: ignore[misc]
        """It is pickled by value: it must import what it needs."""

        name = campaign

        def setup(self, worker: Any) -> None:
            from layout.ckernel import unit  # noqa: PLC0415

            del worker
            unit.keep(self.name, packed)

        def teardown(self, worker: Any) -> None:
            from layout.ckernel import unit  # noqa: PLC0415

            del worker
            unit.forget(self.name)

    return Luggage()
