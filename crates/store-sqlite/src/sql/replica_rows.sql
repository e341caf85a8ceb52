-- Every replica's row, and, without an id, each position that was asked about and that the log contains: one
-- statement, one moment. ?1 the positions as JSON: [[number, nonce], …].
SELECT id, n, lease_ms, NULL AS seq, NULL AS nonce
FROM replica
UNION ALL
SELECT NULL, NULL, NULL, log.seq, log.nonce
FROM json_each(?1) AS asked
CROSS JOIN revocation_log AS log ON log.seq = asked.value ->> 0 AND log.nonce = asked.value ->> 1
