//! What an operator does to many tokens at once. There is one writer, so nothing is locked.

use gatekey_core::{
    Act, Action, AuditEntry, EpochBegun, Outcome, Revocation, RevokedToken, SelectedToken, Selection,
};
use gatekey_lease::{Nonce, Seq};
use gatekey_model::{TenantId, Timestamp, TokenId, TokenKey};
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, QueryBuilder, Row, Sqlite, SqliteConnection};

use crate::audit;
use crate::bounded::Ending;
use crate::fault::Fault;
use crate::revoke;
use crate::rows::{self, PositionRow, TokenRow};

#[derive(FromRow)]
struct RevokedRow {
    id: i64,
    digest: Vec<u8>,
    key: String,
    #[sqlx(flatten)]
    position: PositionRow,
    log_time: Option<i64>,
}

pub(crate) async fn select(
    connection: &mut SqliteConnection,
    selection: Selection,
    after: Option<TokenId>,
    limit: u32,
) -> Result<Vec<SelectedToken>, Fault> {
    let mut query: QueryBuilder<Sqlite> = QueryBuilder::new(
        "SELECT id, tenant, name, key, type AS kind, creator, create_time, expire_time, digest, revoked_seq,
                revoked_nonce FROM token WHERE id > ",
    );
    query.push_bind(after.map_or(0, TokenId::get));
    match selection {
        Selection::Digests(digests) => {
            one_of(&mut query, "digest", digests.iter().map(|digest| digest.as_bytes().to_vec()));
        }
        Selection::Keys(keys) => {
            one_of(&mut query, "key", keys.iter().map(|key| key.as_str().to_owned()));
        }
        Selection::Id { tenant, id } => {
            query.push(" AND id = ").push_bind(id.get());
            of_tenant(&mut query, &tenant);
        }
        Selection::Tenant(tenant) => of_tenant(&mut query, &tenant),
        Selection::Creator { subject, tenant } => {
            query.push(" AND creator = ").push_bind(subject);
            if let Some(tenant) = tenant {
                of_tenant(&mut query, &tenant);
            }
        }
    }
    query.push(" ORDER BY id LIMIT ").push_bind(i64::from(limit));
    let found = query.build().fetch_all(connection).await?;
    let token = |row: &SqliteRow| {
        let digest: Vec<u8> = row.try_get("digest")?;
        let (seq, nonce) = (row.try_get("revoked_seq")?, row.try_get("revoked_nonce")?);
        Ok(SelectedToken {
            token: rows::token(TokenRow::from_row(row)?)?,
            digest: rows::digest(&digest)?,
            revoked: rows::tombstone(seq, nonce)?,
        })
    };
    found.iter().map(token).collect()
}

fn one_of<T>(query: &mut QueryBuilder<Sqlite>, column: &str, values: impl Iterator<Item = T>)
where
    T: for<'q> sqlx::Encode<'q, Sqlite> + sqlx::Type<Sqlite>,
{
    query.push(" AND ").push(column).push(" IN (");
    let mut list = query.separated(", ");
    for value in values {
        list.push_bind(value);
    }
    query.push(")");
}

fn of_tenant(query: &mut QueryBuilder<Sqlite>, tenant: &TenantId) {
    query.push(" AND tenant = ").push_bind(tenant.as_str().to_owned());
}

pub(crate) async fn begin_run(
    connection: &mut SqliteConnection,
    act: Act,
    reason: Option<String>,
) -> Result<Ending<Revocation>, Fault> {
    let outcome = Outcome::Begun(reason);
    let entry = AuditEntry { act, action: Action::Delete, token_id: None, outcome };
    audit::record(connection, entry).await?;
    let row = sqlx::query("SELECT seq, nonce, max_lease_ms FROM head").fetch_optional(connection).await?;
    let row = row.ok_or(Fault::Impossible("no head"))?;
    let position = rows::position(&PositionRow::from_row(&row)?)?;
    let max_lease = rows::lease(row.try_get("max_lease_ms")?)?;
    Ok(Ending::Commit(Revocation { position, repeated: true, max_lease }))
}

pub(crate) async fn revoke_all(
    connection: &mut SqliteConnection,
    tokens: Vec<(TokenId, Nonce)>,
    act: Act,
) -> Result<Ending<Vec<(TokenId, Revocation)>>, Fault> {
    let mut revoked = Vec::new();
    for (id, nonce) in tokens {
        let tenant: Option<String> = sqlx::query_scalar("SELECT tenant FROM token WHERE id = ?1")
            .bind(id.get())
            .fetch_optional(&mut *connection)
            .await?;
        let Some(tenant) = tenant else { continue };
        let tenant = TenantId::parse(&tenant).map_err(|_| Fault::Impossible("a token's tenant"))?;
        let act = Act { tenant: Some(tenant.clone()), ..act.clone() };
        if let Ending::Commit(Some(revocation)) = revoke::revoke(connection, tenant, id, nonce, act).await? {
            revoked.push((id, revocation));
        }
    }
    Ok(Ending::Commit(revoked))
}

pub(crate) async fn revoked(
    connection: &mut SqliteConnection,
    revoked_after: Seq,
    after: Option<TokenId>,
    limit: u32,
) -> Result<Vec<RevokedToken>, Fault> {
    let found: Vec<RevokedRow> = sqlx::query_as(
        "SELECT token.id, token.digest, token.key, token.revoked_seq AS seq, token.revoked_nonce AS nonce,
                log.log_time
         FROM token LEFT JOIN revocation_log AS log
              ON log.seq = token.revoked_seq AND log.nonce = token.revoked_nonce
         WHERE token.id > ?1 AND token.revoked_seq > ?2
         ORDER BY token.id LIMIT ?3",
    )
    .bind(after.map_or(0, TokenId::get))
    .bind(revoked_after.get())
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    let token = |row: RevokedRow| {
        Ok(RevokedToken {
            id: rows::token_id(row.id)?,
            digest: rows::digest(&row.digest)?,
            key: TokenKey::from_stored(row.key),
            position: rows::position(&row.position)?,
            at: row.log_time.and_then(Timestamp::from_unix_micros),
        })
    };
    found.into_iter().map(token).collect()
}

pub(crate) async fn begin_epoch(
    connection: &mut SqliteConnection,
    epoch: u32,
) -> Result<Ending<EpochBegun>, Fault> {
    let row = sqlx::query("SELECT seq, nonce, max_lease_ms, epoch FROM head")
        .fetch_optional(&mut *connection)
        .await?
        .ok_or(Fault::Impossible("no head"))?;
    sqlx::query("UPDATE head SET epoch = ?1").bind(i64::from(epoch)).execute(connection).await?;
    Ok(Ending::Commit(EpochBegun {
        before: row.try_get("epoch")?,
        head: rows::position(&PositionRow::from_row(&row)?)?,
        max_lease: rows::lease(row.try_get("max_lease_ms")?)?,
    }))
}
