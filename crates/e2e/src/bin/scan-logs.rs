//! Searches every file below a folder for token values: in the right form, with the right checksum.
//!
//! `scan-logs FOLDER` ends with 1 and names file and line, never the value, if there is one; and with 2
//! if there was nothing to search, as then the check would prove nothing.

use std::path::Path;
use std::process::ExitCode;

use gatekey_model::PresentedToken;

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("scan-logs: which folder?");
        return ExitCode::from(2);
    };
    let mut searched = 0;
    let mut found = 0;
    visit(Path::new(&folder), &mut |path, text| {
        searched += 1;
        for (number, line) in text.lines().enumerate() {
            for key in values(line) {
                println!("{}:{}: a token value, of the key {key}", path.display(), number + 1);
                found += 1;
            }
        }
    });
    println!("{searched} files searched, {found} token values found");
    match (searched, found) {
        (0, _) => ExitCode::from(2),
        (_, 0) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn visit(folder: &Path, look: &mut impl FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            visit(&path, look);
        } else if let Ok(bytes) = std::fs::read(&path) {
            look(&path, &String::from_utf8_lossy(&bytes));
        }
    }
}

/// The keys of the token values in a line.
fn values(line: &str) -> impl Iterator<Item = &str> {
    PresentedToken::find_in(line).map(|token| token.key())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatekey_model::{TokenPrefix, TokenType, TokenValue};

    #[test]
    fn finds_a_value_wherever_it_stands() {
        let value = TokenValue::generate(&TokenPrefix::default(), TokenType::Batch).expect("random numbers");
        for line in [
            value.expose().to_owned(),
            format!(r#"{{"token_value":"{}"}}"#, value.expose()),
            format!("authorization: Bearer {}, next", value.expose()),
        ] {
            assert_eq!(values(&line).collect::<Vec<_>>(), [value.key().as_str()], "{}", value.key());
        }
        assert_eq!(values(value.key().as_str()).count(), 0);
    }
}
