//! What must hold of any table: it finds what a matcher finds that is written differently. The matcher tries every
//! route and takes the best by rank. Each property panics when it does not hold; called by unit tests, by fuzz targets
//! and by the replay of what those came upon.

use message::{Authority, Headers, Method, PathRules, Target};

use crate::{Error, Key, Mapping, Mappings, Miss, Place, Precedence, Route, Router, WhyNot, template};

const ALL: [Precedence; 3] = [Precedence::Rest, Precedence::Http, Precedence::Proxy];
/// Routes, and requests, of a text.
const LINES_MAX: usize = 64;

/// Reads bytes as lines: routes (`GET /pets/{id}`, `ANY /{proxy+}`, `$default`), an empty line, requests
/// (`GET /pets/7`). Refused routes are named one by one and the others make a table; every look-up is as the matcher's.
pub fn any_table(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (keys, requests) = text.split_once("\n\n").unwrap_or((text, ""));
    let keys: Vec<&str> = keys.lines().filter(|line| is_key(line)).take(LINES_MAX).collect();
    for precedence in ALL {
        let Some((router, keys)) = without_mistakes(precedence, &keys) else { continue };
        for request in requests.lines().take(LINES_MAX) {
            let Some((method, path)) = request.split_once(' ') else { continue };
            let rules = PathRules { merge_slashes: false, encoded_slashes: true };
            // Whatever the path, nothing panics; only those that come are like the matcher's.
            ranges_lie_in_the_path(&router, &keys, request);
            if let Ok(target) = Target::parse(path.as_bytes(), rules) {
                let request = format!("{method} {}", target.path());
                finds_as_the_model(precedence, &router, &keys, &request);
                tells_why_not(&router, &keys, &request);
            }
        }
    }
}

fn is_key(line: &str) -> bool {
    line == "$default" || line.contains(' ')
}

/// The table of the routes that have no mistake.
fn without_mistakes<'a>(precedence: Precedence, keys: &[&'a str]) -> Option<(Router, Vec<&'a str>)> {
    let errors = match build(precedence, keys) {
        Ok(router) => return Some((router, keys.to_vec())),
        Err(errors) => errors,
    };
    assert!(!errors.is_empty());
    let bad: Vec<usize> = errors.iter().map(|error| error.index() as usize).collect();
    assert!(bad.is_sorted_by(|before, after| before < after), "each route once, in order: {bad:?}");
    let kept: Vec<&str> =
        keys.iter().enumerate().filter(|(at, _)| !bad.contains(at)).map(|(_, key)| *key).collect();
    let router =
        build(precedence, &kept).unwrap_or_else(|more| panic!("{errors:?}, then {more:?}: {keys:?}"));
    Some((router, kept))
}

/// A table of `GET /pets/{id}`, `ANY /{proxy+}`, `$default`, numbered in their order.
pub fn build(precedence: Precedence, keys: &[&str]) -> Result<Router, Vec<Error>> {
    Router::build(precedence, (0..).zip(keys).map(|(index, text)| Route { key: key(text), index }))
}

fn key(text: &str) -> Key<'_> {
    match text.split_once(' ') {
        Some((method, template)) => Key::Path { method: Some(method).filter(|m| *m != "ANY"), template },
        None => Key::Default,
    }
}

/// The key of the route and the values of its variables; or the miss.
pub fn find(router: &Router, keys: &[&str], request: &str) -> String {
    let (method, path) = request.split_once(' ').unwrap_or_else(|| panic!("no path in `{request}`"));
    match router.find(&Method::from_token(method), path) {
        Ok(found) => {
            let mut shown = keys[found.route as usize].to_owned();
            for (from, to) in found.params {
                shown = format!("{shown} [{}]", &path[from as usize..to as usize]);
            }
            shown
        }
        Err(miss @ (Miss::Path | Miss::Method)) => format!("{miss:?}"),
    }
}

/// Every value of a variable is a part of the path, and there are as many as the template has variables.
pub fn ranges_lie_in_the_path(router: &Router, keys: &[&str], request: &str) {
    let Some((method, path)) = request.split_once(' ') else { return };
    let Ok(found) = router.find(&Method::from_token(method), path) else { return };
    for (from, to) in &found.params {
        assert!(path.get(*from as usize..*to as usize).is_some(), "{request}");
    }
    let template = keys[found.route as usize].split_once(' ').map_or("", |(_, template)| template);
    assert_eq!(found.params.len(), crate::variables(template).len(), "{keys:?} {request}");
}

/// The route that is found is the best of those that match.
pub fn finds_as_the_model(precedence: Precedence, router: &Router, keys: &[&str], request: &str) {
    assert_eq!(
        find(router, keys, request),
        naive(precedence, keys, request),
        "{precedence:?} {keys:?} {request}"
    );
}

/// Each route takes the request or is told once with its reason, and the reasons are those of the look-up.
pub fn tells_why_not(router: &Router, keys: &[&str], request: &str) {
    let (method, path) = request.split_once(' ').unwrap_or_default();
    let (method, mut told) = (Method::from_token(method), vec![0; keys.len()]);
    let found = router.find(&method, path);
    found.iter().for_each(|found| told[found.route as usize] += 1);
    let candidates = router.candidates(&method, path);
    candidates.iter().for_each(|candidate| told[candidate.route as usize] += 1);
    assert!(told.iter().all(|times| *times == 1), "{keys:?} {request}: {candidates:?}");
    let is_any = |why: WhyNot| candidates.iter().any(|candidate| candidate.why == why);
    if let Err(miss) = found {
        assert!(!is_any(WhyNot::Outranked), "{keys:?} {request}: {candidates:?}");
        assert_eq!(is_any(WhyNot::Method), miss == Miss::Method, "{keys:?} {request}: {candidates:?}");
    }
}

/// Every route is tried, and the best of those that match is the one with the greatest rank.
fn naive(precedence: Precedence, keys: &[&str], request: &str) -> String {
    let (method, path) = request.split_once(' ').unwrap_or_default();
    let mut best = None;
    let mut miss = "Path";
    for text in keys {
        let Some((wanted, template)) = text.split_once(' ') else { continue };
        let Some((kinds, values)) = naive_path(precedence, template, path) else { continue };
        let Some(method_rank) = naive_method(precedence, wanted, method) else {
            miss = "Method";
            continue;
        };
        let is_full = precedence == Precedence::Rest || !template.ends_with("+}");
        let rank = (is_full, kinds, method_rank);
        if best.as_ref().is_none_or(|(other, _): &(_, String)| *other < rank) {
            let values: String = values.iter().map(|value| format!(" [{value}]")).collect();
            best = Some((rank, format!("{text}{values}")));
        }
    }
    let default = keys.iter().find(|key| **key == "$default");
    best.map(|(_, shown)| shown).unwrap_or_else(|| (*default.unwrap_or(&miss)).to_owned())
}

fn naive_method(precedence: Precedence, wanted: &str, method: &str) -> Option<u8> {
    const AWS: [&str; 7] = ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "HEAD"];
    let is_proxy = precedence == Precedence::Proxy;
    match wanted {
        "ANY" => (is_proxy || AWS.contains(&method)).then_some(1),
        "GET" if is_proxy && method == "HEAD" => Some(2),
        _ => (wanted == method).then_some(3),
    }
}

fn naive_path<'a>(precedence: Precedence, template: &str, path: &'a str) -> Option<(Vec<u8>, Vec<&'a str>)> {
    let path =
        if precedence == Precedence::Rest && path.ends_with('/') { &path[..path.len() - 1] } else { path };
    let split = |text: &'a str| -> Vec<&'a str> {
        if matches!(text, "" | "/") && precedence != Precedence::Rest {
            vec![]
        } else {
            text.split('/').skip(1).collect()
        }
    };
    let template: Vec<&str> = if template == "/" { vec![] } else { template.split('/').skip(1).collect() };
    let parts = split(path);
    let (mut kinds, mut values) = (vec![], vec![]);
    for (at, segment) in template.iter().enumerate() {
        if segment.ends_with("+}") {
            let used: usize = parts[..at.min(parts.len())].iter().map(|part| part.len() + 1).sum();
            let rest = path.get(used + 1..).unwrap_or("");
            let is_nothing_allowed = precedence == Precedence::Proxy && (parts.len() > at || at == 0);
            if rest.is_empty() && !is_nothing_allowed {
                return None;
            }
            kinds.push(1);
            values.push(rest);
            return Some((kinds, values));
        }
        let part = *parts.get(at)?;
        if segment.starts_with('{') {
            if part.is_empty() {
                return None;
            }
            kinds.push(2);
            values.push(part);
        } else if template::literal(0, segment).is_ok_and(|literal| literal == part) {
            kinds.push(3);
        } else {
            return None;
        }
    }
    (parts.len() == template.len()).then_some((kinds, values))
}

/// Reads bytes as lines: mappings (`api.example.com v1`, `*.example.com `, ` v1`), an empty line, and what is asked for
/// (`api.example.com /v1/pets`). Refused mappings are named one by one and the others make a table; every look-up is as
/// that of a search through the list.
pub fn any_mappings(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (entries, requests) = text.split_once("\n\n").unwrap_or((text, ""));
    let entries: Vec<_> = entries.lines().filter_map(|line| line.split_once(' ')).take(LINES_MAX).collect();
    let (table, entries) = match map(&entries) {
        Ok(table) => (table, entries),
        Err(errors) => {
            let bad: Vec<usize> = errors.iter().map(|error| error.index() as usize).collect();
            assert!(bad.is_sorted_by(|before, after| before < after), "each once, in order: {bad:?}");
            let kept = entries.iter().enumerate().filter(|(at, _)| !bad.contains(at));
            let kept: Vec<_> = kept.map(|(_, entry)| *entry).collect();
            (map(&kept).unwrap_or_else(|more| panic!("{errors:?}, then {more:?}: {entries:?}")), kept)
        }
    };
    for (host, path) in requests.lines().filter_map(|line| line.split_once(' ')).take(LINES_MAX) {
        let rules = PathRules { merge_slashes: false, encoded_slashes: true };
        let (Ok(authority), Ok(target)) =
            (Authority::parse(host.as_bytes()), Target::parse(path.as_bytes(), rules))
        else {
            continue;
        };
        let found = mapped(table.find(authority.host(), target.path(), &Headers::default()));
        let expected = naive_mapping(&entries, authority.host(), target.path());
        assert_eq!(found, expected, "{entries:?} {host}{path}");
    }
}

/// Mappings of hosts (none: every host) and base paths, numbered in their order.
pub fn map(entries: &[(&str, &str)]) -> Result<Mappings<usize>, Vec<Error>> {
    Mappings::build(entries.iter().enumerate().map(|(value, (host, base_path))| Mapping {
        host: Some(*host).filter(|host| !host.is_empty()),
        base_path,
        value,
    }))
}

/// What is mapped at a place, and how many bytes of the path are its base path.
pub fn mapped(place: Place<'_, usize>) -> Option<(usize, usize)> {
    match place {
        Place::Mapped { value, base_bytes, .. } => Some((*value, base_bytes)),
        Place::Healthy | Place::Unmapped => None,
    }
}

fn naive_mapping(entries: &[(&str, &str)], host: &str, path: &str) -> Option<(usize, usize)> {
    // One dot at the end is the root's, two are no name.
    let plain = |host: &str| host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let same = |own: &str, wanted: &str| plain(own) == wanted;
    let host = plain(host);
    let wildcard =
        host.split_once('.').filter(|(label, _)| !label.is_empty()).map(|(_, parent)| format!("*.{parent}"));
    let is_mapped = |wanted: &str| !wanted.is_empty() && entries.iter().any(|(own, _)| same(own, wanted));
    let wanted = [Some(host.clone()), wildcard].into_iter().flatten().find(|it| is_mapped(it));
    let wanted = wanted.unwrap_or_default();
    let mut best: Option<(usize, usize)> = None;
    for (value, (own, base_path)) in entries.iter().enumerate() {
        let base_path: String = base_path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| format!("/{}", template::literal(0, segment).unwrap_or_default()))
            .collect();
        let below = format!("{path}/");
        let takes = below.starts_with(&format!("{base_path}/"));
        if same(own, &wanted) && takes && best.is_none_or(|(_, bytes)| bytes < base_path.len()) {
            best = Some((value, base_path.len()));
        }
    }
    best
}
