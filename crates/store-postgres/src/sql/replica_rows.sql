-- Every replica's row, and, without an id, each position that was asked about and that the log contains: one
-- statement, one moment. $1 and $2 the positions' numbers and nonces.
SELECT id, n, lease_ms, acked_seq, acked_nonce, confirmed, waited_out,
       EXISTS (
           SELECT FROM revocation_log AS log
           WHERE log.seq = replica.acked_seq AND log.nonce = replica.acked_nonce
       ) AS in_log
FROM replica
UNION ALL
SELECT NULL, 0, 0, log.seq, log.nonce, 0, 0, true
FROM unnest($1::bigint[], $2::bigint[]) AS asked (seq, nonce)
JOIN revocation_log AS log USING (seq, nonce)
