-- Every replica's row, and, without an id, each position that was asked about and that the log contains, or has contained:
-- of what was trimmed the tombstones tell. One statement, one moment. $1 and $2 the positions' numbers and nonces.
SELECT id, n, lease_ms, acked_seq, acked_nonce, confirmed, waited_out,
       EXISTS (
           SELECT FROM revocation_log AS log
           WHERE log.seq = replica.acked_seq AND log.nonce = replica.acked_nonce
       ) AS in_log
FROM replica
UNION ALL
SELECT NULL, 0, 0, asked.seq, asked.nonce, 0, 0, true
FROM unnest($1::bigint[], $2::bigint[]) AS asked (seq, nonce)
WHERE EXISTS (
          SELECT FROM revocation_log AS log WHERE log.seq = asked.seq AND log.nonce = asked.nonce
      )
   OR (
          asked.seq < (SELECT min(seq) FROM revocation_log)
          AND EXISTS (
              SELECT FROM token WHERE token.revoked_seq = asked.seq AND token.revoked_nonce = asked.nonce
          )
      )
