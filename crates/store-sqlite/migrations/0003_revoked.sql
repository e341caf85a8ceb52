-- Tombstones by where their revocation stands: what is no longer in the log is still told of by them. Also what an export of
-- revocations reads.
CREATE INDEX token_revoked ON token (revoked_seq) WHERE revoked_seq IS NOT NULL;
