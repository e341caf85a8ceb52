//! What a holder and a replica say to each other on a stream; ordered each way. Encoding is left to others.

use std::sync::Arc;
use std::time::Duration;

use crate::{Digest, Entry, Epoch, HolderId, Position};

/// From a holder to a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Up {
    /// Opens the session; the first message of a stream, and only the first.
    Hello(Hello),
    /// Asks for a lease.
    Renew {
        /// Chosen by the holder; the grant repeats it.
        id: u64,
        /// The last Reset of this stream that the holder carried out; 0 before the first.
        reset: u64,
    },
    /// Says that the holder has dropped every token revoked up to a position.
    Ack {
        /// Cumulative.
        position: Position,
        /// The last Reset of this stream that the holder carried out; 0 before the first.
        reset: u64,
    },
    /// Says that the holder has ended its lease and will use its cache no more.
    Release,
}

/// Who opens a stream, and where its cache stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hello {
    /// The holder's process.
    pub holder: HolderId,
    /// The holder's count of its streams: a Hello that was delayed on its way can't replace the session
    /// of a later stream.
    pub number: u64,
    /// Where its cache stands; nothing if it never had one.
    pub position: Option<Position>,
    /// The epoch of that history, as the last Reset told it: lost creates leave the log as it was.
    pub epoch: Epoch,
}

/// From a replica to a holder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Down {
    /// Revocations to carry out.
    Invalidate {
        /// Where the holder stands after it.
        position: Position,
        /// What was revoked. Shared, since every session is told the same.
        digests: Arc<[Digest]>,
    },
    /// A lease, in answer to a Renew.
    Grant {
        /// The id of the Renew.
        id: u64,
        /// Its length, counted by the holder from the moment that it sent the Renew.
        ttl: Duration,
    },
    /// Begin anew with an empty cache.
    Reset {
        /// Repeated by the holder from then on.
        id: u64,
        /// Where the holder stands then.
        position: Position,
        /// In which history.
        epoch: Epoch,
    },
    /// Go on at another replica: this one is about to end the stream.
    Leave,
}

/// The most entries of the log in one message: 8 KiB of digests.
const ENTRIES: usize = 256;

/// Tells of these entries, in as many messages as it takes.
pub(crate) fn invalidations(entries: &[Entry]) -> Vec<Down> {
    let message = |entries: &[Entry]| {
        let position = entries.last()?.position;
        let digests = entries.iter().filter_map(|entry| entry.revokes).collect();
        Some(Down::Invalidate { position, digests })
    };
    entries.chunks(ENTRIES).filter_map(message).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Nonce, Seq};

    #[test]
    fn many_revocations_are_told_in_several_messages_each_with_its_own_position() {
        let entry = |seq| {
            let seq = Seq::new(seq).expect("not negative");
            Entry { position: Position { seq, nonce: Nonce::from_bits(1) }, revokes: Some(Digest([1; 32])) }
        };
        let entries: Vec<Entry> = (1..=600).map(entry).collect();
        let told: Vec<(i64, usize)> = invalidations(&entries)
            .into_iter()
            .map(|message| match message {
                Down::Invalidate { position, digests } => (position.seq.get(), digests.len()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(told, [(256, 256), (512, 256), (600, 88)]);
        assert!(invalidations(&[]).is_empty());
    }
}
