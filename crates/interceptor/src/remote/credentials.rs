//! How the service proves itself to Gatekey. The JWT itself is shown nowhere.

use std::fmt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use gatekey_lease::Moment;
use tonic::metadata::{Ascii, MetadataValue};

/// How long a file is not read again: what rotates it keeps the old JWT good for longer.
const FRESH: Duration = Duration::from_secs(1);

/// A JWT, if any.
pub(crate) enum Credentials {
    /// Nothing: a client certificate says who this is.
    #[cfg(feature = "tls")]
    None,
    Given(MetadataValue<Ascii>),
    /// Read again and again, so that it can be rotated.
    File(BearerFile),
}

pub(crate) struct BearerFile {
    path: PathBuf,
    read: Mutex<Option<(Moment, MetadataValue<Ascii>)>>,
}

/// Why there is no JWT. It says nothing of what is in the file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialError {
    #[error("{}: {cause}", path.display())]
    Unreadable { path: PathBuf, cause: std::io::Error },
    #[error("{0} is not a JWT: it must be one word in ASCII")]
    NotAJwt(String),
}

impl Credentials {
    pub(crate) fn given(jwt: &str) -> Result<Self, CredentialError> {
        bearer(jwt).map(Self::Given).ok_or_else(|| CredentialError::NotAJwt("what was given".to_owned()))
    }

    pub(crate) fn file(path: PathBuf) -> Self {
        Self::File(BearerFile { path, read: Mutex::new(None) })
    }

    /// The `authorization` of a call that is made now.
    ///
    /// `trouble` is told why it may not be the newest.
    pub(crate) fn authorization(
        &self,
        now: Moment,
        trouble: impl FnOnce(&CredentialError),
    ) -> Result<Option<MetadataValue<Ascii>>, CredentialError> {
        match self {
            #[cfg(feature = "tls")]
            Self::None => Ok(None),
            Self::Given(authorization) => Ok(Some(authorization.clone())),
            Self::File(file) => file.authorization(now, trouble).map(Some),
        }
    }
}

impl BearerFile {
    fn authorization(
        &self,
        now: Moment,
        trouble: impl FnOnce(&CredentialError),
    ) -> Result<MetadataValue<Ascii>, CredentialError> {
        let last = {
            let mut read = self.read.lock().expect("nothing under this lock panics");
            match &mut *read {
                Some((at, authorization)) if now.since(*at) < FRESH => return Ok(authorization.clone()),
                // Who comes while it is read, or soon after it could not be, goes on with this one.
                Some((at, authorization)) => {
                    *at = now;
                    Some(authorization.clone())
                }
                None => None,
            }
        };
        match (self.read(), last) {
            (Ok(authorization), _) => {
                let mut read = self.read.lock().expect("nothing under this lock panics");
                *read = Some((now, authorization.clone()));
                Ok(authorization)
            }
            // It may be in the middle of a rotation, and the last one is good for longer.
            (Err(problem), Some(last)) => {
                trouble(&problem);
                Ok(last)
            }
            (Err(problem), None) => Err(problem),
        }
    }

    fn read(&self) -> Result<MetadataValue<Ascii>, CredentialError> {
        let text = std::fs::read_to_string(&self.path)
            .map_err(|cause| CredentialError::Unreadable { path: self.path.clone(), cause })?;
        bearer(&text).ok_or_else(|| CredentialError::NotAJwt(self.path.display().to_string()))
    }
}

fn bearer(jwt: &str) -> Option<MetadataValue<Ascii>> {
    let jwt = jwt.trim();
    if jwt.is_empty() || !jwt.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let mut value: MetadataValue<Ascii> = format!("Bearer {jwt}").parse().ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "tls")]
            Self::None => f.write_str("None"),
            Self::Given(_) => f.write_str("Given([redacted])"),
            Self::File(file) => f.debug_tuple("File").field(&file.path).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_anew_after_a_second() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("jwt");
        let credentials = Credentials::file(path.clone());
        let at = |millis: u64| Moment::from_nanos(millis * 1_000_000 + 1);
        let read = |now| {
            credentials.authorization(now, |problem| panic!("{problem}")).map(|value| value.expect("a JWT"))
        };
        assert!(read(at(0)).expect_err("not there").to_string().contains("jwt"));
        std::fs::write(&path, "one\n").expect("written");
        assert_eq!(read(at(1)).expect("good"), "Bearer one");
        std::fs::write(&path, "two\n").expect("written");
        assert_eq!(read(at(1_000)).expect("good"), "Bearer one");
        assert_eq!(read(at(1_001)).expect("good"), "Bearer two");
    }

    #[test]
    fn a_file_that_can_not_be_read_for_a_moment_leaves_the_last_jwt() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("jwt");
        let credentials = Credentials::file(path.clone());
        let at = |millis: u64| Moment::from_nanos(millis * 1_000_000 + 1);
        let trouble = std::cell::Cell::new(0);
        let read = |now| {
            let told = |problem: &CredentialError| {
                assert!(problem.to_string().contains("jwt"), "{problem}");
                trouble.set(trouble.get() + 1);
            };
            credentials.authorization(now, told).expect("good").expect("a JWT")
        };
        std::fs::write(&path, "one").expect("written");
        assert_eq!(read(at(0)), "Bearer one");
        std::fs::write(&path, "").expect("written");
        assert_eq!((read(at(1_000)), trouble.get()), (read(at(1_500)), 1));
        std::fs::remove_file(&path).expect("removed");
        assert_eq!((read(at(2_000)), trouble.get()), (read(at(0)), 2));
        std::fs::write(&path, "two").expect("written");
        assert_eq!(read(at(2_999)), "Bearer one", "it is not read for each question");
        assert_eq!((read(at(3_000)), trouble.get()), (bearer("two").expect("a JWT"), 2));
    }

    #[test]
    fn what_can_be_no_jwt_is_refused_and_not_repeated() {
        for text in ["", " \n", "two words", "zwölf"] {
            let said = Credentials::given(text).expect_err(text).to_string();
            assert!(text.trim().is_empty() || !said.contains(text), "{said}");
        }
        let credentials = Credentials::given("secret").expect("good");
        let authorization = credentials.authorization(Moment::NEVER, |_| {}).expect("good");
        assert!(!format!("{credentials:?} {authorization:?}").contains("secret"));
    }
}
