-- What the log knows and in which epoch, what the digest is, and whether the log has the holder's entry: one
-- statement, one moment. ?1 digest, ?2 and ?3 the holder's number and nonce, or null.
SELECT head.seq, head.nonce, head.epoch,
       EXISTS (SELECT 1 FROM revocation_log AS log WHERE log.seq = ?2 AND log.nonce = ?3)
           AS contains_holder,
       token.id IS NOT NULL AS found, token.revoked_seq,
       token.id, token.tenant, token.name, token.key, token.type AS kind, token.creator,
       token.create_time, token.expire_time
FROM head LEFT JOIN token ON token.digest = ?1
