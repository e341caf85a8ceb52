"""For schemathesis: an Idempotency-Key belongs to one body, as callers use it. Else chance would use a key again with another
body, which is refused for a reason that no schema can say."""

import json
import uuid

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    key = (case.headers or {}).get("Idempotency-Key")
    try:
        uuid.UUID(key)
    except (AttributeError, TypeError, ValueError):
        return
    body = json.dumps(case.body, sort_keys=True, default=str)
    case.headers["Idempotency-Key"] = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{key} {body}"))
