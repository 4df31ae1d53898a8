//! Which protocol a test runs over: it is written once, and whoever makes two tests of it says with which protocol its
//! gateways are asked, and with which they ask its backends.

use std::cell::Cell;

use toml::{Table, Value};

/// A version of HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2, of prior knowledge or by ALPN.
    Http2,
}

/// What is spoken on either side of the gateways of a test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Over {
    /// By [`crate::Client`], and by curl.
    pub clients: Protocol,
    /// By [`crate::Origin`]; gateways are told so.
    pub backends: Protocol,
}

impl Protocol {
    /// As `$context.protocol` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2.0",
        }
    }

    /// With which curl speaks it and no other.
    pub fn curl_flag(self) -> &'static str {
        match self {
            Self::Http1 => "--http1.1",
            Self::Http2 => "--http2-prior-knowledge",
        }
    }

    /// As curl shows it.
    pub fn curl_name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

thread_local! {
    // A test has a thread of its own; what it starts on others it makes on its own first.
    static OVER: Cell<Over> = const { Cell::new(Over { clients: Protocol::Http1, backends: Protocol::Http1 }) };
}

/// Runs a test over these.
pub fn run_over(over: Over, test: impl FnOnce()) {
    /// Also when the test fails.
    struct Back(Over);
    impl Drop for Back {
        fn drop(&mut self) {
            OVER.set(self.0);
        }
    }
    let _back = Back(OVER.replace(over));
    test();
}

/// What the running test runs over; HTTP/1.1 on both sides where nothing was said.
pub fn over() -> Over {
    OVER.get()
}

/// The same configuration with `http2 = true` for all backends; one that is no TOML as it is.
pub(crate) fn to_backends_over_http2(config: &str) -> String {
    let Ok(mut tables) = config.parse::<Table>() else { return config.to_owned() };
    if let Some(Value::Table(upstreams)) = tables.get_mut("upstream") {
        upstreams.iter_mut().filter_map(|(_, upstream)| upstream.as_table_mut()).for_each(|upstream| {
            upstream.insert("http2".to_owned(), Value::Boolean(true));
        });
    }
    say_http2(&mut tables);
    tables.to_string()
}

/// Wherever a `url` or a `uri` is.
fn say_http2(table: &mut Table) {
    if ["url", "uri"].iter().any(|key| table.contains_key(*key)) {
        table.insert("http2".to_owned(), Value::Boolean(true));
    }
    for (_, value) in table.iter_mut() {
        match value {
            Value::Table(table) => say_http2(table),
            Value::Array(values) => values.iter_mut().filter_map(Value::as_table_mut).for_each(say_http2),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::to_backends_over_http2;

    #[test]
    fn backends_are_spoken_to_in_http_2() {
        let config = "[upstream.a]\ntargets = [\"http://a\"]\n[[route]]\nmatch = \"/\"\nurl = \"http://b\"\n\
                      [[api]]\n[[api.route]]\nintegration = { url = \"http://c\" }\n";
        let changed = to_backends_over_http2(config);
        assert_eq!(changed.matches("http2 = true").count(), 3, "{changed}");
        assert_eq!(to_backends_over_http2("no ["), "no [");
    }
}
