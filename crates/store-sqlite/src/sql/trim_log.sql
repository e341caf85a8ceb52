-- Removes the oldest entries of the log that were written before ?1, none of the newest ?2, and ?3 at the most; looks from
-- the number ?4 on, before which there is none. Only from the front: an entry that is older than one before it stays until
-- that one goes, as a log with a gap is no log.
WITH oldest AS MATERIALIZED (
    SELECT seq, log_time FROM revocation_log WHERE seq >= ?4 ORDER BY seq LIMIT ?3
)
DELETE FROM revocation_log
WHERE seq IN (SELECT seq FROM oldest)
  AND seq < coalesce((SELECT min(seq) FROM oldest WHERE log_time >= ?1), 9223372036854775807)
  AND seq <= (SELECT seq FROM head) - ?2
RETURNING seq
