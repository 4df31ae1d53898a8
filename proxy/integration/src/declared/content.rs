//! Content handling (row 124): what becomes of bodies that are text or binary. AWS's tables in one place; it does not know
//! messages.

use bytes::Bytes;
use template::base64;

use super::settings::Handling;

/// What is done to a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// It stays as it is, and is text.
    Text,
    /// It stays as it is, and is binary: no template can be rendered over it.
    Binary,
    /// Base64 becomes what it stands for.
    Decode,
    /// Bytes become Base64.
    Encode,
}

/// A body that says that it is Base64, and isn't: 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoBase64;

/// Whether a media type is one of the API's binary ones.
pub fn is_binary(binary_media_types: &[String], media_type: &str) -> bool {
    binary_media_types.iter().any(|known| known == "*/*" || known.eq_ignore_ascii_case(media_type))
}

/// The table for requests: of the body's media type, and what the integration says.
pub fn of_request(is_binary: bool, handling: Option<Handling>) -> Conversion {
    match (is_binary, handling) {
        (false, None | Some(Handling::ToText)) => Conversion::Text,
        (false, Some(Handling::ToBinary)) => Conversion::Decode,
        (true, None | Some(Handling::ToBinary)) => Conversion::Binary,
        (true, Some(Handling::ToText)) => Conversion::Encode,
    }
}

/// The table for responses: of the answer's media type, of the first that the client accepts, and what the integration's
/// response says.
pub fn of_response(is_binary: bool, accepts_binary: bool, handling: Option<Handling>) -> Conversion {
    match (is_binary, accepts_binary, handling) {
        (false, false, None) | (false, _, Some(Handling::ToText)) => Conversion::Text,
        (false, true, None) | (false, _, Some(Handling::ToBinary)) => Conversion::Decode,
        (true, true, None) | (true, _, Some(Handling::ToBinary)) => Conversion::Binary,
        (true, false, None) | (true, _, Some(Handling::ToText)) => Conversion::Encode,
    }
}

impl Conversion {
    /// The body as it is to be; whether it is text then.
    pub fn apply(self, body: Bytes) -> Result<(Bytes, bool), NoBase64> {
        match self {
            Self::Text => Ok((body, true)),
            Self::Binary => Ok((body, false)),
            Self::Decode if body.is_empty() => Ok((body, false)),
            Self::Decode => base64::decode(&body).map(|bytes| (bytes.into(), false)).map_err(|_| NoBase64),
            Self::Encode => Ok((base64::encode(&body).into(), true)),
        }
    }
}

/// The media type of a field's value, without its parameters. `application/json` where none is said.
pub fn media_type(value: Option<&[u8]>) -> &str {
    let value = value.and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    if media_type.is_empty() { JSON } else { media_type }
}

/// What a body is that says nothing of itself (rows 117, 122).
pub const JSON: &str = "application/json";
