//! Requests as tests write them: a line and fields.

use super::Field;

/// The fields of a request given as lines, pseudo ones first.
pub(super) fn fields(request: &str, scheme: &str) -> Vec<Field> {
    let mut lines = request.lines();
    let (method, path) = lines.next().unwrap_or_default().split_once(' ').unwrap_or_default();
    let mut pseudo =
        vec![(":method", method.to_owned()), (":scheme", scheme.to_owned()), (":path", path.to_owned())];
    let (mut authority, mut fields) = ("gateway.test".to_owned(), Vec::new());
    for line in lines {
        // A pseudo-header begins with a colon.
        let at = line
            .char_indices()
            .skip(1)
            .find(|(_, character)| *character == ':')
            .map_or(line.len(), |(at, _)| at);
        let (name, value) = (line[..at].to_ascii_lowercase(), line.get(at + 1..).unwrap_or_default().trim());
        match name.as_str() {
            "host" | ":authority" => value.clone_into(&mut authority),
            _ => fields.push((name, value.to_owned())),
        }
    }
    pseudo.push((":authority", authority));
    pseudo.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(fields).collect()
}

#[cfg(test)]
mod tests {
    use super::fields;

    #[test]
    fn requests_are_read_from_lines() {
        let fields = fields("POST /a?b\nHost: x\nX-Name: a: b\n:protocol: y", "http");
        let lines: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let expected =
            [":method=POST", ":scheme=http", ":path=/a?b", ":authority=x", "x-name=a: b", ":protocol=y"];
        assert_eq!(lines, expected);
    }
}
