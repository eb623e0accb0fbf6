//! The cases in which a name can be written.

/// serde's case names, for `rename_all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

const NAMES: [(&str, Case); 8] = [
    ("lowercase", Case::Lower),
    ("UPPERCASE", Case::Upper),
    ("PascalCase", Case::Pascal),
    ("camelCase", Case::Camel),
    ("snake_case", Case::Snake),
    ("SCREAMING_SNAKE_CASE", Case::ScreamingSnake),
    ("kebab-case", Case::Kebab),
    ("SCREAMING-KEBAB-CASE", Case::ScreamingKebab),
];

impl Case {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, case)| *case)
    }

    /// The values of `rename_all`, as written there.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// Writes a variant's name in this case, exactly as serde does: each capital starts a word.
    pub(crate) fn apply(self, variant: &str) -> String {
        let snake = || {
            let mut snake = String::new();
            for (position, letter) in variant.char_indices() {
                if letter.is_uppercase() && position > 0 {
                    snake.push('_');
                }
                snake.push(letter.to_ascii_lowercase());
            }
            snake
        };
        match self {
            Self::Pascal => variant.to_owned(),
            Self::Lower => variant.to_ascii_lowercase(),
            Self::Upper => variant.to_ascii_uppercase(),
            Self::Camel => {
                let mut letters = variant.chars();
                letters
                    .next()
                    .map(|first| first.to_ascii_lowercase())
                    .into_iter()
                    .chain(letters)
                    .collect()
            }
            Self::Snake => snake(),
            Self::ScreamingSnake => snake().to_ascii_uppercase(),
            Self::Kebab => snake().replace('_', "-"),
            Self::ScreamingKebab => snake().to_ascii_uppercase().replace('_', "-"),
        }
    }
}

/// A type's name as the default name of its directory: `BankAccount` is `bank-account`.
///
/// Unlike serde's rule it keeps an abbreviation together: `IOUAccount` is `iou-account`.
pub(crate) fn kebab(ident: &str) -> String {
    let letters: Vec<char> = ident.chars().collect();
    let mut kebab = String::new();
    for (i, &letter) in letters.iter().enumerate() {
        if letter == '_' {
            if !kebab.is_empty() && !kebab.ends_with('-') {
                kebab.push('-');
            }
            continue;
        }
        let before = i.checked_sub(1).map(|before| letters[before]);
        let after = letters.get(i + 1);
        let starts_word = letter.is_uppercase()
            && before.is_some_and(|before| {
                !before.is_uppercase() || after.is_some_and(|after| after.is_lowercase())
            });
        if starts_word && !kebab.is_empty() && !kebab.ends_with('-') {
            kebab.push('-');
        }
        kebab.extend(letter.to_lowercase());
    }
    kebab.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rename_all_writes_names_as_serde_does() {
        let deposited = Case::from_name("kebab-case").map(|case| case.apply("MoneyDeposited"));
        assert_eq!(deposited.as_deref(), Some("money-deposited"));
        let written = NAMES.map(|(_, case)| case.apply("IOUPaid"));
        assert_eq!(
            written,
            [
                "ioupaid",
                "IOUPAID",
                "IOUPaid",
                "iOUPaid",
                "i_o_u_paid",
                "I_O_U_PAID",
                "i-o-u-paid",
                "I-O-U-PAID",
            ]
        );
    }

    #[test]
    fn a_type_name_becomes_a_directory_name() {
        for (ident, expected) in [
            ("BankAccount", "bank-account"),
            ("Account2", "account2"),
            ("BankV2Account", "bank-v2-account"),
            ("IOUAccount", "iou-account"),
            ("HTTP", "http"),
            ("snake_case", "snake-case"),
            ("_Private_", "private"),
            ("Größe", "größe"),
        ] {
            assert_eq!(kebab(ident), expected);
        }
    }
}
