//! The messages of a stream, from the lease crate's form to the contract's and back.

use std::sync::Arc;
use std::time::Duration;

use gatekey_lease::{Digest, Down, Epoch, Nonce, Position, Seq, Up};
use gatekey_proto::v1;
use gatekey_proto::v1::watch_request::Event as UpEvent;
use gatekey_proto::v1::watch_response::Event as DownEvent;

/// The longest lease that a server can be set to.
const LONGEST: Duration = Duration::from_mins(2);

/// The server said what the contract does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server breaks the contract: {0}")]
pub(super) struct Broken(&'static str);

pub(super) fn up(message: Up) -> v1::WatchRequest {
    let event = match message {
        Up::Hello(hello) => UpEvent::Hello(v1::Hello {
            holder: hello.holder.0.to_be_bytes().to_vec(),
            position: hello.position.map(position),
            stream: hello.number,
            epoch: hello.epoch.0,
        }),
        Up::Renew { id, reset } => UpEvent::Renew(v1::Renew { id, reset_id: reset }),
        Up::Ack { position: upto, reset } => {
            UpEvent::Ack(v1::Ack { position: Some(position(upto)), reset_id: reset })
        }
        Up::Release => UpEvent::Release(v1::Release {}),
    };
    v1::WatchRequest { event: Some(event) }
}

pub(super) fn down(message: v1::WatchResponse) -> Result<Down, Broken> {
    match message.event.ok_or(Broken("a message without an event"))? {
        DownEvent::Invalidate(said) => Ok(Down::Invalidate {
            position: stands(said.position)?,
            digests: said.token_sha256.into_iter().map(digest).collect::<Result<Arc<[Digest]>, Broken>>()?,
        }),
        DownEvent::Grant(said) => {
            let ttl = said.ttl.and_then(|ttl| Duration::try_from(ttl).ok()).filter(|ttl| !ttl.is_zero());
            let ttl = ttl.ok_or(Broken("a grant without a length"))?;
            if ttl > LONGEST {
                return Err(Broken("a grant that is longer than any lease"));
            }
            Ok(Down::Grant { id: said.id, ttl })
        }
        DownEvent::Reset(said) if said.id == 0 => Err(Broken("a reset without an id")),
        DownEvent::Reset(said) => {
            Ok(Down::Reset { id: said.id, position: stands(said.position)?, epoch: Epoch(said.epoch) })
        }
        DownEvent::Leave(v1::Leave {}) => Ok(Down::Leave),
    }
}

pub(super) fn position(position: Position) -> v1::Position {
    v1::Position { seq: position.seq.get(), nonce: position.nonce.bits() }
}

fn stands(position: Option<v1::Position>) -> Result<Position, Broken> {
    let position = position.ok_or(Broken("a message without a position"))?;
    let seq = Seq::new(position.seq).ok_or(Broken("a position before the log's first"))?;
    Ok(Position { seq, nonce: Nonce::from_bits(position.nonce) })
}

fn digest(bytes: Vec<u8>) -> Result<Digest, Broken> {
    bytes.try_into().map(Digest).map_err(|_| Broken("a digest without 32 bytes"))
}

#[cfg(test)]
mod tests {
    use gatekey_lease::{Hello, HolderId};

    use super::*;

    const PLACE: v1::Position = v1::Position { seq: 7, nonce: u64::MAX };

    fn said(event: DownEvent) -> v1::WatchResponse {
        v1::WatchResponse { event: Some(event) }
    }

    fn place() -> Position {
        stands(Some(PLACE)).expect("whole")
    }

    #[test]
    fn every_message_up_keeps_its_fields() {
        let hello = Hello { holder: HolderId(1), number: 2, position: Some(place()), epoch: Epoch(5) };
        let mut holder = vec![0; 15];
        holder.push(1);
        let told = |message| up(message).event.expect("one");
        let expected = v1::Hello { holder, position: Some(PLACE), stream: 2, epoch: 5 };
        assert_eq!(told(Up::Hello(hello)), UpEvent::Hello(expected));
        let renew = v1::Renew { id: 3, reset_id: 4 };
        assert_eq!(told(Up::Renew { id: 3, reset: 4 }), UpEvent::Renew(renew));
        let ack = v1::Ack { position: Some(PLACE), reset_id: 4 };
        assert_eq!(told(Up::Ack { position: place(), reset: 4 }), UpEvent::Ack(ack));
        assert_eq!(told(Up::Release), UpEvent::Release(v1::Release {}));
    }

    #[test]
    fn every_message_down_keeps_its_fields() {
        let invalidate = v1::Invalidate { position: Some(PLACE), token_sha256: vec![vec![9; 32]] };
        let expected = Down::Invalidate { position: place(), digests: Arc::new([Digest([9; 32])]) };
        assert_eq!(down(said(DownEvent::Invalidate(invalidate))), Ok(expected));
        let ttl = prost_types::Duration { seconds: 1, nanos: 500_000_000 };
        let grant = said(DownEvent::Grant(v1::Grant { id: 3, ttl: Some(ttl) }));
        assert_eq!(down(grant), Ok(Down::Grant { id: 3, ttl: Duration::from_millis(1_500) }));
        let reset = said(DownEvent::Reset(v1::Reset { id: 1, position: Some(PLACE), epoch: 5 }));
        assert_eq!(down(reset), Ok(Down::Reset { id: 1, position: place(), epoch: Epoch(5) }));
        assert_eq!(down(said(DownEvent::Leave(v1::Leave {}))), Ok(Down::Leave));
    }

    #[test]
    fn what_the_contract_does_not_allow_is_not_guessed_at() {
        let short = v1::Invalidate { position: Some(PLACE), token_sha256: vec![vec![9; 31]] };
        let early =
            v1::Invalidate { position: Some(v1::Position { seq: -1, nonce: 1 }), token_sha256: vec![] };
        let endless = prost_types::Duration { seconds: 120, nanos: 1 };
        let backwards = prost_types::Duration { seconds: -1, nanos: 0 };
        for event in [
            None,
            Some(DownEvent::Invalidate(short)),
            Some(DownEvent::Invalidate(early)),
            Some(DownEvent::Reset(v1::Reset { id: 1, position: None, epoch: 5 })),
            Some(DownEvent::Reset(v1::Reset { id: 0, position: Some(PLACE), epoch: 5 })),
            Some(DownEvent::Grant(v1::Grant { id: 1, ttl: None })),
            Some(DownEvent::Grant(v1::Grant { id: 1, ttl: Some(prost_types::Duration::default()) })),
            Some(DownEvent::Grant(v1::Grant { id: 1, ttl: Some(backwards) })),
            Some(DownEvent::Grant(v1::Grant { id: 1, ttl: Some(endless) })),
        ] {
            assert!(down(v1::WatchResponse { event }).is_err());
        }
    }
}
