//! The addresses of names: by the system, or in tests as a test says.

use std::io;
use std::net::SocketAddr;
#[cfg(test)]
use std::sync::Arc;

use tokio::net::lookup_host;

use super::Endpoint;

/// Who knows them.
#[derive(Clone, Debug, Default)]
pub(crate) enum Names {
    #[default]
    System,
    #[cfg(test)]
    Book(Arc<book::Book>),
}

impl Names {
    pub(super) async fn addresses(&self, endpoint: &Endpoint) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::System => Ok(lookup_host((endpoint.host.as_str(), endpoint.port)).await?.collect()),
            #[cfg(test)]
            Self::Book(book) => book.addresses(&endpoint.host).await,
        }
    }
}

#[cfg(test)]
pub(crate) mod book {
    use std::collections::HashMap;
    use std::sync::Mutex;

    use tokio::sync::watch;

    use super::*;

    /// What a test says of a name.
    #[derive(Clone, Copy, Debug)]
    pub(crate) enum Entry {
        At(SocketAddr),
        Fails,
        /// Nobody answers.
        Hangs,
    }

    /// What a test says of all names.
    #[derive(Debug, Default)]
    pub(crate) struct Book {
        entries: Mutex<HashMap<&'static str, Entry>>,
        /// How often one was looked up.
        pub(crate) looks: watch::Sender<usize>,
    }

    impl Book {
        pub(crate) fn write(&self, name: &'static str, entry: Entry) {
            self.entries.lock().expect("nothing under this lock panics").insert(name, entry);
        }

        pub(super) async fn addresses(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
            let entry = self.entries.lock().expect("nothing under this lock panics").get(name).copied();
            self.looks.send_modify(|looks| *looks += 1);
            match entry {
                Some(Entry::At(address)) => Ok(vec![address]),
                Some(Entry::Hangs) => std::future::pending().await,
                Some(Entry::Fails) | None => Err(io::ErrorKind::NotFound.into()),
            }
        }
    }
}
