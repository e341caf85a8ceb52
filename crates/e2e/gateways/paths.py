"""Paths that can be read in more than one way: by the gateway that finds the rule, and by the service that finds the handler."""

import asyncio
import re
from urllib.parse import unquote_to_bytes

from checks import equal, expect
from http_client import Cut, written
from secrets_of_a_run import HOST
from stage import is_of, new_mark

# `{a}` is where the token opens, `{b}` where it does not.
ODD = [
    *("{a}/../{B}/echo", "{a}/x/../../{B}/echo", "{a}/./echo", "{a}/.", "{a}/..", "/..{b}/echo", "/../..{b}/echo"),
    *("//{A}/echo", "/{b}/echo", "{a}//echo", "{a}//../{B}/echo", "{a}///..//../{B}/echo", "/v1//{B}/echo"),
    *("{a}/..%2f{B}/echo", "{a}/..%2F{B}/echo", "{a}%2f..%2f{B}/echo", "{a}%2F..%2F{B}%2Fecho", "{a}%2fecho"),
    *("{a}/..%5c{B}/echo", "{a}\\..\\{B}\\echo", "{a}/..\\{B}/echo", "{a}%5c..%5c{B}%5cecho", "\\v1\\{B}\\echo"),
    *("{a}/%2e%2e/{B}/echo", "{a}/%2E%2E/{B}/echo", "{a}/.%2e/{B}/echo", "{a}/%2e/echo", "{a}/%252e%252e/{B}/echo"),
    *("{a}/%252e%252e%252f{B}/echo", "{a}/%c0%ae%c0%ae/{B}/echo", "{a}/%uff0e%uff0e/{B}/echo", "{a}/．．/{B}/echo"),
    *("{a}/echo%00", "{a}%00/../{B}/echo", "{b}/echo%00{a}", "{a}/..%00/{B}/echo", "{a}/%0d%0aecho", "{a}/%7f", "{a}/%"),
    *("{a}/..;/{B}/echo", "{a};x/../{B}/echo", "{a}/..;a=b/{B}/echo", "{a}/.;/echo", "/v1;x/{B}/echo", "{b};/echo", "{a}/..%3B/{B}/echo", "{a}%3Bx/../{B}/echo", "{a}/%3F/..%23/{B}/echo"),
    *("{a}/%zz/echo", "{a}/%2", "{a}/a%62c", "/v1/%62atch/echo", "/v1/%72ealtime/echo", "/%76%31/realtime/echo"),
    *("{b}/echo", "{b}", "{a}", "{a}/../{B}", "{a}?/../{B}/echo", "{a}/echo?/../..{b}/echo", "{a}/echo#/../{B}"),
    *("{a}#/../{B}/echo", "{a}/..#/{B}/echo", "{b}/echo?type=batch", "{a}/echo/../../{B}/echo?x"),
]
CASES = ["/V1/{UP}/echo", "/v1/{UP}/echo", "/v1/{Up}/echo", "/V1/{low}/echo"]
ODD_BYTES = [b"/v1/%s\x00/echo", b"/v1/%s/\x01echo", b"/v1/%s/\x7f", b"/v1/%s/\xff\xfe", b"/v1/%s\t/echo", b"/v1/%s/\xc3\xbc"]
WHOLE = ["http://" + HOST + "{b}/echo", "http://" + HOST + "{a}/../{B}/echo", "https://evil.example{b}/echo", "{A}/echo", "*", ""]


def readings(target):
    """The paths that some service or other may make of this target."""
    path = re.sub(r"^[a-z]+://[^/]*", "", target.partition("?")[0].partition("#")[0], flags=re.IGNORECASE)
    found, fresh = set(), {path}
    while fresh:
        found |= fresh
        made = set()
        for text in fresh:
            made.add(unquote_to_bytes(text.encode("latin-1")).decode("latin-1"))
            made.add(text.replace("\\", "/"))
            made.add(re.sub("/{2,}", "/", text))
            made.add(re.sub(r";[^/]*", "", text))
            made.add(text.partition("\0")[0])
            made.add(without_dots(text))
        fresh = made - found
    return {reading.lower() for reading in found}


def without_dots(path):
    segments = []
    for segment in path.split("/")[1:]:
        if segment == "..":
            del segments[-1:]
        elif segment != ".":
            segments.append(segment)
    return "/" + "/".join(segments)


async def no_path_opens_another_type(stage):
    """With a token of each type: no reading of any path that reaches the service is of the other type."""
    served = 0
    for kind, other in [("batch", "realtime"), ("realtime", "batch")]:
        a, b = stage.front.http_rules[kind], stage.front.http_rules[other]
        token = stage.tokens[kind]
        names = {"a": a, "b": b, "A": a[1:], "B": b.rsplit("/", 1)[1]}
        names |= {"UP": names["B"].upper(), "Up": names["B"].capitalize(), "low": names["B"]}
        targets = [text.format(**names).encode().decode("latin-1") for text in [*ODD, *CASES, *WHOLE]]
        targets += [(text % part.encode()).decode("latin-1") for text in ODD_BYTES for part in (kind, other)]
        for target in targets:
            status, seen = await outcome(stage, target, [token.bearer])
            expect(status in (None, 200, 301, 308, 400, 401, 403, 404, 405), f"{target!r} was answered {status}")
            if seen:
                served += 1
                is_of(seen.headers, token, stage.gatekey.TENANT)
                others = [reading for reading in readings(seen.target) if reading.startswith((f"{b}/", f"{b};")) or reading == b]
                expect(not others, f"with a token for {kind}, {target!r} reached the service as {seen.target!r}")
            # And without one, nothing opens at all.
            status, seen = await outcome(stage, target, [])
            expect(not seen or seen.target == "/healthz", f"without a token, {target!r} reached the service")
    expect(served, "not a single odd path reached the service: does the check see it at all?")


async def outcome(stage, target, headers):
    """The status, or None if the gateway hung up; and the request, if the service saw it."""
    mark = new_mark()
    try:
        async with await stage.front.connect() as connection:
            answer = await connection.ask(written("GET", target, [("host", HOST), *headers, ("x-mark", mark)]))
            status = answer.status
    except Cut:
        status = None
    seen = stage.http.seen(mark)
    expect(len(seen) <= 1, f"{target!r} reached the service {len(seen)} times")
    return status, seen[0] if seen else None


async def smuggled_requests(stage):
    """Two lengths, or a length and chunks: at most one request comes out of it, and none without a token."""
    path, token = stage.a_path()
    mark = new_mark()
    hidden = f"GET {path}/echo HTTP/1.1\r\nhost: {HOST}\r\nx-mark: {mark}\r\n\r\n"
    lengths = [
        [("content-length", "0"), ("content-length", str(len(hidden)))],
        [("content-length", str(len(hidden))), ("transfer-encoding", "chunked")],
        [("transfer-encoding", "chunked"), ("transfer-encoding", "identity")],
        [("transfer-encoding", "xchunked")],
        [("transfer-encoding", " chunked"), ("content-length", "5")],
        [("content_length", str(len(hidden))), ("content-length", "0")],
    ]

    async def attempt(headers, between):
        # The end of the chunks, and then another request; with a token on the first one only.
        text = written("POST", f"{path}/echo", [("host", HOST), token.bearer, *headers]).decode("latin-1")
        async with await stage.front.connect() as connection:
            await connection.send((text + between + hidden).encode("latin-1"))
            try:
                # Some wait for more: long enough that the hidden one would be there.
                async with asyncio.timeout(2):
                    await connection.answer()
                    await connection.answer()
            except (Cut, TimeoutError, ConnectionError):
                pass

    await asyncio.gather(*(attempt(headers, between) for headers in lengths for between in ["", "0\r\n\r\n"]))
    equal(len(stage.http.seen(mark)), 0, "how often the hidden request reached the service")
