//! What a REST API tells who brings credentials of another kind to where no route is (row 24): it takes whatever stands in
//! `Authorization` for a signature of AWS's, and says what is wrong with that.

use message::{Name, Reason, Request};

/// Parts that a signature has.
const PARTS: [&str; 3] = ["Credential", "Signature", "SignedHeaders"];

/// Why there is no route for a request of a REST API.
pub(crate) fn unrouted(request: &Request) -> Reason {
    let header = request.headers.get(Name::Authorization).map(String::from_utf8_lossy);
    let message = header.filter(|header| !header.starts_with("AWS4-")).and_then(|header| {
        let has_date =
            request.headers.get(Name::Date).is_some() || request.headers.find("x-amz-date").is_some();
        fault(header.trim(), has_date)
    });
    message.map_or(Reason::NoRoute, |message| Reason::IncompleteSignature { message: message.into() })
}

/// What is wrong with a field that should be a signature.
fn fault(header: &str, has_date: bool) -> Option<String> {
    if header.is_empty() {
        return None;
    }
    let parts = header.split_once(' ').map_or(header, |(_, parts)| parts);
    let parts = parts.split(',').map(str::trim);
    if let Some(part) = parts.clone().find(|part| !part.contains('=')) {
        return Some(format!(
            "'{part}' not a valid key=value pair (missing equal-sign) in Authorization header: '{header}'."
        ));
    }
    let mut message = String::new();
    for name in PARTS {
        if !parts.clone().any(|part| part.split_once('=').is_some_and(|(key, _)| key == name)) {
            message.push_str(&format!("Authorization header requires '{name}' parameter. "));
        }
    }
    if !has_date {
        message.push_str(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ",
        );
    }
    (!message.is_empty()).then(|| format!("{message}Authorization={header}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: &str, has_date: bool, expected: Option<&str>) {
        assert_eq!(fault(header, has_date).as_deref(), expected, "{header}");
    }

    #[test]
    fn what_is_wrong_is_told() {
        let no_pair = |part: &str, header: &str| {
            format!(
                "'{part}' not a valid key=value pair (missing equal-sign) in Authorization header: '{header}'."
            )
        };
        for (header, part) in [
            ("Bearer abc", "abc"),
            ("allow", "allow"),
            ("Basic a=b, c", "c"),
            ("a b c", "b c"),
            ("Bearer x,", "x"),
        ] {
            check(header, true, Some(&no_pair(part, header)));
        }
        let requires = "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. \
            Authorization header requires 'SignedHeaders' parameter. ";
        check("Basic dTpw=", true, Some(&format!("{requires}Authorization=Basic dTpw=")));
        let date = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ";
        check("Basic dTpw=", false, Some(&format!("{requires}{date}Authorization=Basic dTpw=")));
        let whole = "X Credential=a, SignedHeaders=b, Signature=c";
        check(whole, true, None);
        check(whole, false, Some(&format!("{date}Authorization={whole}")));
        check("", false, None);
    }
}
