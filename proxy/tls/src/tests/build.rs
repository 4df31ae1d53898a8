//! Settings: what is refused, what is warned of, and that every mistake is told at once.

use super::*;

/// What `build` says of these settings: its errors, or else its warnings; each must contain its line.
#[track_caller]
fn check(settings: &ServerSettings, expected: &[&str]) {
    let said: Vec<String> = match Server::build(settings, &Tickets::new(), now_unix_s()) {
        Ok((_, warnings)) => warnings.iter().map(Warning::to_string).collect(),
        Err(errors) => errors.iter().map(Error::to_string).collect(),
    };
    assert_eq!(said.len(), expected.len(), "{said:#?}");
    for (said, expected) in said.iter().zip(expected) {
        assert!(said.contains(expected), "{said}\ndoes not contain\n{expected}");
    }
}

/// One good certificate for `a.test`, changed by `change`.
fn one(change: impl FnOnce(&mut CertificateSettings)) -> ServerSettings {
    let mut settings = certificate(&["a.test"]);
    change(&mut settings);
    server_settings(vec![settings])
}

#[test]
fn a_good_certificate_has_nothing_to_say() {
    check(&one(|_| {}), &[]);
}

#[test]
fn unreadable_is_refused() {
    check(&server_settings(vec![]), &["at least one certificate"]);
    check(&one(|c| c.chain_pem.clear()), &["`a.test`: the chain cannot be read: it holds no PEM"]);
    check(&one(|c| c.chain_pem = b"nonsense".to_vec()), &["it holds no PEM certificate"]);
    check(&one(|c| c.chain_pem.truncate(100)), &["the chain cannot be read"]);
    check(&one(|c| c.chain_pem = pem("CERTIFICATE", "aGVsbG8=")), &["the chain cannot be read"]);
    check(&one(|c| c.key_pem.clear()), &["the private key cannot be read"]);
    check(&one(|c| c.key_pem = pem("PRIVATE KEY", "aGVsbG8=")), &["the private key cannot be read"]);
    check(
        &one(|c| std::mem::swap(&mut c.key_pem, &mut c.chain_pem)),
        &["the chain cannot be read", "the private key cannot be read"],
    );
}

fn pem(label: &str, base64: &str) -> Vec<u8> {
    format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n").into_bytes()
}

#[test]
fn what_clients_would_refuse_is_refused() {
    let now = now_unix_s();
    let other = certificate(&["a.test"]);
    check(&one(|c| c.key_pem = other.key_pem), &["does not belong to the first certificate"]);
    let expired = certificate_of(&["a.test"], now - 9 * DAY_S, now - DAY_S);
    check(&server_settings(vec![expired]), &["`a.test` expired on "]);
    let early = certificate_of(&["a.test"], now + DAY_S, now + 9 * DAY_S);
    check(&server_settings(vec![early]), &["`a.test` is not valid before "]);
    check(
        &one(|c| c.hosts = vec!["b.test".to_owned(), "a.test".to_owned()]),
        &["does not cover host `b.test`; it names a.test"],
    );
    check(&one(|c| c.hosts = vec!["*.a.test".to_owned()]), &["does not cover host `*.a.test`"]);
    check(&one(|c| c.hosts = vec!["a b".to_owned()]), &["`a b` is not a host name"]);
    check(&one(|c| c.hosts = vec!["127.0.0.1".to_owned()]), &["`127.0.0.1` is not a host name"]);
    check(&one(|c| c.hosts = vec!["*.*.test".to_owned()]), &["`*.*.test` is not a host name"]);
}

#[test]
fn a_wildcard_certificate_covers_one_label() {
    let hosts = |hosts: &[&str]| {
        let mut wild = certificate(&["*.a.test"]);
        wild.hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        server_settings(vec![wild])
    };
    check(&hosts(&["x.a.test", "*.A.test", "y.a.test."]), &[]);
    check(&hosts(&["a.test"]), &["does not cover host `a.test`"]);
    check(&hosts(&["x.y.a.test"]), &["does not cover host `x.y.a.test`"]);
}

#[test]
fn a_host_has_one_certificate() {
    let (mut first, mut second) = (certificate(&["a.test"]), certificate(&["b.test", "A.test"]));
    (first.name, second.name) = ("one".to_owned(), "two".to_owned());
    check(&server_settings(vec![first, second]), &["host `a.test` has two certificates, `one` and `two`"]);
}

#[test]
fn every_mistake_is_told() {
    let now = now_unix_s();
    let mut wrong = certificate_of(&["a.test"], now - 9 * DAY_S, now - DAY_S);
    wrong.hosts = vec!["b.test".to_owned()];
    wrong.key_pem = certificate(&["a.test"]).key_pem;
    let mut unreadable = certificate(&["c.test"]);
    unreadable.chain_pem.clear();
    unreadable.key_pem.clear();
    check(
        &server_settings(vec![wrong, unreadable]),
        &["expired", "does not cover", "does not belong", "the chain", "the private key"],
    );
}

#[test]
fn surprises_are_told() {
    let now = now_unix_s();
    let short = certificate_of(&["a.test"], now - DAY_S, now + 10 * DAY_S + 60);
    check(&server_settings(vec![short]), &["`a.test` expires in 10 days"]);
    check(&one(|c| c.policy = Some(SecurityPolicy::Tls1_0)), &["begins at TLS 1.2"]);
    check(&one(|c| c.policy = Some(SecurityPolicy::Tls13OnlyFips2025)), &["is not the validated one"]);
    check(
        &one(|c| c.chain_pem.extend(certificate(&["b.test"]).chain_pem)),
        &["certificate 0 of the chain was not issued by the one after it"],
    );
    check(&one(|c| c.chain_pem.extend(CA.pem().into_bytes())), &[]);
    check(&server_settings(vec![certificate(&["a.test"]), certificate(&[])]), &["names no host"]);
    check(&server_settings(vec![certificate(&["127.0.0.1"])]), &[]);
}

#[test]
fn the_ends_of_certificates_are_known() {
    let end = now_unix_s() + 60 * DAY_S;
    let server = server(vec![certificate_of(&["a.test"], end - 90 * DAY_S, end)]);
    assert_eq!(server.certificates().collect::<Vec<_>>(), [("a.test", end)]);
}

#[test]
fn keys_stay_out_of_logs() {
    let settings = one(|_| {});
    assert!(!format!("{settings:?}").contains("PRIVATE"));
}

/// Every AWS name: protocol versions, whether ChaCha20 is offered, key exchange groups.
#[test]
fn policies_are_as_named() {
    let (hybrid, classic) = ("X25519MLKEM768 secp256r1MLKEM768", "X25519 secp256r1 secp384r1");
    let nist = "secp256r1 secp384r1";
    let table: [(&str, &str, bool, String); 12] = [
        ("TLS_1_0", "1.3 1.2", true, format!("{hybrid} {classic}")),
        ("TLS_1_2", "1.3 1.2", true, format!("{hybrid} {classic}")),
        ("SecurityPolicy_TLS13_1_3_2025_09", "1.3", true, classic.to_owned()),
        ("SecurityPolicy_TLS13_1_3_FIPS_2025_09", "1.3", false, nist.to_owned()),
        ("SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09", "1.3 1.2", true, format!("{hybrid} {classic}")),
        ("SecurityPolicy_TLS13_1_2_FIPS_PQ_2025_09", "1.3 1.2", false, format!("{hybrid} {nist}")),
        ("SecurityPolicy_TLS13_1_2_FIPS_PFS_PQ_2025_09", "1.3 1.2", false, format!("{hybrid} {nist}")),
        ("SecurityPolicy_TLS13_1_2_PQ_2025_09", "1.3 1.2", true, format!("{hybrid} {classic}")),
        ("SecurityPolicy_TLS13_1_2_2021_06", "1.3 1.2", true, classic.to_owned()),
        ("SecurityPolicy_TLS13_2025_EDGE", "1.3", true, classic.to_owned()),
        ("SecurityPolicy_TLS12_PFS_2025_EDGE", "1.3 1.2", true, classic.to_owned()),
        ("SecurityPolicy_TLS12_2018_EDGE", "1.3 1.2", true, classic.to_owned()),
    ];
    assert!(SecurityPolicy::names().eq(table.iter().map(|row| row.0)));
    for (name, versions, chacha, groups) in table {
        let policy: SecurityPolicy = name.parse().unwrap();
        assert_eq!(policy.to_string(), name);
        let offered: Vec<_> = policy
            .versions()
            .iter()
            .map(|v| if v.version == rustls::ProtocolVersion::TLSv1_3 { "1.3" } else { "1.2" })
            .collect();
        assert_eq!(offered.join(" "), versions, "{name}");
        let provider = policy.provider();
        let suites: Vec<_> = provider.cipher_suites.iter().map(|s| format!("{:?}", s.suite())).collect();
        assert_eq!(suites.iter().any(|s| s.contains("CHACHA20")), chacha, "{name}");
        assert_eq!(suites.iter().any(|s| !s.starts_with("TLS13_")), versions.contains("1.2"), "{name}");
        assert!(suites.iter().all(|s| s.starts_with("TLS13_") || s.contains("ECDHE")), "{name}");
        let offered: Vec<_> = provider.kx_groups.iter().map(|g| format!("{:?}", g.name())).collect();
        assert_eq!(offered.join(" "), groups, "{name}");
    }
}

#[test]
fn an_unknown_policy_is_refused_with_the_known_ones() {
    for name in ["", "TLS_1_1", "tls_1_2", "SecurityPolicy_TLS13_1_3_2030_01"] {
        let said = name.parse::<SecurityPolicy>().unwrap_err().to_string();
        assert!(
            said.contains(&format!("`{name}`")) && said.contains("SecurityPolicy_TLS12_2018_EDGE"),
            "{said}"
        );
    }
}

#[test]
fn upstream_settings_are_checked() {
    let client = |ca_pem: &[u8]| {
        Client::build(&ClientSettings { ca_pem: Some(ca_pem.to_vec()), alpn: Vec::new() }).map(drop)
    };
    assert!(client(CA.pem().as_bytes()).is_ok());
    for bad in [&b""[..], b"nonsense", &pem("CERTIFICATE", "aGVsbG8="), &pem("CERTIFICATE", "!!!")] {
        let said = client(bad).unwrap_err().to_string();
        assert!(said.starts_with("the CA certificates for upstreams cannot be read"), "{said}");
    }
    assert!(Client::build(&ClientSettings::default()).is_ok());
}

/// By this a core knows after a change of configuration whether its sessions are still good.
#[test]
fn a_client_knows_what_it_was_built_from() {
    let settings = ClientSettings { ca_pem: Some(CA.pem().into()), alpn: vec![b"http/1.1".to_vec()] };
    let built = Client::build(&settings).unwrap();
    assert!(built.has_settings(&settings));
    assert!(built.for_core().has_settings(&settings) && built.is_same_build(&built.clone().for_core()));
    for other in [
        ClientSettings { ca_pem: None, ..settings.clone() },
        ClientSettings { alpn: Vec::new(), ..settings.clone() },
    ] {
        assert!(!built.has_settings(&other));
    }
    assert!(!built.is_same_build(&Client::build(&settings).unwrap()));
}

#[test]
fn a_client_needs_a_name() {
    for host in ["a.test", "127.0.0.1", "::1", "[::1]", "A.Test."] {
        assert!(Session::client(&client(), host).is_ok(), "{host}");
    }
    for host in ["", "a b", "a.test:443", "http://a.test", &"x".repeat(300)] {
        let error = Session::client(&client(), host).unwrap_err();
        assert!(matches!(error, Error::ServerName { .. }), "{host}: {error}");
    }
}
