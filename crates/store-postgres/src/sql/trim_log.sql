-- Removes the oldest entries of the log that were written before $1, none of the newest $2, and $3 at the most. Only from
-- the front: an entry that is older than one before it (whoever wrote it has another clock) stays until that one goes, as a
-- log with a gap is no log. One at a time ($4): two could wait for each other. A trimming that is lost is done again, so nobody
-- waits for the disk or for a standby.
WITH turn AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock($4) AS mine
), oldest AS MATERIALIZED (
    SELECT seq, log_time FROM revocation_log ORDER BY seq LIMIT $3
), young AS MATERIALIZED (
    SELECT min(seq) AS seq FROM oldest WHERE log_time >= $1
), gone AS (
    DELETE FROM revocation_log AS log
    USING turn, oldest, young, head
    WHERE turn.mine AND log.seq = oldest.seq
      AND (young.seq IS NULL OR oldest.seq < young.seq)
      AND oldest.seq <= head.seq - $2
    RETURNING 1
)
SELECT (SELECT count(*) FROM gone) AS gone, set_config('synchronous_commit', 'off', true)
