"""Runs checks one by one and counts them, in the form of scripts/count."""

import asyncio
import re
import time
import traceback

# A check that waits for what does not happen ends after so long.
SECONDS = 30


class Failed(AssertionError):
    """What was found is not what has to be."""


def expect(condition, why):
    if not condition:
        raise Failed(why)


def equal(got, wanted, what):
    expect(got == wanted, f"{what}: wanted {wanted!r}, got {got!r}")


def without_values(text):
    """No token value is shown, even of a check that failed."""
    return re.sub(r"([a-z0-9]{2,8}_[br]_\w{8})\w+", r"\1...", text)


def leaves(group):
    """The exceptions of groups in groups."""
    for exception in group.exceptions:
        if isinstance(exception, BaseExceptionGroup):
            yield from leaves(exception)
        else:
            yield exception


class Checks:
    def __init__(self):
        self.passed = 0
        self.failed = 0

    async def run(self, name, check, *arguments, seconds=SECONDS):
        """Counts a check by how it ends. Whether it passed."""
        begin = time.monotonic()
        why = None
        try:
            async with asyncio.timeout(seconds):
                await check(*arguments)
        except* Failed as group:
            why = "; ".join(dict.fromkeys(map(str, leaves(group))))
        except* TimeoutError:
            why = f"not done after {seconds} s, or something in it was not in its own time: {traceback.format_exc()}"
        except* Exception:
            why = traceback.format_exc()
        if why is None:
            self.passed += 1
            print(f"ok {name} ({round((time.monotonic() - begin) * 1000)} ms)", flush=True)
        else:
            self.failed += 1
            print(f"FAILED {name}: {without_values(why)[:4000]}", flush=True)
        return why is None

    def closing_line(self):
        return f"{self.passed} passed, {self.failed} failed"
