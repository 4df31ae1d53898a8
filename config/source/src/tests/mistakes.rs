//! One mistake at a time: where it is, what is said, what is advised.

use proptest::prelude::*;

use super::{Table, line, read, written::meant};

/// What makes a text whole around the lines that are looked at; it stands behind them.
const REST: &str =
    "\n[[listener]]\naddress = \"127.0.0.1:1\"\n[[route]]\nmatch = \"$default\"\nurl = \"http://b\"\n";

/// `text` has exactly these diagnostics, each as `line:column: message | help`.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let outcome = read(&format!("{text}{REST}"));
    let lines: Vec<_> = outcome.diagnostics.iter().map(line).collect();
    let lines: Vec<_> = lines.iter().map(|line| line.trim_start_matches("f.toml:")).collect();
    assert_eq!(lines, expected, "{text}");
    assert!(outcome.model.is_none(), "{text}");
}

/// The same for a route with these lines, which begin at line 4.
#[track_caller]
fn check_route(lines: &str, expected: &[&str]) {
    check(
        &format!(
            "[upstream.orders]\ntargets = [\"http://o\"]\n[[route]]\n{lines}\n[[route]]\nmatch = \"/o\"\nupstream = \"orders\""
        ),
        expected,
    );
}

/// The same for an API with these lines, which begin at line 4.
#[track_caller]
fn check_api(lines: &str, expected: &[&str]) {
    check(&format!("[[api]]\nname = \"a\"\nkind = \"http\"\n{lines}\n"), expected);
}

#[test]
fn syntax() {
    check("a = ", &["1:5: the value is missing"]);
    check("[node", &["1:6: unclosed table | expected `]`"]);
    check("a = b", &["1:5: string values must be quoted"]);
}

#[test]
fn several_syntax_errors_and_others_in_one_run() {
    check(
        "[node]\nworkers = 0\ndrain = \n[cache]\nsize = \"x\nsiez = 1",
        &[
            "2:11: `0` is out of range | write something from `1` to `1024`",
            "3:9: the value is missing",
            "5:10: invalid basic string | expected `\"`",
            "6:1: unknown key `siez` in `cache` | did you mean `size`?",
        ],
    );
}

#[test]
fn unknown_keys() {
    check("[nod]", &["1:2: unknown key `nod` | did you mean `node`?"]);
    check("[[routes]]", &["1:3: unknown key `routes` | did you mean `route`?"]);
    check(
        "ttl = 1",
        &[
            "1:1: unknown key `ttl` | known are `include`, `node`, `admin`, `access_log`, `path`, `endpoint`, `templates`, `client`, `cache`, `timeouts`, `limits`, `quotas`, `throttle`, `ebpf`, `demo`, `listener`, `certificate`, `upstream`, `cors`, `route`, `api` and `domain`",
        ],
    );
    check("rate = 1", &["1:1: unknown key `rate` | did you mean `throttle.rate`?"]);
    check("[cache]\nsise = \"1MiB\"", &["2:1: unknown key `sise` in `cache` | did you mean `size`?"]);
    check("[cache]\nzzz = 1", &["2:1: unknown key `zzz` in `cache` | known are `size`"]);
    check_route(
        "match = \"/a\"\nurl = \"http://a\"\nttl = \"3s\"",
        &["6:1: unknown key `ttl` in `route` | did you mean `cache.ttl`?"],
    );
    check_route(
        "match = \"/a\"\nurl = \"http://a\"\nthrottle = { rate = \"1/s\", brust = 1 }",
        &["6:28: unknown key `brust` in `route.throttle` | did you mean `burst`?"],
    );
    check(
        "\"a\\u0007b\" = 1",
        &[
            "1:1: unknown key `a\\u{7}b` | known are `include`, `node`, `admin`, `access_log`, `path`, `endpoint`, `templates`, `client`, `cache`, `timeouts`, `limits`, `quotas`, `throttle`, `ebpf`, `demo`, `listener`, `certificate`, `upstream`, `cors`, `route`, `api` and `domain`",
        ],
    );
}

#[test]
fn wrong_types() {
    check(
        "[node]\nworkers = \"4\"",
        &["2:11: expected a whole number, found a string | write `workers = 1`"],
    );
    check(
        "[node]\nworkers = 1.5",
        &["2:11: expected a whole number, found a number with a fraction | write `workers = 1`"],
    );
    check(
        "[node]\ndrain = 30",
        &["2:9: expected a duration with a unit, found an integer | write `\"30s\"`"],
    );
    check(
        "[node]\ndriver = true",
        &["2:10: expected one of some strings, found a boolean | write `driver = \"auto\"`"],
    );
    check(
        "[cache]\nsize = 1000",
        &["2:8: expected a size with a unit, found an integer | write `\"1000B\"`"],
    );
    check(
        "[throttle]\nrate = 0.5",
        &["2:8: expected a rate with a unit, found a number with a fraction | write `\"0.5/s\"`"],
    );
    check(
        "[client]\ntrusted_proxies = \"10.0.0.0/8\"",
        &["2:19: expected an array of strings, found a string | write `[\"10.0.0.0/8\"]`"],
    );
    check(
        "[client]\ntrusted_proxies = [10]",
        &["2:20: expected a string, found an integer | write it in quotes"],
    );
    check("node = 1", &["1:8: expected a table, found an integer | write `node = { … }`"]);
    check("[[node]]", &["1:1: `node` is one table, not an array of tables | write `[node]`"]);
    check(
        "[certificate]",
        &["1:1: `certificate` is an array of tables | write `[[certificate]]` with two brackets"],
    );
    check("certificate = [1]", &["1:16: expected a table, found an integer"]);
    check(
        "[upstream]\nx = \"http://a\"",
        &["2:1: `upstream.x` is a table, not a string | write `[upstream.x]`"],
    );
    check(
        "[demo]\naddress = 1979-05-27",
        &["2:11: expected an IP address and a port, found a date | write `address = \"127.0.0.1:8443\"`"],
    );
    check_route(
        "match = \"/a\"\nmock = \"hello\"",
        &["5:8: expected a table, found a string | write `mock = { … }`"],
    );
    check_route(
        "match = \"/a\"\nmock.headers.x = 1",
        &["5:18: expected a string, found an integer | write it in quotes"],
    );
    check_route(
        "match = \"/a\"\nurl = \"http://a\"\ncache = 60",
        &["6:9: expected a duration with a unit, or a table, found an integer | write `\"60s\"`"],
    );
    check_route(
        "match = \"/a\"\nurl = \"http://a\"\nthrottle = \"1/s\"",
        &[
            "6:12: expected a table or an array of tables, found a string | write `throttle = { rate = \"100/s\" }`",
        ],
    );
}

#[test]
fn units_and_ranges() {
    check("[node]\ndrain = \"30\"", &["2:9: `30` has no unit | write `30s`"]);
    check("[node]\ndrain = \"30sec\"", &["2:9: `30sec` has a unit that is not known | write `30s`"]);
    check(
        "[node]\nwatch = \"yes\"",
        &["2:9: expected `true` or `false`, found a string | write `watch = true`"],
    );
    check("[node]\ndrain = \"2h\"", &["2:9: `2h` is out of range | write something from `0s` to `1h`"]);
    check(
        "[node]\nmemory_max = \"1MiB\"",
        &[
            "2:14: `1MiB` is less than a node needs that has nothing to do | write `32MiB` or more, or `0B` for no bound",
        ],
    );
    check("[node]\nworkers = 0", &["2:11: `0` is out of range | write something from `1` to `1024`"]);
    check("[node]\nworkers = -1", &["2:11: `-1` is out of range | write something from `1` to `1024`"]);
    check(
        "[node]\nworkers = 0x10000000000000000",
        &["2:11: `0x10000000000000000` is out of range | write something from `1` to `1024`"],
    );
    check("[cache]\nsize = \"64kb\"", &["2:8: `64kb` has a unit that is not known | write `64KB`"]);
    check("[cache]\nsize = \"1B\"", &["2:8: `1B` is out of range | write something from `1MiB` to `1TiB`"]);
    check("[throttle]\nrate = \"100\"", &["2:8: `100` is no rate | write `100/s`"]);
    check(
        "[throttle]\nrate = \"-1/s\"",
        &["2:8: `-1/s` is no rate | write a number and a unit: `100/s`, `30/m` or `1000/h`"],
    );
    check(
        "[throttle]\nrate = \"1/s\"\nburst = -1",
        &["3:9: `-1` is out of range | write something from `0` to `1000000000`"],
    );
    check("[node]\ndriver = \"urin\"", &["2:10: `urin` is not known here | did you mean `uring`?"]);
    check("[node]\ndriver = \"x\"", &["2:10: `x` is not known here | write `auto`, `uring` or `epoll`"]);
    check_route(
        "match = \"/a\"\nurl = \"http://a\"\ncache = \"2h\"",
        &["6:9: `2h` is out of range | write something from `0s` to `1h`"],
    );
    check_route(
        "match = \"/a\"\nurl = \"http://a\"\ncache.ttl = \"3601s\"",
        &["6:13: `3601s` is out of range | write something from `0s` to `1h`"],
    );
    check_route(
        "match = \"/a\"\nmock.status = 199",
        &["5:15: `199` is out of range | write something from `200` to `599`"],
    );
}

#[test]
fn missing_keys() {
    check(
        "[demo]",
        &["1:1: `address` is missing | add `address = \"127.0.0.1:8443\"`: Where it listens, loopback only."],
    );
    check(
        "[[certificate]]\nchain = \"c\"",
        &["1:1: `key` is missing | add `key = \"path/to/file\"`: The private key in PEM."],
    );
    check(
        "[demo]\nadress = \"127.0.0.1:1\"",
        &["2:1: unknown key `adress` in `demo` | did you mean `address`?"],
    );
    check(
        "[throttle]",
        &[
            "1:1: `rate` is missing | add `rate = \"100/s\"`: Requests by time, on average; any decimal, `0/s` refuses all.",
        ],
    );
    check_route(
        "match = \"/a\"",
        &[
            "3:1: nothing answers this route | add `url = \"http://…\"`, `upstream = \"NAME\"` or `mock = { status = 200 }`",
        ],
    );
    check_route(
        "url = \"http://a\"",
        &[
            "3:1: `match` is missing | add `match = \"GET /orders/{id}\"`: Method and path; without a method, any. `{name}` is a segment, `{name+}` the rest; `$default`: what no other takes.",
        ],
    );
    check_api(
        "hosts = [\"a\"]",
        &[
            "1:1: the API has no routes | add `[[api.route]]` with `key` and `integration`, or `openapi = \"FILE\"`",
        ],
    );
    check_api(
        "hosts = [\"a\"]\n[[api.route]]\nkey = \"GET /\"",
        &["5:1: `integration` is missing | add `integration = { type = \"http_proxy\" }`: What answers."],
    );
    check(
        "[[api]]\nname = \"a\"\nkind = \"rest\"\nhosts = [\"a\"]\n[[api.route]]\nkey = \"GET /\"\nintegration.type = \"mock\"",
        &["1:1: a REST API needs a stage | add `[[api.stage]]` with `name = \"prod\"`"],
    );
}

#[test]
fn references() {
    check(
        "[upstream.x]\ntargets = [\"${BACKEND}\"]",
        &[
            "1:11: no route uses the upstream `x`",
            "2:12: the environment variable `BACKEND` is not set | set it, or write `${BACKEND:-default}`",
        ],
    );
    check(
        "[access_log]\ntarget = \"${file:none}\"",
        &["2:10: can't read `none`: no such file | paths are relative to the file that says them"],
    );
    check(
        "[access_log]\ntarget = \"${stageVariables.x}\"",
        &[
            "2:10: `${stageVariables.x}` is no reference | references are `${NAME}`, `${NAME:-default}` and `${file:path}`; write `$${` for a dollar sign and a brace",
        ],
    );
    check_route(
        "match = \"/a\"\nupstream = \"order\"",
        &["5:12: there is no upstream `order` | did you mean `orders`?"],
    );
    check_route(
        "match = \"/a\"\nupstream = \"x\"",
        &["5:12: there is no upstream `x` | add `[upstream.x]` with `targets = [\"http://…\"]`"],
    );
    check_route(
        "match = \"/a\"\nupstream = \"http://x\"",
        &["5:12: there is no upstream `http://x` | write `url = \"http://x\"`"],
    );
    check_api(
        "[[api.stage]]\nname = \"prod\"\n[[api.mapping]]\nhost = \"h\"\nstage = \"prd\"\n[[api.route]]\nkey = \"GET /\"\nintegration.type = \"mock\"",
        &["8:9: the API has no stage `prd` | did you mean `prod`?"],
    );
}

#[test]
fn addresses_and_names() {
    check(
        "[admin]\nlisten = \"0.0.0.0:9901\"",
        &[
            "2:10: `0.0.0.0:9901` is reachable from other machines | write a loopback address: `127.0.0.1:9901`",
        ],
    );
    check(
        "[demo]\naddress = \"192.0.2.1:1\"",
        &["2:11: `192.0.2.1:1` is reachable from other machines | write a loopback address: `127.0.0.1:1`"],
    );
    check(
        "[[listener]]\naddress = \":80\"",
        &[
            "2:11: `:80` is no IP address with a port | write `127.0.0.1:80` for this machine, `0.0.0.0:80` for all",
        ],
    );
    check(
        "[[listener]]\naddress = \"127.0.0.1:2\"\nname = \"a b\"",
        &["3:8: `a b` can't be a name | 1 to 128 letters, digits, `-`, `_` and `.`"],
    );
    check(
        "[endpoint]\nsuffix = \"https://example.net/\"",
        &["2:10: `https://example.net/` is no host name | write the name alone: `example.net`"],
    );
    for region in ["", "EU", "a.b"] {
        let help = "write lower-case letters, digits and `-`, such as `eu-central-1`";
        check(
            &format!("[endpoint]\nregion = \"{region}\""),
            &[&format!("2:10: `{region}` is no region | {help}")],
        );
    }
    for account in ["", "00000000000", "00000000000x"] {
        let help = "write twelve digits: `000000000000`";
        check(
            &format!("[endpoint]\naccount_id = \"{account}\""),
            &[&format!("2:14: `{account}` is no account | {help}")],
        );
    }
    check(
        "[templates]\nxml_to_json = 1",
        &["2:15: expected `true` or `false`, found an integer | write `xml_to_json = true`"],
    );
    check("[client]\nipv4_prefix = 33", &["2:15: `33` is out of range | write something from `0` to `32`"]);
    check(
        "[client]\ntrusted_proxies = [\"10.1.0.0/8\"]",
        &["2:20: `10.1.0.0/8` has bits behind its prefix | write `10.0.0.0/8`"],
    );
    check(
        "[[listener]]\naddress = \"127.0.0.1:2\"\nnames = []",
        &["3:9: a certificate needs a name | write `names = [\"localhost\"]`"],
    );
    check(
        "[[listener]]\naddress = \"127.0.0.1:2\"\nplain = true\nsecurity_policy = \"TLS_1_2\"",
        &["4:19: a plain listener has no TLS | leave it out, or leave out `plain`"],
    );
    check(
        "[[listener]]\naddress = \"127.0.0.1:2\"\nhttp2 = false\nhttp2_streams_max = 9",
        &["4:21: this listener has no HTTP/2 | leave it out, or leave out `http2`"],
    );
    check(
        "[[listener]]\naddress = \"127.0.0.1:2\"\nhttp2 = \"h2\"\nhttp2_streams_max = 0",
        &[
            "3:9: expected `true` or `false`, found a string | write `http2 = true`",
            "4:21: `0` is out of range | write something from `1` to `1000`",
        ],
    );
    check("[[certificate]]\nchain = \"\"\nkey = \"k\"", &["2:9: the path is empty or holds a zero byte"]);
    check_route(
        "match = \"/a\"\nurl = \"http://a\"\nhosts = [\"a:80\"]",
        &["6:10: `a:80` is no host name | write it without port and path: `a`"],
    );
    check_route(
        "match = \"/a\"\nurl = \"http://a\"\nhosts = []",
        &["6:9: no host is named | leave `hosts` out for every host"],
    );
    check(
        "[access_log]\nformat = \"a\\nb\"",
        &["2:10: `a\\nb` is not one line | write `\\\\n` for an escaped newline"],
    );
}

#[test]
fn care_of_upstreams() {
    let unused = "1:11: no route uses the upstream `x`";
    let check = |lines: &str, expected: &str| {
        check(&format!("[upstream.x]\ntargets = [\"http://a\"]\n{lines}"), &[unused, expected])
    };
    check("in_flight_max = 0", "3:17: `0` is out of range | write something from `1` to `16777216`");
    check("panic_threshold = 101", "3:19: `101` is out of range | write something from `0` to `100`");
    check("health = {}", "3:10: `path` is missing | add `path = \"/healthz\"`: Path and query asked for.");
    check("health.path = \"healthz\"", "3:15: `healthz` is no path | write `/healthz`");
    check(
        "health.path = \"/a b\"",
        "3:15: `/a b` can't be sent in a request | write `%20` for that character",
    );
    check(
        "health = { path = \"/\", timeout = \"6s\" }",
        "3:34: a probe may take longer than from one to the next | make `timeout` at most `interval`",
    );
    check(
        "health = { path = \"/\", interval = \"1s\" }",
        "3:35: a probe may take longer than from one to the next | make `timeout` at most `interval`",
    );
    let codes = "write codes from 100 to 599: `200`, `200-399` or `200,204`";
    for (text, part) in
        [("2xx", "2xx"), ("200-", "200-"), ("399-200", "399-200"), ("200,,204", ""), ("99", "99")]
    {
        check(
            &format!("outlier.status = \"{text}\""),
            &format!("3:18: `{part}` is no status and no range of them | {codes}"),
        );
    }
    check(
        "outlier.ejection = \"6m\"",
        "3:20: an address is left out longer at first than at most | make `ejection` at most `ejection_max`",
    );
    check(
        "outlier.consecutive_5xx = 5",
        "3:9: unknown key `consecutive_5xx` in `upstream.outlier` | did you mean `consecutive`?",
    );
    check("retries.budget = \"20%\"", "3:18: expected a whole number, found a string | write `budget = 1`");
    check("breaker.failures = 0", "3:20: `0` is out of range | write something from `1` to `100`");
}

#[test]
fn upstreams() {
    let unused = "1:11: no route uses the upstream `x`";
    let check = |lines: &str, expected: &str| check(&format!("[upstream.x]\n{lines}"), &[unused, expected]);
    check("targets = []", "2:11: an upstream needs a target | write `targets = [\"http://127.0.0.1:8080\"]`");
    check("targets = [\"a:80\"]", "2:12: `a:80` has no scheme | write `http://a:80`");
    check(
        "targets = [\"http://a/b\"]",
        "2:12: a target has no path, this one has `/b` | write `http://a` here, and the path in the route",
    );
    check(
        "targets = [\"http://a\", \"http://A:80\"]",
        "2:24: this target is there twice | leave one of them out",
    );
    check(
        "targets = [\"http://a\"]\nca = \"ca.pem\"",
        "3:6: no target of this upstream is called over TLS | write `https://` before the targets, or leave it out",
    );
    check(
        "targets = [\"http://a\"]\nhost = \"a/b\"",
        "3:8: `a/b` is no host name | write it without port and path: `a`",
    );
    check(
        "targets = [\"http://a\"]\nconnect_timeout = \"0s\"",
        "3:19: `0s` is out of range | write something from `1ms` to `1h`",
    );
}

#[test]
fn routes() {
    check_route("match = \"GTE /a\"\nurl = \"http://a\"", &["4:9: `GTE` is no method | did you mean `GET`?"]);
    check_route(
        "match = \"orders\"\nurl = \"http://a\"",
        &["4:9: `orders` names no path | paths begin with a slash: `/orders`"],
    );
    check_route(
        "match = \"/{a+}/b\"\nurl = \"http://a\"",
        &["4:9: `/{a+}/b` goes on after `{a+}` | a greedy variable is the last segment; write `{a}` here"],
    );
    check_route(
        "match = \"/static/*\"\nurl = \"http://a\"",
        &["4:9: `/static/*` has a `*` | write `/static/{proxy+}`"],
    );
    check_route(
        "match = \"/a\"\nurl = \"http://a\"\nupstream = \"orders\"\nmock = {}",
        &["3:1: `upstream`, `url` and `mock` can't all answer | keep one of them"],
    );
    check_route(
        "match = \"/a/{id}\"\nupstream = \"orders\"\npath = \"/{idd}\"",
        &["6:8: `ANY /a/{id}` has no variable `idd` | did you mean `{id}`?"],
    );
    check_route(
        "match = \"/a/{id}\"\nupstream = \"orders\"\npath = \"/b\"\nstrip_prefix = \"/a\"",
        &["7:16: `path` says the whole path: nothing is left to strip | leave out `path` or `strip_prefix`"],
    );
    check_route(
        "match = \"/a/{id}\"\nupstream = \"orders\"\nstrip_prefix = \"/b\"",
        &["6:16: no path of this route begins with `/b` | the route takes `/a/{id}`: write `/a` or less"],
    );
    check_route("match = \"/a\"\nmock = {}\npath = \"/b\"", &["6:8: a mock calls no backend | leave it out"]);
    check_route("match = \"/a\"\nmock = {}\nhttp2 = true", &["6:9: a mock calls no backend | leave it out"]);
    check_route(
        "match = \"/a\"\nupstream = \"orders\"\nhttp2 = true",
        &["6:9: the upstream says how it is called | write `http2` into its `[upstream.NAME]`"],
    );
    check_route(
        "match = \"/a\"\nmock.headers.Content-Length = \"3\"",
        &["5:31: `Content-Length` is set by the gateway | leave it out"],
    );
    check_route(
        "match = \"/a\"\nmock.headers.x = \"a\\nb\"",
        &["5:18: `a\\nb` can't be the value of a header | write it on one line, without control characters"],
    );
    check_route(
        "match = \"$default\"\nhosts = [\"h\"]\nurl = \"http://a/v1\"",
        &[
            "6:7: `$default` has no path that the URL's could stand before | write `match = \"/{proxy+}\"`, which takes all paths",
        ],
    );
    check_route(
        "match = \"/o\"\nurl = \"http://a\"",
        &["6:1: two routes are `ANY /o` | the first is at f.toml:3:1"],
    );
    check_route(
        "match = \"/a/{x}\"\nurl = \"http://a\"\n[[route]]\nmatch = \"/a/{y}\"\nurl = \"http://a\"",
        &["6:1: two routes are `ANY /a/{y}` | the first is at f.toml:3:1"],
    );
    check_route(
        "match = \"/a\"\nurl = \"http://a\"\nhosts = [\"a\", \"b\"]\n[[route]]\nmatch = \"/a\"\nurl = \"http://a\"\nhosts = [\"b\"]",
        &[
            "10:9: routes of different `hosts` are reached by b at `/` | the first is at f.toml:6:9: give each hosts or a base path of its own",
        ],
    );
}

#[test]
fn policies() {
    let check = |lines: &str, expected: &str| {
        check_route(&format!("match = \"GET /a/{{id}}\"\nupstream = \"orders\"\n{lines}"), &[expected])
    };
    check(
        "throttle = [{ rate = \"1/s\" }, { rate = \"2/s\" }]",
        "6:31: two throttles are per `all` | the first is at f.toml:6:13: keep the stricter one",
    );
    check(
        "throttle = { rate = \"1/s\", per = \"ip\" }",
        "6:34: `ip` is not known here | write `all` or `client`",
    );
    check(
        "cache.key = [\"path.idd\"]",
        "6:14: `GET /a/{id}` has no variable `idd` | did you mean `path.id`?",
    );
    check(
        "cache.key = [\"query.x\"]",
        "6:14: `query.x` can't be part of a cache key | write `querystring.x`, `header.x` or `path.x`",
    );
    check(
        "cache.key = [\"headers.x\"]",
        "6:14: `headers.x` can't be part of a cache key | did you mean `header.x`?",
    );
    check(
        "cache.key = [\"x\"]",
        "6:14: `x` can't be part of a cache key | write `querystring.x`, `header.x` or `path.x`",
    );
    check("cache.methods = [\"GTE\"]", "6:18: `GTE` is no method | did you mean `GET`?");
    check(
        "cache = \"respect-origins\"",
        "6:9: `respect-origins` is not a duration | write a number and a unit: `250ms`, `30s`, `5m` or `1h`",
    );
    check(
        "cache.mode = \"respect\"",
        "6:14: `respect` is not known here | write `fixed` or `respect-origin`",
    );
    check(
        "cache = { mode = \"respect-origin\", ttl = \"9s\" }",
        "6:42: `ttl` does not go with `mode = \"respect-origin\"` | leave `ttl` out: the backend says it of each response",
    );
    check(
        "cache.body_max = \"1GiB\"",
        "6:18: a body may be longer than the node's whole cache of `64MiB` | write at most `64MiB`, or raise `size` of `[cache]`",
    );
    check("limits.body = 3", "6:15: expected a size with a unit, found an integer | write `\"3B\"`");
    check("limits.target = \"1MiB\"", "6:17: `1MiB` is out of range | write something from `16B` to `32KiB`");
}

/// The same for a kernel front line with these lines, which begin at line 3.
#[track_caller]
fn check_ebpf(lines: &str, expected: &[&str]) {
    check(&format!("[ebpf]\ninterfaces = [\"eth0\"]\n{lines}\n"), expected);
}

#[test]
fn the_front_line() {
    check(
        "[ebpf]",
        &[
            "1:1: `interfaces` is missing | add `interfaces = [\"eth0\"]`: Network interfaces where packets are looked at; no other is touched.",
        ],
    );
    check(
        "[ebpf]\ninterfaces = []",
        &["2:14: no interface is named | name one that `ip link` shows, or leave `[ebpf]` out"],
    );
    check(
        "[ebpf]\ninterfaces = [\"eth0\", \"a/b\", \"..\", \"abcdefghijklmnop\"]",
        &[
            "2:23: `a/b` is no name of a network interface | write one that `ip link` shows: `eth0`",
            "2:30: `..` is no name of a network interface | write one that `ip link` shows: `eth0`",
            "2:36: `abcdefghijklmnop` is longer than the 15 bytes that an interface's name may have",
        ],
    );
    check("[ebpf]\ninterfaces = [\"a\", \"b\", \"a\"]", &["2:25: `a` is named twice"]);
    check_ebpf("mode = \"enforced\"", &["3:8: `enforced` is not known here | did you mean `enforce`?"]);
    check_ebpf(
        "driver = \"native\"",
        &["3:10: `native` is not known here | write `auto`, `xdp`, `generic`, `tcx`, `nftables` or `accept`"],
    );
    check_ebpf("trial = \"2h\"", &["3:9: `2h` is out of range | write something from `1s` to `1h`"]);
    check_ebpf(
        "[ebpf.feed]\nshare = 101",
        &["4:9: `101` is out of range | write something from `0` to `100`"],
    );
    check_ebpf(
        "[ebpf.feed]\nexpiry_min = \"2h\"",
        &["4:14: `2h` at first is longer than `1h` at most | make `expiry_min` at most `expiry_max`"],
    );
    check_ebpf(
        "[ebpf.feed]\nrefused = 0\nmalformed = 0\nhandshake = 0",
        &["4:11: nothing is an offence | leave `[ebpf.feed]` out"],
    );
}

#[test]
fn ports_of_the_front_line() {
    check_ebpf("ports = []", &["3:9: no port is named | write `ports = [443]`, or leave it out"]);
    check_ebpf("ports = 443", &["3:9: expected an array of whole numbers, found an integer | write `[443]`"]);
    check_ebpf(
        "ports = [\"443\"]",
        &["3:10: expected a whole number, found a string | write `ports = [443]`"],
    );
    check_ebpf(
        "ports = [0, 65536]",
        &[
            "3:10: `0` is out of range | write something from `1` to `65535`",
            "3:13: `65536` is out of range | write something from `1` to `65535`",
        ],
    );
    check_ebpf(
        "ports = [1, 2, 1]",
        &["3:16: the port `1` is named twice | the first is at f.toml:3:10: keep one of them"],
    );
    check_ebpf(
        "ports = [443]\n[[ebpf.policy]]\nports = [80, 443]\n[[ebpf.policy]]\nports = [80]",
        &[
            "5:14: the port `443` is named twice | the first is at f.toml:3:10: keep one of them",
            "7:10: the port `80` is named twice | the first is at f.toml:5:10: keep one of them",
        ],
    );
    check_ebpf(
        "ports = [22]",
        &[
            "3:10: `22` is an admin port: everything for it passes | take it out of `ports`, or write `admin_ports` without it",
        ],
    );
    check(
        "[admin]\nlisten = \"127.0.0.1:9\"\n[ebpf]\ninterfaces = [\"a\"]\nadmin_ports = []\nports = [22, 9]",
        &["6:14: `9` is the admin listener's: everything for it passes | take it out of `ports`"],
    );
    check_ebpf(
        "[[ebpf.policy]]",
        &["3:1: `ports` is missing | add `ports = [443]`: TCP ports that it is for."],
    );
    check_ebpf(
        "policy.ports = [1]",
        &["3:1: `ebpf.policy` is an array of tables | write `[[ebpf.policy]]` with two brackets"],
    );
}

#[test]
fn limits_of_the_front_line() {
    check_ebpf(
        "syns = {}",
        &[
            "3:8: `rate` is missing | add `rate = \"100/s\"`: Of a narrow prefix by time, on average; at least `1/h`.",
        ],
    );
    check_ebpf(
        "syns = { rate = \"0/s\" }\nflood = \"0.5/h\"",
        &[
            "3:17: `0/s` lets hardly anything pass | write at least `1/h`; what shall not pass at all goes into `block`",
            "4:9: `0.5/h` lets hardly anything pass | write at least `1/h`; what shall not pass at all goes into `block`",
        ],
    );
    check_ebpf(
        "packets = { rate = \"2/s\", prefix_rate = \"1/s\" }",
        &["3:41: a wide prefix may bring less than a narrow one in it | make `prefix_rate` at least `rate`"],
    );
    check_ebpf(
        "syns = { rate = \"2/s\", burst = 0 }",
        &["3:32: `0` is out of range | write something from `1` to `1000000`"],
    );
    check_ebpf(
        "prefixes = { ipv4 = [32], ipv6 = [48, 64] }",
        &[
            "3:21: this is not the length of a narrow prefix and of a wide one | write two numbers, the greater one first: `[32, 24]`",
            "3:34: this is not the length of a narrow prefix and of a wide one | write two numbers, the greater one first: `[32, 24]`",
        ],
    );
    check_ebpf(
        "prefixes.ipv4 = [33, 24]",
        &["3:18: `33` is out of range | write something from `1` to `32`"],
    );
    check_ebpf(
        "allow = [\"10.0.0.0/8\", \"1.2.3.4\"]\nblock = [\"1.2.3.0/24\", \"::ffff:1.2.3.4\", \"10.0.0.1/8\"]",
        &["4:42: `10.0.0.1/8` has bits behind its prefix | write `10.0.0.0/8`"],
    );
    check_ebpf(
        "allow = [\"10.0.0.0/8\", \"1.2.3.4\"]\nblock = [\"10.1.0.0/16\", \"::ffff:1.2.3.4\"]",
        &[
            "4:25: `::ffff:1.2.3.4/128` is allowed and blocked | the other is at f.toml:3:24: keep one of them",
        ],
    );
    check_ebpf(
        "mode = \"challenge\"\ndriver = \"nftables\"",
        &[
            "3:8: a challenge needs XDP, which this `driver` is not | write `enforce`, or a `driver` of `auto`, `xdp` or `generic`",
        ],
    );
    check_ebpf(
        "driver = \"accept\"\n[[ebpf.policy]]\nports = [1]\nmode = \"challenge\"",
        &[
            "6:8: a challenge needs XDP, which this `driver` is not | write `enforce`, or a `driver` of `auto`, `xdp` or `generic`",
        ],
    );
    let policies: String = (1..=15).map(|port| format!("[[ebpf.policy]]\nports = [{port}]\n")).collect();
    check_ebpf(&policies, &["31:1: there may be 14 policies beside that of `[ebpf]`"]);
}

#[test]
fn cors() {
    let check = |lines: &str, expected: &str| check(&format!("[cors]\n{lines}"), &[expected]);
    check(
        "allow_origins = [\"*\"]\nallow_credentials = true",
        "3:21: credentials may not be allowed to every origin | name the origins instead of `*`, or leave out `allow_credentials`",
    );
    check(
        "allow_origins = [\"https://a/\"]",
        "2:18: `https://a/` is no origin: it has a path | write `https://a`",
    );
    check("allow_origins = [\"a.example\"]", "2:18: `a.example` is no origin | write `http://a.example`");
    check(
        "allow_origins = [\"*\"]\nmax_age = \"48h\"",
        "3:11: `48h` is out of range | write whole seconds from `0s` to `24h`, or `-1s` for not at all",
    );
    check(
        "allow_origins = [\"*\"]\nallow_methods = [\"get\"]",
        "3:18: `get` is no method | did you mean `GET`?",
    );
    check(
        "allow_origins = [\"*\"]\nallow_headers = [\"a b\"]",
        "3:18: `a b` can't be the name of a header | a token of letters, digits and `-`, such as `x-request-id`",
    );
}

#[test]
fn apis() {
    const ROUTE: &str = "[[api.route]]\nkey = \"GET /\"\nintegration.type = \"mock\"";
    let check_api = |lines: &str, expected: &str| check_api(&format!("{lines}\n{ROUTE}"), &[expected]);
    check_api("base_path = \"/v1/\"\nhosts = [\"a\"]", "4:13: `/v1/` has a slash at an end | write `v1`");
    check_api(
        "base_path = \"a b\"\nhosts = [\"a\"]",
        "4:13: `a b` has a ` ` in it | letters, digits, `$ - _ . + ! * ' ( )` and single slashes between segments",
    );
    check_api(
        "hosts = [\"a\", \"a\"]",
        "4:9: two APIs are reached by a at `/` | the first is at f.toml:4:9: give each hosts or a base path of its own",
    );
    check_api(
        "",
        "1:1: two APIs are reached by every host at `/` | the first is at f.toml:11:1: give each hosts or a base path of its own",
    );
    check_api(
        "hosts = [\"a\"]\n[[api.mapping]]\nhost = \"b\"",
        "4:9: `[[api.mapping]]` says where the API is reached | keep one of them",
    );
    check_api(
        "hosts = [\"a\"]\n[[api.stage]]\nname = \"a b\"",
        "6:8: `a b` can't be the name of a stage | 1 to 128 letters, digits, `-` and `_`",
    );
    check_api(
        "hosts = [\"a\"]\n[[api.stage]]\nname = \"a\"\n[[api.stage]]\nname = \"a\"",
        "7:1: two stages are `a` | the first is at f.toml:5:1",
    );
    check_api(
        "hosts = [\"a\"]\n[[api.route]]\nkey = \"/a\"\nintegration.type = \"mock\"",
        "6:7: `/a` names no method | write `ANY /a`",
    );
    check_api(
        "hosts = [\"a\"]\n[[api.route]]\nkey = \"GET /a\"\nintegration = { type = \"mock\", url = \"http://a\" }",
        "7:38: `mock` calls no backend | leave it out, or change `type`",
    );
    check_api(
        "hosts = [\"a\"]\n[[api.route]]\nkey = \"GET /a\"\nintegration = { type = \"http_proxy\", url = \"http://a\", body = \"\" }",
        "7:63: `http_proxy` returns the backend's answer | leave it out, or change `type`",
    );
    check_api(
        "hosts = [\"a\"]\n[[api.route]]\nkey = \"GET /a\"\nintegration = { type = \"http_proxy\" }",
        "7:15: no backend is named | write one of `url = \"http://…\"` and `upstream = \"NAME\"`",
    );
    check_api(
        "hosts = [\"a\"]\n[[api.route]]\nkey = \"GET /a\"\nintegration = { type = \"http_proxy\", url = \"http://a/\", path = \"/b\" }",
        "7:64: the URL says the whole path | write the path into `url`, or name an `upstream`",
    );
    check_api(
        "hosts = [\"a\"]\n[[api.route]]\nkey = \"GET /a\"\nintegration = { type = \"http_proxy\", url = \"http://a/{x}\" }",
        "7:44: `GET /a` has no variable `x` | variables stand in braces in the route's own path: `/pets/{id}`",
    );
    check_api(
        "hosts = [\"a\"]\n[[api.route]]\nkey = \"GET /a\"\nintegration = { type = \"htp_proxy\" }",
        "7:24: `htp_proxy` is not known here | did you mean `http_proxy`?",
    );
    check(
        &format!("[[api]]\nname = \"default\"\nkind = \"http\"\nhosts = [\"a\"]\n{ROUTE}"),
        &[
            "2:8: `default` can't be the name of an API | `default` is the API of all `[[route]]`s: choose another name",
        ],
    );
    check(
        &format!("[[api]]\nname = \"a\"\nkind = \"rset\"\nhosts = [\"a\"]\n{ROUTE}"),
        &["3:8: `rset` is not known here | did you mean `rest`?"],
    );
    check(
        &format!(
            "[[api]]\nname = \"a\"\nkind = \"http\"\nhosts = [\"a\"]\n{ROUTE}\n[[api]]\nname = \"a\"\nkind = \"http\"\nhosts = [\"b\"]\n{ROUTE}"
        ),
        &[
            "8:1: two APIs are `a` | the first is at f.toml:1:1",
            "12:1: two routes are `GET /` | the first is at f.toml:5:1",
        ],
    );
    check(
        &format!(
            "[[api]]\nname = \"a\"\nkind = \"rest\"\nhosts = [\"a\"]\n[[api.stage]]\nname = \"$default\"\n{ROUTE}"
        ),
        &[
            "6:8: `$default` can't be the name of a stage | a REST API has no `$default` stage: choose a name such as `prod`",
        ],
    );
}

#[test]
fn warnings_do_not_stop() {
    let check = |text: &str, expected: &[&str]| {
        let outcome = read(text);
        let lines: Vec<_> = outcome.diagnostics.iter().map(line).collect();
        assert_eq!(lines, expected);
        assert!(outcome.model.is_some());
    };
    check(
        "",
        &[
            "no `[[listener]]`: listening on 127.0.0.1:8443 with TLS | add `[[listener]]` with `address = \"127.0.0.1:8443\"`",
            "no `[[route]]` and no `[[api]]`: every request is answered 404 | add `[[route]]` with `match = \"$default\"` and `url = \"http://…\"`",
        ],
    );
    check(
        "[[listener]]\naddress = \"127.0.0.1:1\"\n[[route]]\nmatch = \"POST /\"\nurl = \"http://a\"\ncache = \"1s\"",
        &[
            "f.toml:6:9: nothing is cached: the route takes POST alone | add `methods = [\"POST\"]`, or leave `cache` out",
        ],
    );
    check(
        &format!("[ebpf]\ninterfaces = [\"a\"]\ndriver = \"tcx\"\nmode = \"challenge\"{REST}"),
        &[
            "f.toml:4:8: tcx can't answer: the kernel's own cookies do | write `enforce`, or a `driver` of `auto`, `xdp` or `generic`",
        ],
    );
}

#[test]
fn mistakes_are_counted_but_not_all_shown() {
    let outcome = read(&"[[route]]\nmatch = 1\nurl = \"http://a\"\n".repeat(600));
    assert_eq!(outcome.diagnostics.len(), 501);
    // 600 routes, and the warning that there is no listener.
    assert_eq!(outcome.diagnostics.last().map(line).as_deref(), Some("101 more mistakes are not shown"));
}

#[test]
fn rendered_as_rustc_does() {
    let outcome = read(
        "[node]\n# ü\ndrain = \"30\" # ü\n[[listener]]\naddress = \"127.0.0.1:1\"\n[[route]]\nmatch = \"/\"\nurl = \"http://a\"\n",
    );
    let rendered = crate::render(&outcome.diagnostics, &outcome.sources, false);
    let expected = "error: `30` has no unit
 --> f.toml:3:9
  |
3 | drain = \"30\" # ü
  |         ^^^^ node.drain
  |
  = help: write `30s`

";
    assert_eq!(rendered, expected);
    assert!(crate::render(&outcome.diagnostics, &outcome.sources, true).contains("\u{1b}["));
}

#[test]
fn columns_count_characters() {
    let outcome = read("\u{feff}node = { \"ü\" = 1, drain = 1 }");
    let lines: Vec<_> = outcome.diagnostics.iter().map(line).collect();
    assert!(
        lines.contains(
            &"f.toml:1:28: expected a duration with a unit, found an integer | write `\"1s\"`".to_owned()
        ),
        "{lines:?}"
    );
    let rendered = crate::render(&outcome.diagnostics, &outcome.sources, false);
    assert!(rendered.contains("f.toml:1:28"), "{rendered}");
}

proptest! {
    /// Whatever stands in a file, it is read or refused, and said why.
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}|([a-z\\[\\]{}=\"'.,\\n ${}#0-9]{0,12}){0,20}") {
        whole(&text);
    }

    /// Keys that there are, with values of all kinds.
    #[test]
    fn any_values_are_read_or_refused(lines in proptest::collection::vec((key(), value()), 0..12)) {
        let text: String = lines.iter().map(|(key, value)| {
            if key.starts_with('[') { format!("{key}\n") } else { format!("{key} = {value}\n") }
        }).collect();
        whole(&text);
    }
}

fn whole(text: &str) {
    crate::properties::any_file(text.as_bytes());
    let environment = Table::default().file("f.toml", text).variable("A", "b");
    let outcome = crate::load("f.toml".as_ref(), &environment);
    let dumped = crate::dump("f.toml".as_ref(), &environment, true).ok();
    if let (Some(dumped), Some(model)) = (dumped, outcome.model) {
        let environment = Table::default().file("f.toml", &dumped).variable("A", "b");
        let again = crate::load("f.toml".as_ref(), &environment).model;
        assert_eq!(again.map(meant), Some(meant(model)), "{text}\n{dumped}");
    }
    assert_eq!(
        crate::render(&outcome.diagnostics, &outcome.sources, true).is_empty(),
        outcome.diagnostics.is_empty()
    );
}

fn key() -> impl Strategy<Value = String> {
    let sections = [
        "[node]",
        "[[route]]",
        "[upstream.x]",
        "[[api]]",
        "[[api.route]]",
        "[[api.stage]]",
        "[cors]",
        "[[listener]]",
        "[cache]",
        "[ebpf]",
        "[[ebpf.policy]]",
        "[ebpf.feed]",
        "[route.cache]",
        "[[route.throttle]]",
        "[[api.mapping]]",
        "[limits]",
        "[x]",
        "[route.mock]",
    ];
    let mut keys: Vec<String> = sections.iter().map(|it| (*it).to_owned()).collect();
    let mut todo = vec![&crate::ROOT];
    while let Some(section) = todo.pop() {
        keys.extend(section.names().map(str::to_owned));
        todo.extend(section.keys.iter().filter_map(crate::Key::section));
    }
    proptest::sample::select(keys)
}

fn value() -> impl Strategy<Value = String> {
    let values = [
        "1",
        "-1",
        "1.5",
        "nan",
        "true",
        "1979-05-27",
        "[]",
        "{}",
        "\"\"",
        "\"30s\"",
        "\"1/s\"",
        "\"64KiB\"",
        "[\"a\"]",
        "[1, {}]",
        "[32, 24]",
        "[443]",
        "\"GET /{a}\"",
        "\"http://a/{a}\"",
        "\"https://b\"",
        "\"${A}\"",
        "\"${\"",
        "\"$default\"",
        "\"x\"",
        "[\"http://a\"]",
        "\"127.0.0.1:1\"",
        "{ type = \"mock\" }",
        "{ type = \"http_proxy\", url = \"http://a/{b}\" }",
        "{ rate = \"1/s\" }",
        "[{ rate = \"1/s\" }]",
        "\"rest\"",
        "\"http\"",
        "{ status = 200 }",
        "\"*\"",
        "[\"*\"]",
        "\"ü\"",
    ];
    proptest::sample::select(values.map(str::to_owned).to_vec())
}
