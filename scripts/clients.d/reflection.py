"""Python's grpcio against a running server: it knows the service by reflection alone, and tries what must be refused.

Called by `life` beside it: reflection.py LABEL GRPC_ADDR HTTP_ADDR DEVELOPER VERIFIER ADMIN STRANGER
The last four are JWTs: three of one tenant, and a developer's of another.
"""

import hashlib
import re
import sys
import urllib.request
import uuid

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

LABEL, GRPC, HTTP, DEVELOPER, VERIFIER, ADMIN, STRANGER = sys.argv[1:]
OK = grpc.StatusCode.OK
INVALID = grpc.StatusCode.INVALID_ARGUMENT
DENIED = grpc.StatusCode.PERMISSION_DENIED
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
NOT_FOUND = grpc.StatusCode.NOT_FOUND
SECONDS = 15

counts = {"ok": 0, "FAILED": 0}


def expect(name, wanted, got):
    """Counts a check and says how it went, without the token values that `got` may hold."""
    word = "ok" if wanted == got else "FAILED"
    counts[word] += 1
    why = "" if word == "ok" else re.sub(r"(_[br]_\w{8})\w+", r"\1...", f": wanted {wanted!r}, got {got!r}"[:600])
    print(f"{word} {LABEL}: Python: {name}{why}", flush=True)


class Service:
    """TokenService, its messages and methods built from what reflection tells."""

    def __init__(self, channel):
        self.channel = channel
        self.database = ProtoReflectionDescriptorDatabase(channel)
        self.pool = descriptor_pool.DescriptorPool(self.database)
        self.methods = self.pool.FindServiceByName("gatekey.v1.TokenService").methods_by_name

    def request(self, method, **fields):
        return message_factory.GetMessageClass(self.methods[method].input_type)(**fields)

    def call(self, method, jwt, request=None, metadata=(), **fields):
        """The answer's code, message and (where it failed) error."""
        if request is None:
            request = self.request(method, **fields).SerializeToString()
        answer_class = message_factory.GetMessageClass(self.methods[method].output_type)
        stub = self.channel.unary_unary(
            f"/gatekey.v1.TokenService/{method}", response_deserializer=answer_class.FromString
        )
        if jwt is not None:
            metadata = (*metadata, ("authorization", f"Bearer {jwt}"))
        try:
            return OK, stub(request, metadata=metadata, timeout=SECONDS), None
        except grpc.RpcError as error:
            return error.code(), None, error

    def create(self, name="by Python", jwt=None, **fields):
        fields = {"type": 1, "years_valid": 1, **fields}
        return self.call("CreateToken", jwt or DEVELOPER, name=name, **fields)

    def verdict(self, **fields):
        code, answer, _ = self.call("VerifyToken", VERIFIER, **fields)
        if code is not OK:
            return code
        return answer.DESCRIPTOR.fields_by_name["verdict"].enum_type.values_by_number[answer.verdict].name


def details(error):
    """The reason and domain of an error, and its fields with their reasons."""
    info, fields = error_details_pb2.ErrorInfo(), []
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        detail.Unpack(info)
        violations = error_details_pb2.BadRequest()
        if detail.Unpack(violations):
            fields = [(violation.field, violation.reason) for violation in violations.field_violations]
    return info.domain, info.reason, fields


def life(service):
    names = set(service.database.get_services())
    wanted = {"gatekey.v1.TokenService", "gatekey.v1.RevocationService", "grpc.health.v1.Health"}
    expect("reflection lists the services", wanted, wanted & names)

    code, answer, _ = service.create(type=2, years_valid=2)
    expect("create", OK, code)
    value, token = answer.token_value, answer.token
    digest = hashlib.sha256(value.encode()).digest()
    expect("the key begins the value", True, value.startswith(token.key) and len(value) <= 55)
    years = token.expire_time.ToDatetime().year - token.create_time.ToDatetime().year
    expect("valid for two calendar years", 2, years)
    code, answer, _ = service.call("ListTokens", DEVELOPER)
    expect("list", [(token.id, token.key)], [(listed.id, listed.key) for listed in answer.tokens])
    expect("verify the value", "VERDICT_ACTIVE", service.verdict(token_value=value, required_type=2))
    expect("verify the digest", "VERDICT_ACTIVE", service.verdict(token_sha256=digest))
    expect("the other type", "VERDICT_WRONG_TYPE", service.verdict(token_value=value, required_type=1))
    expect("an unknown digest", "VERDICT_UNKNOWN", service.verdict(token_sha256=bytes(32)))
    flipped = value[:-1] + ("0" if value[-1] != "0" else "1")
    expect("a wrong checksum", "VERDICT_MALFORMED", service.verdict(token_value=flipped))
    code, _, error = service.call("DeleteToken", STRANGER, id=token.id)
    other, _, unknown = service.call("DeleteToken", STRANGER, id=2**62)
    expect("another tenant's id is unknown", (NOT_FOUND, NOT_FOUND), (code, other))
    expect("just like any", (unknown.details(), details(unknown)), (error.details(), details(error)))
    code, answer, _ = service.call("DeleteToken", ADMIN, id=token.id)
    expect("an admin deletes", OK, code)
    code, again, _ = service.call("DeleteToken", DEVELOPER, id=token.id)
    expect("a repeated delete confirms the same revision", answer.receipt.revision, again.receipt.revision)
    expect("revoked before wrong type", "VERDICT_REVOKED", service.verdict(token_value=value, required_type=1))


def requests_repeated(service):
    request_id = str(uuid.uuid4())
    _, first, _ = service.create(request_id=request_id)
    code, second, _ = service.create(request_id=request_id)
    expect("a repeated create makes a new token", True, code is OK and first.token.id != second.token.id)
    expect("and deletes the first", "VERDICT_REVOKED", service.verdict(token_value=first.token_value))
    code, _, error = service.create(name="another", request_id=request_id)
    expect("another payload is refused", ("ALREADY_EXISTS", "REQUEST_ID_REUSED"), (code.name, details(error)[1]))
    service.call("DeleteToken", DEVELOPER, id=second.token.id)
    code, _, error = service.create(request_id=request_id)
    expect("so is a repeat after a delete", ("FAILED_PRECONDITION", "REQUEST_ID_SPENT"), (code.name, details(error)[1]))


def pages(service):
    ids = [service.create(name=f"page {i}")[1].token.id for i in range(5)]
    found, token = [], ""
    for _ in range(10):
        _, answer, _ = service.call("ListTokens", DEVELOPER, page_size=2, page_token=token)
        found += [listed.id for listed in answer.tokens]
        token = answer.next_page_token or token
        if not answer.next_page_token:
            break
    expect("pages hold every token once, newest first", ids[::-1], [id for id in found if id in ids])
    expect("page size 1000000 is lowered", OK, service.call("ListTokens", DEVELOPER, page_size=1_000_000)[0])
    for name, jwt, page_token in [
        ("an edited page token", DEVELOPER, token[:-1] + ("A" if token[-1] != "A" else "B")),
        ("another tenant's page token", STRANGER, token),
        ("a page token out of thin air", DEVELOPER, "42"),
    ]:
        code, _, error = service.call("ListTokens", jwt, page_size=2, page_token=page_token)
        expect(name, (INVALID, [("page_token", "PAGE_TOKEN_INVALID")]), (code, error and details(error)[2]))


def names(service):
    accepted = {
        "an emoji": "🚀 production 👩‍🚀",
        "right-to-left text": "מפתח ייצור مفتاح",
        "255 characters of four bytes": "🔑" * 255,
    }
    for name, text in accepted.items():
        code, answer, _ = service.create(name=text)
        expect(f"{name}: kept as it is", (OK, text), (code, answer and answer.token.name))
    code, answer, _ = service.create(name="  trimmed\t")
    expect("a name is trimmed", "trimmed", answer and answer.token.name)
    known = service.request("CreateToken", name="newer client", type=1, years_valid=1).SerializeToString()
    code, _, _ = service.call("CreateToken", DEVELOPER, request=known + b"\xa2\x06\x03new")
    expect("an unknown field is accepted", OK, code)


def bad_input(service):
    refused = [
        ("CreateToken", {"name": ""}, "name", "TOKEN_NAME_REQUIRED"),
        ("CreateToken", {"name": " \u00a0\t"}, "name", "TOKEN_NAME_REQUIRED"),
        ("CreateToken", {"name": "x" * 256}, "name", "TOKEN_NAME_TOO_LONG"),
        ("CreateToken", {"name": "a\u0007b"}, "name", "TOKEN_NAME_CONTROL_CHARACTER"),
        ("CreateToken", {"name": "a\u202eb"}, "name", "TOKEN_NAME_BIDI_CONTROL"),
        ("CreateToken", {"years_valid": 0}, "years_valid", "YEARS_VALID_INVALID"),
        ("CreateToken", {"years_valid": 3}, "years_valid", "YEARS_VALID_INVALID"),
        ("CreateToken", {"years_valid": -1}, "years_valid", "YEARS_VALID_INVALID"),
        ("CreateToken", {"years_valid": 2**31 - 1}, "years_valid", "YEARS_VALID_INVALID"),
        ("CreateToken", {"type": 0}, "type", "TOKEN_TYPE_INVALID"),
        ("CreateToken", {"type": 9}, "type", "TOKEN_TYPE_INVALID"),
        ("CreateToken", {"request_id": "not a UUID"}, "request_id", "REQUEST_ID_INVALID"),
        ("DeleteToken", {"id": 0}, "id", "TOKEN_ID_INVALID"),
        ("DeleteToken", {"id": -1}, "id", "TOKEN_ID_INVALID"),
        ("ListTokens", {"page_size": -1}, "page_size", "PAGE_SIZE_INVALID"),
        ("VerifyToken", {"token_sha256": b"short"}, "token_sha256", "TOKEN_SHA256_INVALID"),
        ("VerifyToken", {"token_value": "x", "required_type": 9}, "required_type", "TOKEN_TYPE_INVALID"),
    ]
    valid = {"CreateToken": {"name": "refused", "type": 1, "years_valid": 1}}
    for method, fields, field, reason in refused:
        jwt = VERIFIER if method == "VerifyToken" else DEVELOPER
        code, _, error = service.call(method, jwt, **{**valid.get(method, {}), **fields})
        got = (code, *details(error)) if error else code
        shown = ", ".join(f"{key} {ascii(value)[:24]}" for key, value in fields.items())
        expect(f"{method} with {shown}", (INVALID, "gatekey", "INVALID_REQUEST", [(field, reason)]), got)

    _, _, error = service.call("CreateToken", DEVELOPER)
    expect("all violations at once", {"name", "type", "years_valid"}, {field for field, _ in details(error)[2]})
    code, _, error = service.call("VerifyToken", VERIFIER)
    expect("verify nothing", (INVALID, "TOKEN_REQUIRED"), (code, details(error)[2][0][1]))
    code, _, _ = service.create(name="x" * 2**20)
    sized = (INVALID, grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.RESOURCE_EXHAUSTED)
    expect("a name of 1 MiB is refused", "refused", "refused" if code in sized else code)


def callers(service):
    allowed = {
        "CreateToken": (DEVELOPER,),
        "ListTokens": (DEVELOPER,),
        "DeleteToken": (DEVELOPER, ADMIN),
        "VerifyToken": (VERIFIER,),
    }
    roles = {"developer": DEVELOPER, "admin": ADMIN, "verifier": VERIFIER}
    for method, may in allowed.items():
        for role, jwt in roles.items():
            code, _, error = service.call(method, jwt)
            got = details(error)[1] if error else None
            if jwt in may:
                expect(f"{method} by {role} is allowed", True, code is not DENIED and code is not UNAUTHENTICATED)
            else:
                expect(f"{method} by {role}", (DENIED, "ROLE_REQUIRED"), (code, got))
        code, _, error = service.call(method, None)
        expect(f"{method} without a JWT", (UNAUTHENTICATED, "CREDENTIALS_MISSING"), (code, details(error)[1]))

    bearer = ("authorization", f"Bearer {DEVELOPER}")
    _, answer, _ = service.create(name="no credential")
    refused = {
        "two authorization headers": [bearer, bearer],
        "an edited JWT": [("authorization", f"Bearer {DEVELOPER[:-8]}AAAAAAAA")],
        "another scheme": [("authorization", "Basic ZGV2OmRldg==")],
        "an API token for a JWT": [("authorization", f"Bearer {answer.token_value}")],
    }
    for name, metadata in refused.items():
        code, _, error = service.call("ListTokens", None, metadata=metadata)
        reason = error and details(error)[1]
        expect(name, (UNAUTHENTICATED, True), (code, reason in ("CREDENTIALS_INVALID", "CREDENTIALS_MISSING")))
    code, _, error = service.call("ListTokens", DEVELOPER, metadata=[("x-forwarded-for", "192.0.2.1")])
    expect("development mode behind a proxy", (DENIED, "LOOPBACK_ONLY"), (code, error and details(error)[1]))


def health(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    serving = health_pb2.HealthCheckResponse.SERVING
    for name in ("", "gatekey.v1.TokenService"):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=SECONDS)
        expect(f"health of {name!r}", serving, answer.status)
    try:
        stub.Check(health_pb2.HealthCheckRequest(service="no.such.Service"), timeout=SECONDS)
        code = OK
    except grpc.RpcError as error:
        code = error.code()
    expect("health of an unknown service", NOT_FOUND, code)
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="gatekey.v1.TokenService"), timeout=SECONDS)
    expect("health watch", serving, next(watch).status)
    watch.cancel()
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="no.such.Service"), timeout=SECONDS)
    expect("health watch of an unknown service", health_pb2.HealthCheckResponse.SERVICE_UNKNOWN, next(watch).status)
    watch.cancel()
    statuses = stub.List(health_pb2.HealthListRequest(), timeout=SECONDS).statuses
    expect("health list", serving, statuses["gatekey.v1.TokenService"].status)
    for path in ("livez", "readyz"):
        with urllib.request.urlopen(f"http://{HTTP}/{path}", timeout=SECONDS) as answer:
            expect(f"/{path}", 200, answer.status)


def main():
    with grpc.insecure_channel(GRPC) as channel:
        service = Service(channel)
        life(service)
        for part in (requests_repeated, pages, names, bad_input, callers):
            part(service)
        health(channel)
    print(f"{counts['ok']} passed, {counts['FAILED']} failed")
    return 1 if counts["FAILED"] else 0


if __name__ == "__main__":
    sys.exit(main())
