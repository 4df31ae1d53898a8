//! What becomes of bodies, told before it happens: what an integration says of itself to whoever wants a request explained.

use message::Reason;

/// What becomes of one body, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// Whose body.
    pub whose: Whose,
    /// What becomes of it.
    pub fate: Fate,
}

/// Whose body it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The request's.
    Request,
    /// The answer's.
    Response {
        /// Which of the integration's responses takes it, from 0; `None`: none does.
        place: Option<usize>,
        /// Its selection pattern; `None`: it takes what no other does.
        pattern: Option<String>,
        /// The status that was looked at.
        status: u16,
    },
}

/// What becomes of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on, converted if its type asks for that; the reason, for people.
    Passes(&'static str),
    /// A template takes its place.
    Rendered {
        /// The content type that the template is for, as it was written.
        content_type: String,
        /// What it comes to.
        text: String,
    },
    /// A template ended before its time.
    Failed {
        /// The content type that the template is for, as it was written.
        content_type: String,
        /// In the template, from 1.
        line: u32,
        /// In that line, from 1.
        column: u32,
        /// That line.
        source: String,
        /// What happened.
        why: String,
    },
    /// It is not taken.
    Refused(Reason),
}
