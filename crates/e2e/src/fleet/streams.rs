//! Open streams at all holders of a fleet, under one token.

use gatekey_proto::v1::TokenType;
use tonic::Code;

use super::{Fleet, Token};
use crate::OpenStream;

/// A realtime token, and a stream under it at each holder.
pub struct Streams {
    /// The token.
    pub token: Token,
    /// In the order of the holders.
    streams: Vec<OpenStream>,
}

impl Fleet {
    /// Creates a realtime token, and opens a stream under it at each holder.
    ///
    /// # Panics
    /// If that can't be done.
    pub async fn open_streams(&self, replica: usize) -> Streams {
        let token = self.create_of(replica, TokenType::Realtime).await.expect("created");
        let mut streams = Vec::new();
        for holder in &self.holders {
            streams.push(OpenStream::open(holder.channel(), &token.value).await.expect("the token is good"));
        }
        Streams { token, streams }
    }
}

impl Streams {
    /// Those at these holders have ended, or do so with nothing more being done, since the token is not good any more.
    ///
    /// # Panics
    /// If one does not end so.
    pub async fn have_ended(&mut self, at: impl Fn(usize) -> bool) {
        for (holder, stream) in self.streams.iter_mut().enumerate().filter(|(holder, _)| at(*holder)) {
            let status = stream.ended().await;
            assert_eq!(status.code(), Code::Unauthenticated, "at holder {holder}: {}", status.message());
        }
    }
}
