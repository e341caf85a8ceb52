"""Who passes, who does not, and what they are told."""

from checks import equal, expect
from http_client import written
from secrets_of_a_run import HOST
from stage import nobody, new_mark

# Characters that a header can't have, that percent-encoding means, and that mean something in configurations.
NAMES = ["Prüfung 50% 日本語, a+b", "%41%2f%00 100%", "مفتاح الدفعة", "a;b=\"c\" \\ $name {file.x} ${X}", "🔑"]


async def good_tokens_pass(stage):
    for kind, path, token, other in stage.rules():
        await stage.passes(token, "GET", f"{path}/echo?a=b&c=%2f..//d")
        if kind == "any":
            await stage.passes(stage.tokens["realtime"], "GET", f"{path}/echo")
    path, token = stage.a_path()
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]:
        _, seen = await stage.passes(token, method, f"{path}/a%20b/%C3%BC", body=b"x")
        equal(seen.method, method, "the method")
        equal(seen.target, f"{path}/a%20b/%C3%BC", "the path")
    # Schemes have no case, and names of headers neither.
    for header in [("authorization", f"bearer {token.value}"), ("AUTHORIZATION", f"BEARER  {token.value}")]:
        answer = await stage.front.ask("GET", f"{path}/echo", [header])
        equal(answer.status, 200, str(header[0]))


async def names_of_any_script(stage):
    for kind, path, _, _ in stage.rules():
        for name in NAMES:
            token = await stage.gatekey.create("batch" if kind == "any" else kind, name)
            equal(token.name, name, "the name")
            await stage.passes(token, "GET", f"{path}/echo")
            await stage.gatekey.delete(token)


async def refusals_say_why(stage):
    for kind, path, token, other in stage.rules():
        revoked = await stage.gatekey.create("batch" if kind == "any" else kind)
        await stage.gatekey.delete(revoked)
        unknown = token.value[:-7] + ("0" if token.value[-7] != "0" else "1") + token.value[-6:]
        # Of the right form, checksum and all, but of no token.
        stranger = (await stage.gatekey.create("batch")).value.replace("gk_", "zz_")
        invalid = (401, "invalid_token", "API_TOKEN_INVALID")
        unreadable = (401, "invalid_request", "API_TOKEN_UNREADABLE")
        cases = {
            "no token": ([], (401, None, "API_TOKEN_MISSING")),
            "another scheme": (["Basic dXNlcjpwYXNz"], (401, None, "API_TOKEN_MISSING")),
            "no value": (["Bearer"], unreadable),
            "two by comma": ([f"Basic dXNlcjpwYXNz, Bearer {token.value}"], unreadable),
            "not ASCII": ([f"Bearer {token.value}\xe4"], unreadable),
            "malformed": (["Bearer x"], invalid),
            "a typo": ([f"Bearer {unknown}"], invalid),
            "another prefix": ([f"Bearer {stranger}"], invalid),
            "revoked": ([f"Bearer {revoked.value}"], invalid),
        }
        if other:
            cases["of the other type"] = ([f"Bearer {other.value}"], (403, "insufficient_scope", "API_TOKEN_WRONG_TYPE"))
        for name, (values, (status, error, reason)) in cases.items():
            what = f"{kind}: {name}"
            answer = await stage.refused(f"{path}/echo", [("authorization", value) for value in values])
            equal(answer.status, status, what)
            challenge = answer.one("www-authenticate") or ""
            expect(challenge.startswith("Bearer"), f"{what}: WWW-Authenticate is {answer.all('www-authenticate')}")
            expect((f'error="{error}"' in challenge) if error else ("error" not in challenge), f"{what}: {challenge}")
            equal(answer.one("content-type"), "application/json", f"{what}: content-type")
            equal(answer.one("cache-control"), "no-store", f"{what}: cache-control")
            body = answer.json()
            expect(body["message"], f"{what}: no message")
            if stage.front.passes_bodies:
                equal(body.get("error"), error, f"{what}: error")
                equal([detail["type"] for detail in body["detail"]], [reason], f"{what}: detail")


async def several_authorizations(stage):
    for _, path, token, _ in stage.rules():
        good, other = f"Bearer {token.value}", "Basic dXNlcjpwYXNz"
        names = ["authorization", "Authorization"]
        for values in [[good, good], [good, other], [other, good], [good, "Bearer x"], [good, ","]]:
            answer = await stage.refused(f"{path}/echo", zip(names, values))
            equal(answer.status, stage.front.two_values, str(["Bearer" in value for value in values]))
        # Some gateways make one of these. Then it is one for the service too, or nobody passes.
        for values in [["", good], [good, ""]]:
            mark = new_mark()
            answer = await stage.front.ask("GET", f"{path}/echo", [*zip(names, values), ("x-mark", mark)])
            seen = stage.http.seen(mark)
            expect(not seen or seen[0].all("authorization") in ([good], []), "an empty value reached the service as well")
            equal(len(seen), int(answer.status == 200), "how often the service was asked")


async def nothing_but_authorization_counts(stage):
    """A token elsewhere is none, and the gateway's own credentials are not the client's."""
    path, token = stage.a_path()
    jwt = stage.front.good_jwt()
    elsewhere = [
        [("proxy-authorization", f"Bearer {token.value}")],
        [("x-gatekey-authorization", f"Bearer {token.value}")],
        [("x-gatekey-authorization", f"Bearer {jwt}")],
        [("cookie", f"authorization=Bearer {token.value}")],
        [("x-api-key", token.value)],
    ]
    for headers in elsewhere:
        equal((await stage.refused(f"{path}/echo", headers)).status, 401, headers[0][0])
    equal((await stage.refused(f"{path}/echo?access_token={token.value}")).status, 401, "in the query")
    equal((await stage.refused(f"{path}/echo", [("authorization", f"Bearer {jwt}")])).status, 401, "the gateway's JWT")


async def public_routes(stage):
    forged = [("x-gatekey-token-id", "1"), ("X-Gatekey-Token-Tenant", "evil"), ("x_gatekey_token_name", "evil")]
    for headers in [[], forged, [("authorization", "Bearer x"), *forged]]:
        mark = new_mark()
        answer = await stage.front.ask("GET", "/healthz", [*headers, ("x-mark", mark)])
        equal(answer.status, 200, "/healthz")
        nobody(stage.http.seen(mark)[0].headers)


async def routes_without_a_rule(stage):
    for token in [*stage.tokens.values(), None]:
        headers = [token.bearer] if token else []
        elsewhere = ["/v1/batches/echo", "/healthz/echo", "/healthzz", "/", "/_gatekey/batch", "/forward-auth"]
        for target in ["/v1/forgotten/echo", *elsewhere]:
            answer = await stage.refused(target, headers)
            expect(answer.status in (403, 404), f"{target}: {answer.status}")
        equal((await stage.refused("/v1/forgotten/echo", headers)).status, 403, "a forgotten route")


async def own_errors_of_the_service(stage):
    for _, path, token, _ in stage.rules():
        answer = await stage.front.ask("GET", f"{path}/status/500", [token.bearer])
        equal((answer.status, answer.json()), (500, {"said": "by the service itself"}), "its own 500")
        equal(answer.all("retry-after"), [], "its own 500")


async def many_on_one_connection(stage):
    """Each request is decided by itself, whatever came before on its connection."""
    path, token = stage.a_path()
    async with await stage.front.connect() as connection:
        for turn in range(60):
            wanted = [200, 401, 401][turn % 3]
            headers = [[token.bearer], [], [("authorization", "Bearer x")]][turn % 3]
            answer = await connection.ask(written("GET", f"{path}/echo", [("host", HOST), *headers]))
            equal(answer.status, wanted, f"turn {turn}")
