//! The messages of a Watch, from the lease crate's form to the contract's and back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gatekey_lease::{Digest, Down, Epoch, Nonce, Position, Seq, Up};
use gatekey_proto::v1;
use gatekey_proto::v1::watch_request::Event as UpEvent;
use gatekey_proto::v1::watch_response::Event as DownEvent;

pub(super) fn up(message: Up) -> v1::WatchRequest {
    let event = match message {
        Up::Hello(hello) => UpEvent::Hello(v1::Hello {
            holder: hello.holder.0.to_be_bytes().to_vec(),
            position: hello.position.map(to_position),
            stream: hello.number,
            epoch: hello.epoch.0,
        }),
        Up::Renew { id, reset } => UpEvent::Renew(v1::Renew { id, reset_id: reset }),
        Up::Ack { position, reset } => {
            UpEvent::Ack(v1::Ack { position: Some(to_position(position)), reset_id: reset })
        }
        Up::Release => UpEvent::Release(v1::Release {}),
    };
    v1::WatchRequest { event: Some(event) }
}

/// Nothing if the contract does not allow it: then the stream can't go on.
pub(super) fn down(message: v1::WatchResponse) -> Option<Down> {
    Some(match message.event? {
        DownEvent::Invalidate(v1::Invalidate { position, token_sha256 }) => {
            let digests: Option<Arc<[Digest]>> = token_sha256.into_iter().map(digest).collect();
            Down::Invalidate { position: stands(position)?, digests: digests? }
        }
        DownEvent::Grant(v1::Grant { id, ttl }) => Down::Grant { id, ttl: Duration::try_from(ttl?).ok()? },
        DownEvent::Reset(v1::Reset { id, position, epoch }) => {
            Down::Reset { id, position: stands(position)?, epoch: Epoch(epoch) }
        }
        DownEvent::Leave(v1::Leave {}) => Down::Leave,
    })
}

pub(super) fn to_position(position: Position) -> v1::Position {
    v1::Position { seq: position.seq.get(), nonce: position.nonce.bits() }
}

/// A position as the server's log shows it.
pub(super) fn show(position: Option<v1::Position>) -> impl fmt::Display {
    stands(position).map_or_else(|| "unknown".to_owned(), |position| position.to_string())
}

fn stands(position: Option<v1::Position>) -> Option<Position> {
    let position = position?;
    Some(Position { seq: Seq::new(position.seq)?, nonce: Nonce::from_bits(position.nonce) })
}

fn digest(bytes: Vec<u8>) -> Option<Digest> {
    bytes.try_into().ok().map(Digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatekey_lease::{Hello, HolderId};

    const PLACE: v1::Position = v1::Position { seq: 7, nonce: 1 };

    fn told(event: DownEvent) -> Option<Down> {
        down(v1::WatchResponse { event: Some(event) })
    }

    #[test]
    fn what_the_holder_says_keeps_its_fields() {
        let place = stands(Some(PLACE)).expect("valid");
        let said = |message| up(message).event.expect("something");
        let hello = Hello { holder: HolderId(1), number: 2, position: Some(place), epoch: Epoch(5) };
        let holder = 1_u128.to_be_bytes().to_vec();
        let expected = v1::Hello { holder, position: Some(PLACE), stream: 2, epoch: 5 };
        assert_eq!(said(Up::Hello(hello)), UpEvent::Hello(expected));
        let expected = v1::Renew { id: 3, reset_id: 4 };
        assert_eq!(said(Up::Renew { id: 3, reset: 4 }), UpEvent::Renew(expected));
        let expected = v1::Ack { position: Some(PLACE), reset_id: 4 };
        assert_eq!(said(Up::Ack { position: place, reset: 4 }), UpEvent::Ack(expected));
        assert_eq!(said(Up::Release), UpEvent::Release(v1::Release {}));
    }

    #[test]
    fn what_the_server_says_keeps_its_fields() {
        let place = stands(Some(PLACE)).expect("valid");
        let said = v1::Invalidate { position: Some(PLACE), token_sha256: vec![vec![9; 32]] };
        let expected = Down::Invalidate { position: place, digests: Arc::new([Digest([9; 32])]) };
        assert_eq!(told(DownEvent::Invalidate(said)), Some(expected));
        let ttl = Duration::from_millis(1_500);
        let said = v1::Grant { id: 3, ttl: ttl.try_into().ok() };
        assert_eq!(told(DownEvent::Grant(said)), Some(Down::Grant { id: 3, ttl }));
        let said = v1::Reset { id: 1, position: Some(PLACE), epoch: 5 };
        assert_eq!(
            told(DownEvent::Reset(said)),
            Some(Down::Reset { id: 1, position: place, epoch: Epoch(5) })
        );
    }

    #[test]
    fn nothing_is_made_of_what_is_not_in_the_contract() {
        let short = v1::Invalidate { position: Some(PLACE), token_sha256: vec![vec![9; 31]] };
        let negative = Some(v1::Position { seq: -1, nonce: 0 });
        for event in [
            DownEvent::Invalidate(short),
            DownEvent::Invalidate(v1::Invalidate { position: None, token_sha256: Vec::new() }),
            DownEvent::Grant(v1::Grant { id: 1, ttl: None }),
            DownEvent::Reset(v1::Reset { id: 1, position: negative, epoch: 5 }),
        ] {
            assert_eq!(told(event), None);
        }
        assert_eq!(down(v1::WatchResponse { event: None }), None);
    }

    #[test]
    fn positions_look_as_in_the_log() {
        assert_eq!(show(Some(PLACE)).to_string(), "7@0000000000000001");
        assert_eq!(show(None).to_string(), "unknown");
    }
}
