-- A page of a tenant's tokens, from after the cursor on. $1 tenant, $2 and $3 the cursor, $4 the size.
SELECT id, tenant, name, key, type AS kind, creator, create_time, expire_time
FROM token
WHERE tenant = $1 AND revoked_seq IS NULL
  AND (create_time, id) < (COALESCE($2, 'infinity'::timestamptz), COALESCE($3, 0::bigint))
ORDER BY create_time DESC, id DESC
LIMIT $4
