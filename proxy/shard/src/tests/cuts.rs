//! However bytes are cut, the outcome is the same: what the backend is asked, and what the client is told (rule S1).

use super::harness::{Setup, bytes, run};

/// What went over the wires: requests and their fields, responses, how each side ended.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    asked: Vec<(String, Vec<(String, String)>)>,
    told: Vec<String>,
}

/// Sends `sent` in two runs; the backend answers each request with `said`, in two runs too.
fn play(sent: &[u8], cut: usize, said: &[u8], said_cut: usize) -> Outcome {
    let mut outcome = Outcome { asked: Vec::new(), told: Vec::new() };
    run(Setup::default(), async |lab| {
        let mut client = lab.connect(0).await;
        client.send(&sent[..cut]);
        lab.settle().await;
        client.send(&sent[cut..]);
        loop {
            lab.settle().await;
            lab.connections('A').await;
            let Some(backend) = lab.asked('A') else { break };
            let asked = backend.message(false).await;
            outcome.asked.push((asked, backend.fields().to_vec()));
            backend.send(&said[..said_cut]);
            lab.settle().await;
            if let Some(backend) = lab.last('A') {
                backend.send(&said[said_cut..]);
            }
        }
        client.finish();
        loop {
            let told = client.message(false).await;
            let ended = told.ends_with("fin") || told.ends_with("reset");
            outcome.told.push(told);
            if ended {
                break;
            }
        }
    });
    outcome
}

/// Every cut of the request, then every cut of the response.
#[track_caller]
fn check(sent: &str, said: &str, asked: &[&str], told: &[&str]) {
    let (sent, said) = (bytes(sent), bytes(said));
    let whole = play(&sent, sent.len(), &said, said.len());
    let lines: Vec<_> = whole.asked.iter().map(|(line, _)| line.as_str()).collect();
    assert_eq!(
        (&lines[..], &whole.told[..]),
        (asked, &told.iter().map(ToString::to_string).collect::<Vec<_>>()[..])
    );
    for cut in 0..sent.len() {
        assert_eq!(play(&sent, cut, &said, said.len()), whole, "the request cut at {cut}");
    }
    for cut in 0..said.len() {
        assert_eq!(play(&sent, sent.len(), &said, cut), whole, "the response cut at {cut}");
    }
}

#[test]
fn requests_that_follow_one_another() {
    check(
        "POST /a HTTP/1.1|Host: h|Content-Length: 5||helloPOST /b HTTP/1.1|Host: h|Transfer-Encoding: chunked||\
         3|abc|2|de|0|T: u||GET /mock HTTP/1.1|Host: h|Accept: */*||GET /c HTTP/1.1|Host: h|Connection: close||",
        "HTTP/1.1 103 Early|Link: x||HTTP/1.1 200 OK|Transfer-Encoding: chunked||3|abc|2|de|0|T: u||",
        &["POST /a hello", "POST /b chunked abcde", "GET /c"],
        &[
            "103",
            "200 chunked abcde",
            "103",
            "200 chunked abcde",
            "200 mocked",
            "103",
            "200 chunked close abcde",
            "fin",
        ],
    );
}

#[test]
fn bodies_that_are_not_read() {
    check(
        "POST /mock HTTP/1.1|Host: h|Content-Length: 31||GET /poison HTTP/1.1|Host: h||GET /a HTTP/1.1|Host: h||",
        "HTTP/1.1 200 OK|Content-Length: 2||ok",
        &["GET /a"],
        &["200 mocked", "200 ok", "fin"],
    );
}

#[test]
fn what_is_no_request() {
    for (bad, told) in [
        ("GET /b HTTP/1.1|Host: h|Content-Length: 1|Transfer-Encoding: chunked||x", "400 close Bad Request"),
        ("GET /b HTTP/1.1|Host: h|A : b||", "400 close Bad Request"),
        ("GET /b HTTP/1.1|Host: h|A: b| c||", "400 close Bad Request"),
        ("GET /b HTTP/9.1|Host: h||", "505 close HTTP Version Not Supported"),
    ] {
        check(
            &format!("GET /a HTTP/1.1|Host: h||{bad}GET /poison HTTP/1.1|Host: h||"),
            "HTTP/1.1 204 No Content||",
            &["GET /a"],
            &["204", told, "fin"],
        );
    }
}

#[test]
fn what_is_no_response() {
    for bad in [
        "HTTP/1.1 200 OK|Content-Length: 1|Content-Length: 1||x",
        "HTTP/1.1 200 OK|Content-Length: 1|Transfer-Encoding: chunked||0||",
        "HTTP/1.1 101 Switching Protocols|Connection: upgrade|Upgrade: x||poison",
        "HTTP/3.1 200 OK||",
    ] {
        check("GET /a HTTP/1.1|Host: h||", bad, &["GET /a"], &["502 Bad Gateway", "fin"]);
    }
}
