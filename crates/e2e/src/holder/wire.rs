//! The messages of a stream, from the lease crate's form to the contract's and back. What the server may not
//! say is a failure of the test.

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

/// # Panics
/// If the contract does not allow it.
pub(super) fn down(message: v1::WatchResponse) -> Down {
    match message.event.expect("the server says something") {
        DownEvent::Invalidate(said) => Down::Invalidate {
            position: stands(said.position),
            digests: said.token_sha256.into_iter().map(digest).collect::<Arc<[Digest]>>(),
        },
        DownEvent::Grant(said) => {
            let ttl = said.ttl.expect("a grant has a length");
            let ttl = Duration::try_from(ttl).expect("a length is not negative");
            assert!(!ttl.is_zero(), "a grant of nothing");
            Down::Grant { id: said.id, ttl }
        }
        DownEvent::Reset(said) => {
            assert!(said.id > 0, "0 stands for no Reset");
            Down::Reset { id: said.id, position: stands(said.position), epoch: Epoch(said.epoch) }
        }
    }
}

pub(super) fn position(position: Position) -> v1::Position {
    v1::Position { seq: position.seq.get(), nonce: position.nonce.bits() }
}

fn stands(position: Option<v1::Position>) -> Position {
    let position = position.expect("the server says where the holder stands");
    let seq = Seq::new(position.seq).expect("a place in the log is not negative");
    Position { seq, nonce: Nonce::from_bits(position.nonce) }
}

fn digest(bytes: Vec<u8>) -> Digest {
    Digest(bytes.try_into().expect("a digest has 32 bytes"))
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
        stands(Some(PLACE))
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
        assert_eq!(down(said(DownEvent::Invalidate(invalidate))), expected);
        let ttl = prost_types::Duration { seconds: 1, nanos: 500_000_000 };
        let grant = said(DownEvent::Grant(v1::Grant { id: 3, ttl: Some(ttl) }));
        assert_eq!(down(grant), Down::Grant { id: 3, ttl: Duration::from_millis(1_500) });
        let reset = said(DownEvent::Reset(v1::Reset { id: 1, position: Some(PLACE), epoch: 5 }));
        assert_eq!(down(reset), Down::Reset { id: 1, position: place(), epoch: Epoch(5) });
    }

    #[test]
    fn nothing_is_tolerated() {
        let short = v1::Invalidate { position: Some(PLACE), token_sha256: vec![vec![9; 31]] };
        let nowhere = v1::Reset { id: 1, position: None, epoch: 5 };
        let backwards = prost_types::Duration { seconds: -1, nanos: 0 };
        for event in [
            None,
            Some(DownEvent::Invalidate(short)),
            Some(DownEvent::Reset(nowhere)),
            Some(DownEvent::Reset(v1::Reset { id: 0, position: Some(PLACE), epoch: 5 })),
            Some(DownEvent::Grant(v1::Grant { id: 1, ttl: None })),
            Some(DownEvent::Grant(v1::Grant { id: 1, ttl: Some(backwards) })),
        ] {
            let message = v1::WatchResponse { event };
            assert!(std::panic::catch_unwind(|| down(message)).is_err());
        }
    }
}
