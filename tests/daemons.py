"""A scheduler and workers of dask.distributed on this computer, as programs."""

import os
import socket
import subprocess
import sys
import time


class Daemons:
    """A scheduler on a free port and its workers, as programs."""

    def __init__(self, folder):
        self._folder = folder
        self._running = []
        self.workers = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"tcp://127.0.0.1:{free.getsockname()[1]}"

    def _start(self, name, *words, **environment):
        log = (self._folder / "dask.log").open("a")
        program = [sys.executable, "-m", f"distributed.cli.dask_{name}", *words, "--no-dashboard"]
        env = {**os.environ, **environment}
        process = subprocess.Popen(program, cwd=self._folder, stdout=log, stderr=log, env=env)
        log.close()
        self._running.append(process)
        return process

    def scheduler(self):
        """Start it, and wait until it answers: a busy computer takes its time."""
        port = self.address.rpartition(":")[2]
        process = self._start("scheduler", "--host", "127.0.0.1", "--port", port)
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", int(port))).close()
            except ConnectionRefusedError:
                time.sleep(0.05)
            else:
                break
        return process

    def worker(self, **environment):
        words = (self.address, "--no-nanny", "--nthreads", "1", "--death-timeout", "30")
        self.workers.append(self._start("worker", *words, **environment))

    def end(self):
        for process in self._running:
            process.kill()
            process.wait()
