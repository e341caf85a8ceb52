//! The files of the page, embedded and compressed. Their path holds the hash of them all, so that browsers keep them for ever
//! and never mix two versions.

use std::io::Write;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, header};
use sha2::{Digest, Sha256};

/// Every file but the documents, which are templates.
macro_rules! embed {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("../../console/", $name)).as_slice())),*]
    };
}

pub(super) struct Assets {
    files: Vec<Asset>,
    version: String,
}

struct Asset {
    name: &'static str,
    media_type: &'static str,
    plain: &'static [u8],
    gzip: Bytes,
}

impl Assets {
    pub(super) fn embedded() -> Self {
        let embedded = embed!["api.js", "app.css", "app.js", "dialogs.js", "dom.js", "icon.svg", "toasts.js"];
        let mut hash = Sha256::new();
        for (name, content) in embedded {
            hash.update(name);
            hash.update(content.len().to_be_bytes());
            hash.update(content);
        }
        let hash = hash.finalize();
        // So much of it tells versions apart.
        let version = hash.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
        let version = format!("{version:016x}");
        let file = |(name, plain)| Asset { name, media_type: media_type(name), plain, gzip: gzip(plain) };
        Self { files: embedded.into_iter().map(file).collect(), version }
    }

    /// Where they are served.
    pub(super) fn prefix(&self, base: &str) -> String {
        format!("{base}assets/{}", self.version)
    }

    /// A file. Of another version, as while servers are replaced, the present one is better than none; but nobody keeps it.
    pub(super) fn get(&self, version: &str, name: &str, headers: &HeaderMap) -> Option<Response> {
        let asset = self.files.iter().find(|asset| asset.name == name)?;
        let gzip = accepts_gzip(headers);
        let body = if gzip { Body::from(asset.gzip.clone()) } else { Body::from(asset.plain) };
        let mut response = body.into_response();
        let to = response.headers_mut();
        let keep = if version == self.version { "public, max-age=31536000, immutable" } else { "no-store" };
        to.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type));
        to.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
        to.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        to.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
        if gzip {
            to.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Some(response)
    }
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

/// Whether the caller takes gzip: RFC 9110 section 12.5.3, without weighing it against others.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|coding| {
        let (coding, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight.trim().trim_start_matches("q=").parse().is_ok_and(|weight: f32| weight <= 0.0);
        coding.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

pub(super) fn gzip(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Into memory, which takes everything.
    let written = encoder.write_all(plain).and_then(|()| encoder.finish());
    written.unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn headers(accept_encoding: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(accept_encoding))])
    }

    #[test]
    fn every_file_of_the_folder_is_embedded() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/console");
        let names = std::fs::read_dir(folder)
            .expect("the folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"));
        let mut names: Vec<String> =
            names.filter(|name| name.rsplit_once('.').is_none_or(|(_, kind)| kind != "html")).collect();
        names.sort();
        let assets = Assets::embedded();
        let mut embedded: Vec<&str> = assets.files.iter().map(|asset| asset.name).collect();
        embedded.sort_unstable();
        assert_eq!(embedded, names);
        assert!(assets.files.iter().all(|asset| asset.media_type != "application/octet-stream"));
    }

    #[tokio::test]
    async fn a_file_is_kept_for_ever_under_its_version_only() {
        let assets = Assets::embedded();
        let get = |version: &str, accept| assets.get(version, "app.js", &headers(accept)).expect("there");
        let of = |response: &Response, name: header::HeaderName| response.headers().get(name).cloned();
        let plain = get(&assets.version, "br");
        assert_eq!(of(&plain, header::CACHE_CONTROL).expect("said"), "public, max-age=31536000, immutable");
        assert_eq!(of(&plain, header::CONTENT_ENCODING), None);
        let zipped = get("0", "br, gzip");
        assert_eq!(of(&zipped, header::CACHE_CONTROL).expect("said"), "no-store");
        assert_eq!(of(&zipped, header::CONTENT_ENCODING).expect("said"), "gzip");
        let bytes = |response: Response| axum::body::to_bytes(response.into_body(), usize::MAX);
        let (plain, zipped) = (bytes(plain).await.expect("read"), bytes(zipped).await.expect("read"));
        let mut unzipped = Vec::new();
        flate2::read::GzDecoder::new(&zipped[..]).read_to_end(&mut unzipped).expect("gzip");
        assert_eq!(unzipped, plain);
        assert!(assets.get(&assets.version, "no.js", &HeaderMap::new()).is_none());
    }

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        for yes in ["gzip", "GZIP;q=0.5", "br , gzip"] {
            assert!(accepts_gzip(&headers(yes)), "{yes}");
        }
        for no in ["", "br", "gzip;q=0", "gzip;q=0.0", "x-gzip2"] {
            assert!(!accepts_gzip(&headers(no)), "{no}");
        }
    }
}
