//! The map of good tokens: read without a lock, written under the state's lock, bounded. When an entry may be used or
//! enter is decided by `gatekey-lease`.
//!
//! What a hit costs is reads of memory that no cache of the processor holds. So there are two of them: a slot of the
//! table, and the token itself. And they come before the digest is known, by the checksum, so that the processor waits
//! for them while it computes SHA-256. The digest decides; the checksum only finds.

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use gatekey_lease::{Digest, Permit};
use gatekey_model::PresentedToken;

use crate::known::Known;
use index::ByDigest;
pub(crate) use index::Index;

mod index;

/// Good tokens, for those who check.
///
/// Open addressing with linear probing: Knuth, The Art of Computer Programming 3, 6.4. Homes are the beginnings of lines, so
/// that nearly every token is found in one read of memory. Nobody can choose what stands here, since the server draws the
/// values; a reader that a writer confuses finds nothing, and a server is asked.
pub(crate) struct Cache {
    /// A power of two, at most half of their slots taken. See `drop`.
    lines: Box<[ManuallyDrop<Line>]>,
}

/// As many slots as the processor reads at once.
#[derive(Default)]
#[repr(align(64))]
struct Line([Slot; LINE]);

const LINE: usize = 4;

#[derive(Default)]
struct Slot {
    /// The checksum with [`TAKEN`], or 0.
    tag: AtomicU64,
    known: ArcSwapOption<Known>,
}

const TAKEN: u64 = 1 << 32;

impl Cache {
    /// For so many tokens: their slots are there from the beginning, two to four for each, 16 bytes a slot.
    pub(crate) fn new(capacity: usize) -> Self {
        let lines = (2 * capacity).div_ceil(LINE).max(1).next_power_of_two();
        Self { lines: (0..lines).map(|_| ManuallyDrop::default()).collect() }
    }

    /// What is known of a token, or its digest. No lock and, but for a thread's first time, no allocation.
    #[inline]
    pub(crate) fn get(&self, presented: &PresentedToken<'_>) -> Result<Arc<Known>, Digest> {
        let tag = TAKEN | u64::from(presented.checksum());
        let mut digest = None;
        let line = &self.lines[self.home(presented.checksum()) / LINE];
        if let Some(known) = line.find(tag).and_then(|slot| slot.get(presented, &mut digest)) {
            return Ok(known);
        }
        self.search(presented, tag, digest)
    }

    /// The whole way: for what does not stand in the line that it belongs to, or nowhere.
    #[inline(never)]
    fn search(
        &self,
        presented: &PresentedToken<'_>,
        tag: u64,
        mut digest: Option<Digest>,
    ) -> Result<Arc<Known>, Digest> {
        for slot in self.from(presented.checksum()) {
            match slot.tag.load(Ordering::Acquire) {
                0 => break,
                found if found == tag => {
                    if let Some(known) = slot.get(presented, &mut digest) {
                        return Ok(known);
                    }
                }
                _ => {}
            }
        }
        Err(digest.unwrap_or_else(|| self::digest(presented)))
    }

    /// Puts a token in, and gives what stands there now: a token that is in already stays.
    pub(crate) fn insert(&self, index: &mut Index, _permit: Permit<'_>, known: Arc<Known>) -> Arc<Known> {
        if let Some(there) = index.get(&known.digest)
            && there.ended().is_none()
        {
            return Arc::clone(there);
        }
        self.remove(index, &known.digest);
        if index.capacity == 0 {
            return known;
        }
        if index.tokens.len() >= index.capacity {
            let evicted = index.least_used();
            self.remove(index, &evicted);
        }
        index.tokens.insert(ByDigest(Arc::clone(&known)));
        self.fill_free(&known);
        known
    }

    /// Drops a token: whoever looks after this does not find it.
    pub(crate) fn remove(&self, index: &mut Index, digest: &Digest) -> Option<Arc<Known>> {
        let ByDigest(known) = index.tokens.swap_take(digest)?;
        self.free(&known);
        Some(known)
    }

    /// What goes on under a token has been ended, and it is no worse for that: who comes next begins with one that has not.
    pub(crate) fn begin_afresh(&self, index: &mut Index, digest: &Digest) {
        if let Some(known) = self.remove(index, digest) {
            let known = Arc::new(known.afresh());
            index.tokens.insert(ByDigest(Arc::clone(&known)));
            self.fill_free(&known);
        }
    }

    /// Drops everything.
    pub(crate) fn clear(&self, index: &mut Index) {
        for ByDigest(known) in index.tokens.drain(..) {
            self.free(&known);
        }
    }

    /// Where a token with this checksum stands if it can: a CRC of random bytes is as random as they.
    #[inline]
    fn home(&self, checksum: u32) -> usize {
        (checksum as usize & (self.lines.len() - 1)) * LINE
    }

    #[inline]
    fn slot(&self, place: usize) -> &Slot {
        &self.lines[place / LINE].0[place % LINE]
    }

    /// Every slot once, from there on.
    fn from(&self, checksum: u32) -> impl Iterator<Item = &Slot> {
        let home = self.home(checksum);
        (0..=self.mask()).map(move |step| self.slot((home + step) & self.mask()))
    }

    fn mask(&self) -> usize {
        self.lines.len() * LINE - 1
    }

    /// There is always a free slot: there are more slots than tokens.
    fn fill_free(&self, known: &Arc<Known>) {
        let free = self.from(known.checksum).find(|slot| slot.tag.load(Ordering::Relaxed) == 0);
        if let Some(slot) = free {
            slot.fill(known);
        }
    }

    /// The token goes first; then those behind it move up, so that each is still found from its home. Who looks meanwhile may
    /// miss one that moves.
    fn free(&self, known: &Arc<Known>) {
        let mask = self.mask();
        let home = self.home(known.checksum);
        let place = (0..=mask).map(|step| (home + step) & mask).find(|place| {
            let there = self.slot(*place).known.load();
            there.as_ref().is_some_and(|there| Arc::ptr_eq(there, known))
        });
        let Some(mut gap) = place else { return };
        self.slot(gap).known.store(None);
        let mut next = gap;
        loop {
            next = (next + 1) & mask;
            let moving = self.slot(next).known.load_full();
            let Some(moving) = moving.filter(|_| next != gap) else { break };
            // It may move up to the gap unless its home lies behind that.
            let from_home = next.wrapping_sub(self.home(moving.checksum)) & mask;
            if from_home >= next.wrapping_sub(gap) & mask {
                self.slot(gap).fill(&moving);
                gap = next;
            }
        }
        self.slot(gap).tag.store(0, Ordering::Release);
        self.slot(gap).known.store(None);
    }
}

impl Drop for Cache {
    /// Dropping a slot looks at every thread there ever was, in case one still reads it, and there are 262,144 slots by default.
    /// In an empty one there is nothing to read, and nothing to give back: only the others are looked at.
    fn drop(&mut self) {
        let slots = self.lines.iter().flat_map(|line| &line.0);
        slots.filter(|slot| slot.tag.load(Ordering::Relaxed) != 0).for_each(|slot| slot.known.store(None));
    }
}

#[inline]
pub(crate) fn digest(presented: &PresentedToken<'_>) -> Digest {
    Digest(*presented.digest().as_bytes())
}

impl Line {
    /// The first slot with this tag. All are compared, without a branch that depends on where it stands: the processor
    /// could not guess it, and would begin anew once the memory has answered.
    #[inline]
    fn find(&self, tag: u64) -> Option<&Slot> {
        let mut place = LINE;
        for (index, slot) in self.0.iter().enumerate().rev() {
            place = if slot.tag.load(Ordering::Acquire) == tag { index } else { place };
        }
        self.0.get(place)
    }
}

impl Slot {
    /// What stands here, if it is the token presented. `digest` keeps that of the token once it is known.
    #[inline]
    fn get(&self, presented: &PresentedToken<'_>, digest: &mut Option<Digest>) -> Option<Arc<Known>> {
        let known = self.known.load();
        let known = (*known).as_ref()?;
        // Has the processor fetch it now.
        let used = known.used.load(Ordering::Relaxed);
        if known.digest != *digest.get_or_insert_with(|| self::digest(presented)) {
            return None;
        }
        // Not written where it is set already: readers would take the line from each other.
        if !used {
            known.used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(known))
    }

    fn fill(&self, known: &Arc<Known>) {
        self.known.store(Some(Arc::clone(known)));
        self.tag.store(TAKEN | u64::from(known.checksum), Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
