-- Tombstones by where their revocation stands: what is no longer in the log is told of by them.
CREATE INDEX IF NOT EXISTS token_revoked ON token (revoked_seq) WHERE revoked_seq IS NOT NULL;
