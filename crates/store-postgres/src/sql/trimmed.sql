-- Which of these positions were in the log before it was trimmed: their tombstones tell, and there is no other entry of
-- their number. $1 and $2 the positions' numbers and nonces.
SELECT asked.seq, asked.nonce
FROM unnest($1::bigint[], $2::bigint[]) AS asked (seq, nonce)
WHERE NOT EXISTS (SELECT FROM revocation_log AS log WHERE log.seq = asked.seq)
  AND EXISTS (
      SELECT FROM token WHERE token.revoked_seq = asked.seq AND token.revoked_nonce = asked.nonce
  )
