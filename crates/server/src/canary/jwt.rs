//! The canary's credentials. They are shown nowhere.

use std::path::PathBuf;

use tonic::metadata::{Ascii, MetadataValue};

/// Where the JWT comes from. `Debug` shows nothing of it: what is given is marked as sensitive.
#[derive(Debug)]
pub(super) enum Jwt {
    /// A file, read for each call, so that what rotates it need not tell.
    File(PathBuf),
    /// From the environment.
    Given(MetadataValue<Ascii>),
}

impl Jwt {
    /// The `authorization` of a call that is made now, or why there is none.
    pub(super) fn authorization(&self) -> Result<MetadataValue<Ascii>, String> {
        match self {
            Self::Given(authorization) => Ok(authorization.clone()),
            Self::File(path) => {
                let text = std::fs::read_to_string(path).map_err(|cause| cause.to_string());
                text.and_then(|text| bearer(&text)).map_err(|cause| format!("{}: {cause}", path.display()))
            }
        }
    }
}

/// The text itself is in no error.
pub(super) fn bearer(jwt: &str) -> Result<MetadataValue<Ascii>, String> {
    let jwt = jwt.trim();
    if jwt.is_empty() || !jwt.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("is not a JWT".to_owned());
    }
    let mut value: MetadataValue<Ascii> =
        format!("Bearer {jwt}").parse().map_err(|_| "is not a JWT".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_each_time() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("jwt");
        let jwt = Jwt::File(path.clone());
        assert!(jwt.authorization().expect_err("not there").contains("jwt"));
        for text in ["one", "two"] {
            std::fs::write(&path, format!("{text}\n")).expect("written");
            assert_eq!(jwt.authorization().expect("good"), format!("Bearer {text}"));
        }
    }

    #[test]
    fn what_can_be_no_jwt_is_refused_and_not_repeated() {
        for text in ["", " \n", "two words", "zwölf"] {
            assert_eq!(bearer(text).expect_err(text), "is not a JWT");
        }
        let debug = format!("{:?}", bearer("secret").expect("good"));
        assert!(!debug.contains("secret"), "{debug}");
    }
}
