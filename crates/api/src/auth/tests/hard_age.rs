//! Keys that could not be read again for a day: nobody can tell any more.

use std::time::Duration;

use super::fixture::{Fixture, KEY_ID, claims, jwt, jwt_named, pass, set_of, settings};
use super::issuer_server::{Answer, IssuerServer};
use super::jwks_sets::SetFile;
use super::signing_key::SigningKey;
use crate::auth::jwks::{HARD_AGE, MIN_INTERVAL, OUTAGE_NEWS};

const MOMENT: Duration = Duration::from_mins(1);

#[tokio::test]
async fn keys_that_can_not_be_read_again_are_trusted_for_a_day() {
    let key = SigningKey::ed25519();
    let server = IssuerServer::start(Answer::Set(set_of(&[key.jwk(KEY_ID)]))).await;
    let fixture = Fixture::of(vec![settings(server.source())]).await;
    let token = jwt(&key, &claims());
    fixture.accepted(&token).await;
    server.answer(Answer::Status(500));
    pass(HARD_AGE.checked_sub(MOMENT).expect("longer")).await;
    fixture.accepted(&token).await;
    pass(MOMENT).await;
    fixture.cannot_tell(&token).await;
    // Inside the interval as well, and as long as the outage lasts.
    fixture.cannot_tell(&token).await;
    fixture.cannot_tell(&jwt_named(&key, "made up")).await;
    pass(HARD_AGE).await;
    fixture.cannot_tell(&token).await;
    server.answer(Answer::Set(set_of(&[key.jwk(KEY_ID)])));
    pass(MIN_INTERVAL).await;
    fixture.accepted(&token).await;
}

/// What is known of an outage lets callers through without waiting, but not beyond the day.
#[tokio::test]
async fn a_known_outage_prolongs_no_trust() {
    let key = SigningKey::ed25519();
    let server = IssuerServer::start(Answer::Set(set_of(&[key.jwk(KEY_ID)]))).await;
    let fixture = Fixture::of(vec![settings(server.source())]).await;
    let token = jwt(&key, &claims());
    fixture.accepted(&token).await;
    server.answer(Answer::Status(500));
    let short = OUTAGE_NEWS / 2;
    pass(HARD_AGE.checked_sub(short).expect("longer")).await;
    fixture.accepted(&token).await;
    pass(short).await;
    fixture.cannot_tell(&token).await;
    assert_eq!(server.hits(), 3);
}

#[tokio::test]
async fn a_day_counts_from_the_last_read_that_succeeded() {
    let key = SigningKey::ed25519();
    let server = IssuerServer::start(Answer::Set(set_of(&[key.jwk(KEY_ID)]))).await;
    let fixture = Fixture::of(vec![settings(server.source())]).await;
    let token = jwt(&key, &claims());
    for _ in 0..3 {
        server.answer(Answer::Set(set_of(&[key.jwk(KEY_ID)])));
        fixture.accepted(&token).await;
        server.answer(Answer::Status(500));
        pass(HARD_AGE.checked_sub(MOMENT).expect("longer")).await;
        fixture.accepted(&token).await;
        // Old news by then.
        pass(MOMENT / 2).await;
    }
}

#[tokio::test]
async fn a_file_that_can_not_be_read_again_ages_too() {
    let key = SigningKey::ed25519();
    let set = set_of(&[key.jwk(KEY_ID)]).to_string();
    let file = SetFile::with(&set);
    let fixture = Fixture::of(vec![settings(file.source())]).await;
    file.write("{\"keys\":[");
    pass(HARD_AGE.checked_sub(MOMENT).expect("longer")).await;
    fixture.accepted(&jwt(&key, &claims())).await;
    pass(MOMENT).await;
    fixture.cannot_tell(&jwt(&key, &claims())).await;
    file.write(&set);
    pass(MIN_INTERVAL).await;
    fixture.accepted(&jwt(&key, &claims())).await;
}
