//! Tells systemd where the server is in its life, if it was started by a unit of `Type=notify`. Without one, nothing.

use sd_notify::NotifyState;
use tracing::debug;

/// It can be called.
pub(crate) fn ready() {
    tell(NotifyState::Ready);
}

/// It has begun to end.
pub(crate) fn stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    if let Err(cause) = sd_notify::notify(&[state]) {
        debug!(%cause, "systemd is not told");
    }
}
