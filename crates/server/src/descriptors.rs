//! How many files and connections this process may have open at once.

use rustix::io;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{info, warn};

/// Takes as many as there are to have. The soft limit is low where nobody raised it, for the sake of programs that use
/// `select`, which this one does not.
pub(crate) fn raise() {
    match raised() {
        Ok(None) => {}
        Ok(Some((from, to))) => info!(from, to, "the limit of open files is raised"),
        Err(cause) => warn!(%cause, "the limit of open files can't be raised"),
    }
}

/// The most that a process with this one's limits can have: what [`raise`] leads to. No limit is the highest one.
pub(crate) fn most() -> u64 {
    getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)
}

/// From where to where, if it changed.
fn raised() -> io::Result<Option<(u64, u64)>> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return Ok(None);
    }
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    Ok(Some((current.unwrap_or(u64::MAX), most())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_raised_once() {
        let maximum = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: Some(256), maximum }).expect("lowered");
        assert_eq!(raised(), Ok(Some((256, most()))));
        assert_eq!(getrlimit(Resource::Nofile), Rlimit { current: maximum, maximum });
        assert_eq!(raised(), Ok(None));
    }
}
