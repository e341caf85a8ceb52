//! How commands that call a server speak TLS to it: whom they trust, and how they prove themselves.

use std::path::{Path, PathBuf};

use clap::Args;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// The flags, the same for each such command.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Trust {
    /// The authorities of the server's certificate, in PEM; the server is called by TLS then.
    #[arg(long, value_name = "FILE", env = "GATEKEY_CA_FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// The name that the server's certificate is for. [default: the host or address that is called]
    #[arg(long, value_name = "NAME", env = "GATEKEY_SERVER_NAME")]
    pub(crate) server_name: Option<String>,
    /// A certificate to show to the server, in PEM.
    #[arg(long, value_name = "FILE", env = "GATEKEY_CERT_FILE")]
    pub(crate) cert_file: Option<PathBuf>,
    /// The key of that certificate, in PEM.
    #[arg(long, value_name = "FILE", env = "GATEKEY_KEY_FILE")]
    pub(crate) key_file: Option<PathBuf>,
}

impl Trust {
    /// How to speak TLS, if it is to be spoken. The files are read now and not again.
    ///
    /// # Errors
    /// All that is wrong with the flags and their files.
    pub(crate) fn config(&self) -> Result<Option<ClientTlsConfig>, Vec<String>> {
        let Self { ca_file, server_name, cert_file, key_file } = self;
        let mut problems = Vec::new();
        let others = [
            ("--server-name", server_name.is_some()),
            ("--cert-file", cert_file.is_some()),
            ("--key-file", key_file.is_some()),
        ];
        for (flag, _) in others.into_iter().filter(|(_, given)| *given && ca_file.is_none()) {
            problems.push(format!("{flag}: there is no TLS without --ca-file"));
        }
        if cert_file.is_some() != key_file.is_some() {
            problems.push("--cert-file: give it with --key-file, or neither".to_owned());
        }
        let mut read = |flag: &str, path: Option<&Path>| {
            let contents = path.map(|path| {
                std::fs::read(path).map_err(|cause| format!("{flag}: {}: {cause}", path.display()))
            });
            contents.transpose().map_err(|problem| problems.push(problem)).ok().flatten()
        };
        let authorities = read("--ca-file", ca_file.as_deref());
        let identity = read("--cert-file", cert_file.as_deref()).zip(read("--key-file", key_file.as_deref()));
        if !problems.is_empty() {
            return Err(problems);
        }
        let Some(authorities) = authorities else { return Ok(None) };
        let config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authorities));
        let config = match server_name {
            Some(name) => config.domain_name(name),
            None => config,
        };
        Ok(Some(match identity {
            Some((cert, key)) => config.identity(Identity::from_pem(cert, key)),
            None => config,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_given_is_plaintext() {
        assert!(Trust::default().config().expect("nothing is wrong").is_none());
    }

    #[test]
    fn all_that_is_wrong_is_told() {
        let file = Some(PathBuf::from("/nonexistent"));
        let trust = Trust { server_name: Some("a".to_owned()), cert_file: file.clone(), ..Trust::default() };
        let said = trust.config().expect_err("wrong");
        assert_eq!(said.len(), 4, "{said:?}");
        let trust =
            Trust { ca_file: file.clone(), cert_file: file.clone(), key_file: file, ..Trust::default() };
        let said = trust.config().expect_err("wrong").join("\n");
        for flag in ["--ca-file: /nonexistent: ", "--cert-file: /nonexistent: ", "--key-file: /nonexistent: "]
        {
            assert!(said.contains(flag), "{flag}: {said}");
        }
    }
}
