-- What the log knows and in which epoch, what the digest is, and whether the log has the holder's entry: one
-- statement, one moment, one server. $1 digest, $2 and $3 the holder's number and nonce, or null. On a standby,
-- which has no place to write to, it fails.
SELECT head.seq, head.nonce, head.epoch, left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) AS timeline,
       EXISTS (SELECT FROM revocation_log AS log WHERE log.seq = $2 AND log.nonce = $3) AS contains_holder,
       token.id IS NOT NULL AS found, token.revoked_seq,
       token.id, token.tenant, token.name, token.key, token.type AS kind, token.creator,
       token.create_time, token.expire_time
FROM head LEFT JOIN token ON token.digest = $1
