-- Removes the oldest entries of the log that were written before $1, none of the newest $2, and $3 at the most; looks from
-- the number $4 on, before which there is none. Only from the front: an entry that is older than one before it (whoever wrote it
-- has another clock) stays until that one goes, as a log with a gap is no log. One at a time ($5): two could wait for each other.
WITH turn AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock($5) AS mine
), oldest AS MATERIALIZED (
    SELECT seq, log_time FROM revocation_log WHERE seq >= $4 ORDER BY seq LIMIT $3
), young AS MATERIALIZED (
    SELECT min(seq) AS seq FROM oldest WHERE log_time >= $1
), gone AS (
    DELETE FROM revocation_log AS log
    USING turn, oldest, young, head
    WHERE turn.mine AND log.seq = oldest.seq
      AND (young.seq IS NULL OR oldest.seq < young.seq)
      AND oldest.seq <= head.seq - $2
    RETURNING log.seq
)
SELECT count(*), max(seq) FROM gone
