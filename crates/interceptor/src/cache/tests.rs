//! The table and the index hold the same tokens, whatever is done to them and whoever reads meanwhile.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use gatekey_lease::{Begun, Flights, Nonce, Position, Rules, Seq};
use gatekey_model::{TokenPrefix, TokenType, TokenValue};
use proptest::prelude::*;

use super::*;
use crate::Ended;
use crate::known::tests::{known, known_as};

/// Values made once: which is which is random, and their checksums are what they are.
fn values() -> &'static [String] {
    static VALUES: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    VALUES.get_or_init(|| {
        let make =
            |_| TokenValue::generate(&TokenPrefix::default(), TokenType::Batch).expect("random numbers");
        (0..2_000).map(make).map(|value| value.expose().to_owned()).collect()
    })
}

fn presented(number: usize) -> PresentedToken<'static> {
    PresentedToken::parse(&values()[number]).expect("just made")
}

/// The token of this value, as if its checksum were another one's: what happens to 1 of 2^32 pairs.
fn token(number: usize) -> Arc<Known> {
    Arc::new(known_as(digest(&presented(number)), presented(number).checksum()))
}

fn insert(cache: &Cache, index: &mut Index, known: Arc<Known>) -> Arc<Known> {
    let mut flights = Flights::new(Rules::ALL);
    let start = Position { seq: Seq::GENESIS, nonce: Nonce::from_bits(1) };
    let Begun::Lead(id) = flights.begin(known.digest, Some(start), true) else {
        panic!("nobody asked before")
    };
    cache.insert(index, flights.end(id, true).expect("untainted"), known)
}

fn is_there(cache: &Cache, number: usize) -> bool {
    let found = cache.get(&presented(number));
    if let Ok(known) = &found {
        assert_eq!(known.digest, digest(&presented(number)));
    }
    found.is_ok()
}

#[test]
fn when_it_is_full_those_that_nobody_looked_up_go_first() {
    let (cache, mut index) = (Cache::new(3), Index::new(3));
    for number in 0..3 {
        insert(&cache, &mut index, token(number));
    }
    assert!(is_there(&cache, 0) && is_there(&cache, 2));
    insert(&cache, &mut index, token(3));
    let there: Vec<bool> = (0..4).map(|number| is_there(&cache, number)).collect();
    assert_eq!(there, [true, false, true, true]);
}

#[test]
fn a_table_that_goes_gives_back_all_its_tokens() {
    let (cache, mut index) = (Cache::new(1_000), Index::new(1_000));
    let tokens: Vec<_> = (0..1_000).map(|number| insert(&cache, &mut index, token(number))).collect();
    let removed = digest(&presented(7));
    cache.remove(&mut index, &removed);
    // One of them with a reader who has not let go.
    let held = cache.get(&presented(3)).expect("it is there");
    drop((cache, index));
    let counts: BTreeSet<usize> = tokens.iter().skip(4).map(Arc::strong_count).collect();
    assert_eq!(counts, BTreeSet::from([1]));
    assert_eq!(Arc::strong_count(&tokens[3]), 2);
    drop(held);
}

#[test]
fn a_token_that_is_in_already_stays_unless_it_has_ended() {
    let (cache, mut index) = (Cache::new(3), Index::new(3));
    let first = insert(&cache, &mut index, token(1));
    let second = insert(&cache, &mut index, token(1));
    assert!(Arc::ptr_eq(&first, &second) && index.holds(&first));
    first.end(Ended::Unavailable);
    let third = insert(&cache, &mut index, token(1));
    assert!(!Arc::ptr_eq(&first, &third) && index.holds(&third) && !index.holds(&first));
    assert!(Arc::ptr_eq(&cache.get(&presented(1)).expect("there"), &third));
    assert_eq!(index.len(), 1);
}

#[test]
fn a_cache_for_nothing_holds_nothing() {
    let (cache, mut index) = (Cache::new(0), Index::new(0));
    insert(&cache, &mut index, token(1));
    assert!(!is_there(&cache, 1) && index.len() == 0);
}

#[test]
fn what_is_not_there_gives_its_digest() {
    let (cache, mut index) = (Cache::new(9), Index::new(9));
    let of = |found: Result<Arc<Known>, Digest>| found.expect_err("not there");
    assert_eq!(of(cache.get(&presented(1))), digest(&presented(1)));
    // Another token with the same checksum is not taken for it.
    let other = known_as(Digest([9; 32]), presented(1).checksum());
    insert(&cache, &mut index, Arc::new(other));
    assert_eq!(of(cache.get(&presented(1))), digest(&presented(1)));
    insert(&cache, &mut index, token(1));
    assert!(is_there(&cache, 1), "it stands behind the other");
    cache.remove(&mut index, &Digest([9; 32]));
    assert!(is_there(&cache, 1), "it has moved up");
    assert!(cache.remove(&mut index, &known(7).digest).is_none());
}

#[test]
fn it_holds_as_many_as_it_is_for_and_can_be_emptied() {
    let (cache, mut index) = (Cache::new(values().len()), Index::new(values().len()));
    for number in 0..values().len() {
        insert(&cache, &mut index, token(number));
        assert!(is_there(&cache, number) && is_there(&cache, number / 2));
    }
    assert!((0..values().len()).all(|number| is_there(&cache, number)));
    cache.clear(&mut index);
    assert!(!(0..values().len()).any(|number| is_there(&cache, number)));
    assert!(cache.lines.iter().flat_map(|line| &line.0).all(|slot| slot.tag.load(Ordering::Relaxed) == 0));
}

/// One thread inserts and removes tokens of one crowded neighbourhood; what it leaves alone is found, and what it has
/// removed is not found again, while another thread reads.
#[test]
fn what_was_removed_is_never_found_again_by_those_who_read_meanwhile() {
    let cache = Cache::new(20);
    let mut index = Index::new(20);
    // Up to so many rounds have begun, and their removals are done.
    let (begun, done, stop) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let before = done.load(Ordering::SeqCst);
                    let found = (0..20).filter(|number| cache.get(&presented(*number)).is_ok()).count();
                    let after = begun.load(Ordering::SeqCst);
                    if before == after {
                        assert_eq!(found, 0, "all were removed, and nothing has begun since");
                    }
                }
            });
        }
        for _ in 0..100 {
            begun.fetch_add(1, Ordering::SeqCst);
            for number in 0..20 {
                insert(&cache, &mut index, token(number));
            }
            for number in 0..20 {
                cache.remove(&mut index, &digest(&presented(number)));
            }
            done.fetch_add(1, Ordering::SeqCst);
            std::thread::yield_now();
        }
        stop.store(true, Ordering::SeqCst);
    });
}

#[derive(Clone, Debug)]
enum Step {
    Insert(usize),
    Look(usize),
    Remove(usize),
    Clear,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (0..80_usize).prop_map(Step::Insert),
        8 => (0..80_usize).prop_map(Step::Look),
        6 => (0..80_usize).prop_map(Step::Remove),
        1 => Just(Step::Clear),
    ];
    proptest::collection::vec(step, 0..300)
}

proptest! {
    /// `crowd` says how few homes there are: then they push each other on, and move up again.
    #[test]
    fn table_and_index_agree(steps in steps(), capacity in prop_oneof![0_usize..8, Just(80)], crowd in 0_u32..3) {
        let (cache, mut index) = (Cache::new(capacity), Index::new(capacity));
        // The same values, found by fewer different checksums.
        let checksums: Vec<u32> = (0..80).map(|number| presented(number).checksum()).collect();
        let crowded = |number: usize| checksums[number] & [0, 7, u32::MAX][crowd as usize];
        let digests: Vec<Digest> = (0..80).map(|number| digest(&presented(number))).collect();
        let digest_of = |number: usize| digests[number];
        let find = |number: usize| {
            let tag = TAKEN | u64::from(crowded(number));
            let mut chain = cache.from(crowded(number)).take_while(|slot| slot.tag.load(Ordering::Relaxed) != 0);
            chain.any(|slot| {
                let known = slot.known.load();
                slot.tag.load(Ordering::Relaxed) == tag && known.as_ref().is_some_and(|known| known.digest == digest_of(number))
            })
        };
        for step in steps {
            match step {
                Step::Insert(number) => {
                    insert(&cache, &mut index, Arc::new(known_as(digest_of(number), crowded(number))));
                    prop_assert_eq!(find(number), capacity > 0);
                }
                Step::Look(number) => {
                    if let Some(known) = index.get(&digest_of(number)) {
                        known.used.store(true, Ordering::Relaxed);
                    }
                }
                Step::Remove(number) => {
                    let there = find(number);
                    prop_assert_eq!(cache.remove(&mut index, &digest_of(number)).is_some(), there);
                    prop_assert!(!find(number));
                }
                Step::Clear => cache.clear(&mut index),
            }
            prop_assert!(index.len() <= capacity);
            let taken = cache.lines.iter().flat_map(|line| &line.0).filter(|slot| slot.tag.load(Ordering::Relaxed) != 0).count();
            let kept = cache.lines.iter().flat_map(|line| &line.0).filter(|slot| slot.known.load().is_some()).count();
            prop_assert_eq!((taken, kept), (index.len(), index.len()));
            let found: BTreeSet<usize> = (0..80).filter(|number| find(*number)).collect();
            prop_assert_eq!(found.len(), index.len());
        }
    }
}
