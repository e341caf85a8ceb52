//! Without the feature `opentelemetry`: nothing, at no cost.

use tonic::Code;
use tonic::metadata::MetadataMap;

use crate::{Refusal, VerifiedToken};

pub(crate) fn current<F>(work: F) -> F {
    work
}

#[inline]
pub(crate) const fn verified(_: &VerifiedToken) {}

pub(crate) const fn refused(_: Refusal) {}

pub(crate) struct Question;

impl Question {
    pub(crate) const fn begin(_: &str, _: u16) -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "with the feature `opentelemetry` it is used")]
    pub(crate) const fn inject(&self, _: &mut MetadataMap) {}

    #[expect(clippy::unused_self, reason = "with the feature `opentelemetry` it is used")]
    pub(crate) const fn end(self, _: Code) {}
}
