-- Tokens, the log of their revocations, and the audit log.
-- Migrations are append-only: see migrations/FROZEN.

-- One row for each tenant that ever had a token. Its lock makes the limit exact: whoever creates or
-- deletes a token of the tenant waits here for the others.
CREATE TABLE tenant (
    id          text PRIMARY KEY CHECK (char_length(id) BETWEEN 1 AND 255),
    live_tokens bigint NOT NULL CHECK (live_tokens >= 0)
);

CREATE TABLE token (
    -- ALWAYS: nobody chooses an id, and none is used twice.
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant         text NOT NULL REFERENCES tenant (id),
    name           text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
    key            text NOT NULL CHECK (key <> ''),
    type           text NOT NULL CHECK (type IN ('batch', 'realtime')),
    -- SHA-256 of the token value, which is not stored. Unique among deleted tokens too: a value that
    -- was revoked must never come back.
    digest         bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    creator        text NOT NULL,
    creator_issuer text NOT NULL,
    create_time    timestamptz NOT NULL,
    expire_time    timestamptz NOT NULL,
    -- Where the revocation stands in the log: number and nonce. The nonce is here as well, and the
    -- number is no foreign key, because the log is trimmed one day and the tombstone is not.
    revoked_seq    bigint CHECK (revoked_seq > 0),
    revoked_nonce  bigint,
    CHECK ((revoked_seq IS NULL) = (revoked_nonce IS NULL))
);

-- The list: a tenant's tokens that are not deleted, newest first.
CREATE INDEX token_listing ON token (tenant, create_time DESC, id DESC) WHERE revoked_seq IS NULL;

-- The intentions behind creates, so that a repeated call is recognised.
CREATE TABLE create_request (
    issuer      text NOT NULL,
    subject     text NOT NULL,
    tenant      text NOT NULL,
    request_id  uuid NOT NULL,
    payload     bytea NOT NULL CHECK (octet_length(payload) = 32),
    -- Null only within the transaction that makes the row: the row is locked before its token exists.
    token_id    bigint REFERENCES token (id),
    create_time timestamptz NOT NULL,
    PRIMARY KEY (issuer, subject, tenant, request_id)
);

-- The newest entry of the log. One row, and the lock on it is what makes the order of commits the
-- order of the numbers; a sequence would not (it is drawn before the commit, and in any order).
CREATE TABLE head (
    one          boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq          bigint NOT NULL CHECK (seq >= 0),
    -- 64 random bits, cast to a signed number.
    nonce        bigint NOT NULL,
    -- Changes when a backup is restored.
    epoch        bigint NOT NULL,
    -- The longest lease that was ever given: a delete waits that out. None was given yet.
    max_lease_ms bigint NOT NULL CHECK (max_lease_ms >= 0)
);

CREATE TABLE revocation_log (
    seq      bigint PRIMARY KEY CHECK (seq >= 0),
    nonce    bigint NOT NULL,
    kind     text NOT NULL CHECK (kind IN ('genesis', 'revoke')),
    digest   bytea CHECK (octet_length(digest) = 32),
    log_time timestamptz NOT NULL,
    CHECK ((kind = 'genesis') = (seq = 0)),
    CHECK ((kind = 'revoke') = (digest IS NOT NULL))
);

-- The first entry, under a nonce of its own, so that no two databases have a history in common. The
-- first and the last eight digits of a random UUID are 64 random bits; its other digits are not all.
WITH genesis AS (
    INSERT INTO head (seq, nonce, epoch, max_lease_ms)
    SELECT 0, ('x' || left(uuid, 8) || right(uuid, 8))::bit(64)::bigint, 0, 0
    FROM (SELECT gen_random_uuid()::text AS uuid) AS random
    RETURNING seq, nonce
)
INSERT INTO revocation_log (seq, nonce, kind, log_time)
SELECT seq, nonce, 'genesis', now() FROM genesis;

-- The processes that hold leases, each with the position up to which it confirms revocations, and how
-- many holders confirmed and how many leases it waited out since its last confirmation. A new row confirms
-- nothing.
CREATE TABLE replica (
    id          bytea PRIMARY KEY CHECK (octet_length(id) = 16),
    n           bigint NOT NULL,
    acked_seq   bigint CHECK (acked_seq >= 0),
    acked_nonce bigint,
    confirmed   bigint NOT NULL DEFAULT 0 CHECK (confirmed >= 0),
    waited_out  bigint NOT NULL DEFAULT 0 CHECK (waited_out >= 0),
    lease_ms    bigint NOT NULL CHECK (lease_ms > 0),
    CHECK ((acked_seq IS NULL) = (acked_nonce IS NULL))
);

-- Who did what, or was refused it. token_id is what the caller named: it need not exist.
CREATE TABLE audit_log (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    log_time timestamptz NOT NULL,
    issuer   text NOT NULL,
    subject  text NOT NULL,
    tenant   text,
    action   text NOT NULL CHECK (action IN ('create', 'list', 'delete')),
    token_id bigint,
    call_id  text NOT NULL,
    -- done, repeated, replaced, or the reason of a refusal.
    outcome  text NOT NULL CHECK (outcome <> '')
);
