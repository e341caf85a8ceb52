//! Keys, as they are given by hand: told from values that were cut off, which must not be shown.

use gatekey_model::{TokenKey, TokenPrefix, TokenType};

/// As long as the public id in a value is.
const PUBLIC_ID_LEN: usize = 8;

/// A text in exactly the form of a key: a prefix, a type's letter, and the public id.
pub(super) fn parse(text: &str) -> Option<TokenKey> {
    let (prefix, rest) = text.split_once('_')?;
    let (letter, id) = rest.split_once('_')?;
    let is_type = TokenType::ALL.iter().any(|kind| letter.chars().eq([kind.letter()]));
    let is_id = id.len() == PUBLIC_ID_LEN && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_key = is_type && is_id && prefix.parse::<TokenPrefix>().is_ok();
    is_key.then(|| TokenKey::from_stored(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use gatekey_model::TokenValue;

    use super::*;

    #[test]
    fn keys_are_taken_and_nothing_else() {
        for key in ["gk_b_vZ9YpZhu", "gk_r_00000000", "a1b2c3d4_b_ABCDEFGH"] {
            assert_eq!(parse(key).expect("a key").as_str(), key);
        }
        for odd in [
            "",
            "gk",
            "gk_b_",
            "gk_b_vZ9YpZh",
            "gk_b_vZ9YpZhu1",
            "gk_b_vZ9YpZhu_",
            "gk_b_vZ9Y_Zhu",
            "gk_b_vZ9Yp\u{e9}h",
            "gk_x_vZ9YpZhu",
            "gk_br_vZ9YpZhu",
            "gk__vZ9YpZhu",
            "g_b_vZ9YpZhu",
            "GK_b_vZ9YpZhu",
            "a1b2c3d4e_b_vZ9YpZhu",
            " gk_b_vZ9YpZhu",
            "gk_b_vZ9YpZhu\n",
        ] {
            assert_eq!(parse(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn of_a_value_only_its_key_is_one() {
        for kind in TokenType::ALL {
            let value = TokenValue::generate(&TokenPrefix::default(), kind).expect("random numbers");
            let (key, value) = (value.key(), value.expose());
            for end in 0..=value.len() {
                let is_key = parse(&value[..end]).is_some();
                assert_eq!(is_key, end == key.as_str().len(), "its first {end}");
            }
            assert!((1..value.len()).all(|start| parse(&value[start..]).is_none()));
        }
    }
}
