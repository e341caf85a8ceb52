-- Every replica's row, and, without an id, each position that was asked about and that the log contains, or has contained:
-- of what was trimmed the tombstones tell. One statement, one moment. ?1 the positions as JSON: [[number, nonce], …].
SELECT id, n, lease_ms, NULL AS seq, NULL AS nonce
FROM replica
UNION ALL
SELECT NULL, NULL, NULL, asked.value ->> 0, asked.value ->> 1
FROM json_each(?1) AS asked
WHERE EXISTS (
          SELECT 1 FROM revocation_log AS log
          WHERE log.seq = asked.value ->> 0 AND log.nonce = asked.value ->> 1
      )
   OR (
          NOT EXISTS (SELECT 1 FROM revocation_log AS log WHERE log.seq = asked.value ->> 0)
          AND EXISTS (
              SELECT 1 FROM token
              WHERE token.revoked_seq = asked.value ->> 0 AND token.revoked_nonce = asked.value ->> 1
          )
      )
