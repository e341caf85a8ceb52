//! The settings of gateways: from where they ask, and in which header they say the type.

use std::net::IpAddr;

use ipnet::IpNet;
use reqwest::header::HeaderName;

use super::people::free_header;
use super::settings::Settings;

pub(super) fn peers(settings: &Settings, problems: &mut Vec<String>) -> Vec<IpNet> {
    let networks = settings.gateway_peers.iter().filter_map(|text| {
        let network = network(text);
        if network.is_none() {
            problems.push(format!(
                "--gateway-peer: {text:?} must be an address or a network, as in 10.0.7.3 or 10.0.7.0/24"
            ));
        }
        network
    });
    networks.collect()
}

/// A network whose address has bits behind its prefix is a slip more often than not.
fn network(text: &str) -> Option<IpNet> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical().into());
    }
    let network = text.parse::<IpNet>().ok().filter(|network| network.addr() == network.network())?;
    // Connections over IPv4 are known by their IPv4 addresses.
    match (network.addr().to_canonical(), network.prefix_len().checked_sub(96)) {
        (IpAddr::V4(address), Some(length)) if matches!(network, IpNet::V6(_)) => {
            IpNet::new(address.into(), length).ok()
        }
        _ => Some(network),
    }
}

pub(super) fn type_header(settings: &Settings, problems: &mut Vec<String>) -> Option<HeaderName> {
    let name = settings.gateway_type_header.as_deref()?;
    let taken = ["x-original-", "x-forwarded-", "x-gatekey-"];
    let header = free_header(name).filter(|name| !taken.iter().any(|taken| name.as_str().starts_with(taken)));
    if header.is_none() {
        problems.push(
            "--gateway-type-header: must be the name of a header that nothing else uses, as in x-required-token"
                .to_owned(),
        );
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_addresses_and_networks() {
        for (text, network) in [
            ("127.0.0.1", "127.0.0.1/32"),
            ("::1", "::1/128"),
            ("::ffff:10.0.0.1", "10.0.0.1/32"),
            ("10.0.7.0/24", "10.0.7.0/24"),
            ("fd00::/8", "fd00::/8"),
            ("::ffff:10.0.7.0/120", "10.0.7.0/24"),
            ("::/0", "::/0"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(super::network(text), network.parse().ok(), "{text}");
        }
        for bad in ["", "gateway", "10.0.7.0/33", "10.0.7.3/24", "10.0.7.0/24 ", "127.0.0.1:80", "10.0.0.*"] {
            assert_eq!(network(bad), None, "{bad}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told() {
        let settings = Settings {
            gateway_peers: vec!["here".to_owned(), "10.0.0.1".to_owned(), "there".to_owned()],
            gateway_type_header: Some("X-Forwarded-Uri".to_owned()),
            ..Settings::default()
        };
        let mut problems = Vec::new();
        assert_eq!(peers(&settings, &mut problems).len(), 1);
        assert_eq!(type_header(&settings, &mut problems), None);
        assert_eq!(problems.len(), 3, "{problems:?}");
    }
}
