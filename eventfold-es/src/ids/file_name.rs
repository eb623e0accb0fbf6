//! Encodes any text as a file name. Safe characters stay readable.

/// The longest file name that common file systems allow, in bytes.
const LONGEST: usize = 255;

/// Encodes `text` as a file name. The error says what is wrong with `text`.
pub(crate) fn encode(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        return Err("is empty");
    }
    let last = text.chars().count() - 1;
    let device = is_device_name(text);
    let mut name = String::with_capacity(text.len());
    for (i, c) in text.chars().enumerate() {
        let unsafe_here = matches!(
            c,
            '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | '%'
        ) || c.is_control()
            || (c == '.' && (i == 0 || i == last))
            || (c == ' ' && i == last)
            || (device && i == 0);
        if unsafe_here {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                name.push('%');
                name.push(char::from(b"0123456789ABCDEF"[usize::from(byte >> 4)]));
                name.push(char::from(b"0123456789ABCDEF"[usize::from(byte & 15)]));
            }
        } else {
            name.push(c);
        }
    }
    if name.len() > LONGEST {
        return Err("is too long: at most 255 bytes once encoded as a file name");
    }
    Ok(name)
}

/// The text that [`encode`] turns into `name`, or `None` if there is none.
pub(crate) fn decode(name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    (encode(&text).as_deref() == Ok(name)).then_some(text)
}

/// Whether Windows treats a file of this name as a device, whatever its extension.
fn is_device_name(text: &str) -> bool {
    let stem = text.split('.').next().unwrap_or(text).trim_end();
    let numbered = |prefix: &str| {
        stem.len() == 4
            && stem
                .get(..3)
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
            && matches!(stem.as_bytes()[3], b'1'..=b'9')
    };
    ["CON", "PRN", "AUX", "NUL"]
        .iter()
        .any(|device| stem.eq_ignore_ascii_case(device))
        || numbered("COM")
        || numbered("LPT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safe_text_stays_as_it_is() {
        for text in [
            "alice",
            "Ålice 2",
            "a.b",
            "日本",
            "-_~!@#$^&()",
            "COM0",
            "CONSOLE",
        ] {
            assert_eq!(encode(text).unwrap(), text);
            assert_eq!(decode(text).unwrap(), text);
        }
    }

    #[test]
    fn unsafe_text_is_encoded_and_decoded_again() {
        for (text, name) in [
            (".", "%2E"),
            ("..", "%2E%2E"),
            ("...", "%2E.%2E"),
            ("a/b", "a%2Fb"),
            ("50%", "50%25"),
            ("a ", "a%20"),
            ("a.", "a%2E"),
            ("nul", "%6Eul"),
            ("Com1.txt", "%43om1.txt"),
            ("\0\n\u{7f}", "%00%0A%7F"),
        ] {
            assert_eq!(encode(text).unwrap(), name);
            assert_eq!(decode(name).unwrap(), text);
        }
    }

    #[test]
    fn a_name_that_encoding_never_produces_is_not_decoded() {
        for name in ["a%41", "%2f", "%", "%F", "%FF", "a/b", "..", "a ", "nul"] {
            assert_eq!(decode(name), None, "{name}");
        }
    }

    #[test]
    fn empty_and_too_long_text_is_refused() {
        assert!(encode("").is_err());
        assert!(encode(&"x".repeat(255)).is_ok());
        assert!(encode(&"x".repeat(256)).is_err());
        assert!(encode(&"/".repeat(86)).is_err());
    }
}
