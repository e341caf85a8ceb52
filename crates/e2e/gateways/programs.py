"""Processes with a log each, waited for by what they say."""

import asyncio
import os
import signal

START_SECONDS = 20
END_SECONDS = 10


class Program:
    """A process; all that it says goes into its log, over several runs of it as well."""

    def __init__(self, name, log):
        self.name = name
        self.log = log
        self.waiting = []

    async def start(self, *command, ready, environment=None):
        """Starts it and waits for a line of which `ready` makes something, which is returned."""
        said = self.line(ready)
        self.process = await asyncio.create_subprocess_exec(
            *map(str, command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment or surroundings(),
            limit=1 << 20,
        )
        self.reading = asyncio.create_task(self._read())
        await asyncio.wait({said, self.reading}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not said.done():
            await self.stop(signal.SIGKILL)
            raise RuntimeError(f"{self.name} was not ready; see {self.log}")
        return said.result()

    def line(self, found):
        """A future for the next line of which `found` makes something."""
        future = asyncio.get_running_loop().create_future()
        self.waiting.append((found, future))
        return future

    async def _read(self):
        with open(self.log, "ab", buffering=0) as log:
            async for line in self.process.stdout:
                log.write(line)
                if self.waiting:
                    self._tell(line.decode(errors="replace"))

    def _tell(self, line):
        for entry in list(self.waiting):
            found, future = entry
            result = None if future.done() else found(line)
            if result and not future.done():
                future.set_result(result)
            if future.done():
                self.waiting.remove(entry)

    def send(self, number):
        self.process.send_signal(number)

    async def stop(self, number=signal.SIGTERM):
        """Ends it, and waits until it has ended and all that it said is in its log."""
        if self.process.returncode is None:
            # One that was stopped hears nothing else.
            self.send(signal.SIGCONT)
            self.send(number)
        try:
            async with asyncio.timeout(END_SECONDS):
                await self.process.wait()
        except TimeoutError:
            self.send(signal.SIGKILL)
            await self.process.wait()
        await self.reading


def surroundings(**more):
    """The environment without what would configure Gatekey."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GATEKEY")} | more
