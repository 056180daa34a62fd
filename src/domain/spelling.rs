//! What somebody probably meant who wrote something else.

/// Longer texts are not slips of the pen, and comparing is quadratic.
const LONGEST: usize = 64;

/// The name that `given` was probably meant to be, if any is close. Case and `-` for `_` cost nothing.
pub fn nearest<N: AsRef<str>>(given: &str, names: impl IntoIterator<Item = N>) -> Option<N> {
    let folded = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    if given.len() > LONGEST {
        return None;
    }
    let given = folded(given);
    let distance = |name: &N| strsim::damerau_levenshtein(&given, &folded(name.as_ref()));
    names
        .into_iter()
        .map(|name| (distance(&name), name))
        .filter(|(distance, name)| *distance <= (name.as_ref().len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("machine_net_msk", Some("machine_net_mask"))]
    #[case("Public-URL", Some("public_url"))]
    #[case("root-passwrod-hashed", Some("root_password_hashed"))]
    #[case("colour", None)]
    #[case("", None)]
    fn a_near_miss_is_found_and_a_far_one_is_not(#[case] given: &str, #[case] meant: Option<&str>) {
        let names = ["machine_net_mask", "machine_net_dns", "public_url", "root_password", "root_password_hashed"];
        assert_eq!(nearest(given, names), meant);
    }

    #[test]
    fn a_very_long_text_costs_nothing() {
        assert_eq!(nearest(&"l".repeat(1_000_000), ["listen"]), None);
    }
}
