-- Tokens, the log of their revocations, and the audit log.
-- Migrations are append-only: see migrations/FROZEN.
-- Times are microseconds since 1970 in UTC. STRICT: a column holds its type and nothing else.

-- How many live tokens each tenant has, so that a create need not count them.
CREATE TABLE tenant (
    id          TEXT PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
    live_tokens INTEGER NOT NULL CHECK (live_tokens >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE token (
    -- AUTOINCREMENT: no id is used twice, whatever is removed by hand.
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant         TEXT NOT NULL REFERENCES tenant (id),
    name           TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    key            TEXT NOT NULL CHECK (key <> ''),
    type           TEXT NOT NULL CHECK (type IN ('batch', 'realtime')),
    -- SHA-256 of the token value, which is not stored. Unique among deleted tokens too: a value that
    -- was revoked must never come back.
    digest         BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    creator        TEXT NOT NULL,
    creator_issuer TEXT NOT NULL,
    create_time    INTEGER NOT NULL,
    expire_time    INTEGER NOT NULL,
    -- Where the revocation stands in the log: number and nonce. The nonce is here as well, and the
    -- number is no foreign key, because the log is trimmed one day and the tombstone is not.
    revoked_seq    INTEGER CHECK (revoked_seq > 0),
    revoked_nonce  INTEGER,
    CHECK ((revoked_seq IS NULL) = (revoked_nonce IS NULL))
) STRICT;

-- The list: a tenant's tokens that are not deleted, newest first.
CREATE INDEX token_listing ON token (tenant, create_time DESC, id DESC) WHERE revoked_seq IS NULL;

-- The intentions behind creates, so that a repeated call is recognised.
CREATE TABLE create_request (
    issuer      TEXT NOT NULL,
    subject     TEXT NOT NULL,
    tenant      TEXT NOT NULL,
    request_id  BLOB NOT NULL CHECK (length(request_id) = 16),
    payload     BLOB NOT NULL CHECK (length(payload) = 32),
    token_id    INTEGER NOT NULL REFERENCES token (id),
    create_time INTEGER NOT NULL,
    PRIMARY KEY (issuer, subject, tenant, request_id)
) STRICT, WITHOUT ROWID;

-- The newest entry of the log: one row.
CREATE TABLE head (
    one          INTEGER PRIMARY KEY DEFAULT 1 CHECK (one = 1),
    seq          INTEGER NOT NULL CHECK (seq >= 0),
    -- 64 random bits, cast to a signed number.
    nonce        INTEGER NOT NULL,
    -- Changes when a backup is restored.
    epoch        INTEGER NOT NULL,
    -- The longest lease that was ever given: a delete waits that out. None was given yet.
    max_lease_ms INTEGER NOT NULL CHECK (max_lease_ms >= 0)
) STRICT;

CREATE TABLE revocation_log (
    seq      INTEGER PRIMARY KEY CHECK (seq >= 0),
    nonce    INTEGER NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('genesis', 'revoke')),
    digest   BLOB CHECK (length(digest) = 32),
    log_time INTEGER NOT NULL,
    CHECK ((kind = 'genesis') = (seq = 0)),
    CHECK ((kind = 'revoke') = (digest IS NOT NULL))
) STRICT;

-- The first entry, under a nonce of its own, so that no two databases have a history in common.
INSERT INTO head (seq, nonce, epoch, max_lease_ms) VALUES (0, random(), 0, 0);
INSERT INTO revocation_log (seq, nonce, kind, log_time)
SELECT seq, nonce, 'genesis', unixepoch() * 1000000 FROM head;

-- The processes that hold leases: the one that has the file, and those before it that did not stop as they
-- should. How far it has come since it wrote its row, and what it confirms, the one has in memory.
CREATE TABLE replica (
    id       BLOB PRIMARY KEY CHECK (length(id) = 16),
    n        INTEGER NOT NULL,
    lease_ms INTEGER NOT NULL CHECK (lease_ms > 0)
) STRICT, WITHOUT ROWID;

-- Who did what, or was refused it. token_id is what the caller named: it need not exist.
CREATE TABLE audit_log (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    log_time INTEGER NOT NULL,
    issuer   TEXT NOT NULL,
    subject  TEXT NOT NULL,
    tenant   TEXT,
    action   TEXT NOT NULL CHECK (action IN ('create', 'list', 'delete')),
    token_id INTEGER,
    call_id  TEXT NOT NULL,
    -- done, repeated, replaced, or the reason of a refusal.
    outcome  TEXT NOT NULL CHECK (outcome <> '')
) STRICT;
