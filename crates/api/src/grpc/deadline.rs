//! Answers before the caller's deadline (`grpc-timeout`), so that the answer still arrives: a call that
//! takes longer is DEADLINE_EXCEEDED. Writes that have begun go on to their end all the same.

use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use gatekey_core::boottime;
use gatekey_lease::Moment;
use gatekey_proto::v1::ErrorReason;
use http::HeaderMap;
use tokio::time::timeout;

use crate::ApiError;

/// By when a call is to be answered: an extension of its request, if the caller set a deadline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(pub(super) Moment);

/// The answer needs this long to get to the caller.
const TRAVEL: Duration = Duration::from_millis(100);

/// How long an answer may take.
pub(super) struct Within(Duration);

/// Notes by when a call is to be answered, if its caller said so.
pub(super) fn set(request: &mut Request) -> Option<Within> {
    let given = grpc_timeout(request.headers())?;
    let within = answer_within(given);
    request.extensions_mut().insert(Deadline(boottime().plus(within)));
    // Half of what is left for whoever can say more at the deadline than that it passed.
    Some(Within(within + given.saturating_sub(within) / 2))
}

impl Within {
    /// The answer, or that it did not come in time.
    pub(super) async fn keep<E>(
        self,
        answer: impl Future<Output = Result<Response, E>>,
    ) -> Result<Response, E> {
        timeout(self.0, answer)
            .await
            .unwrap_or_else(|_| Ok(ApiError::new(ErrorReason::DeadlineExceeded).into_status().into_http()))
    }
}

/// 100 ms before the deadline; of a short one, nine tenths.
fn answer_within(given: Duration) -> Duration {
    given.saturating_sub(TRAVEL).max(given / 10 * 9)
}

/// The timeout that the caller set: at most eight digits and a unit (gRPC over HTTP/2, "Requests").
fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_hours(number),
        "M" => Duration::from_mins(number),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn reads_the_header_as_the_protocol_has_it() {
        let read = |text| {
            let value = HeaderValue::from_static(text);
            grpc_timeout(&HeaderMap::from_iter([(http::HeaderName::from_static("grpc-timeout"), value)]))
        };
        assert_eq!(read("1H"), Some(Duration::from_hours(1)));
        assert_eq!(read("99999999S"), Some(Duration::from_secs(99_999_999)));
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("100u"), Some(Duration::from_micros(100)));
        for bad in ["", "S", "123456789S", "1x", "-1S", "1.5S", "1 S"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn leaves_time_for_the_answer_to_travel() {
        assert_eq!(answer_within(Duration::from_secs(2)), Duration::from_millis(1_900));
        assert_eq!(answer_within(Duration::from_millis(100)), Duration::from_millis(90));
    }
}
