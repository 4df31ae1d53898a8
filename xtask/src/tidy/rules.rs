//! What is allowed, as data. A change here is a change of the floor plan: ARCHITECTURE.md changes with it.

/// Who may know whom, one step; a longer way is allowed where these steps lead. Rooms that stand here with nothing
/// are leaves.
pub(super) const EDGES: &[(&str, &[&str])] = &[
    // The binary alone knows everybody.
    (
        "proxy",
        &["shard", "control", "source", "cloudformation", "openapi", "snapshot", "model", "l4", "store"],
    ),
    // One core, all of its waiting.
    ("shard", &["exchange", "wire", "tls", "runtime", "gate"]),
    // One request, all of its order.
    ("exchange", &["snapshot", "telemetry"]),
    // The one meeting place of what was written and what runs; it compiles log templates into telemetry's form.
    ("snapshot", &["progress", "model", "router", "policy", "integration", "balance", "tls", "telemetry"]),
    // Sums the cores when it is asked.
    ("control", &["telemetry"]),
    // Intent: nobody here knows how it runs.
    ("source", &["cloudformation", "openapi", "model"]),
    ("cloudformation", &["openapi", "model"]),
    ("openapi", &["progress", "model"]),
    // Mechanism: nobody here knows what was written.
    ("router", &["message"]),
    ("policy", &["schema", "message"]),
    // Mappings render templates.
    ("integration", &["message", "template"]),
    ("wire", &["message"]),
    // Access logs speak `$context`, as messages do.
    ("telemetry", &["message"]),
    ("message", &[]),
    // The kernel front line: its tables and its decision are shared with the programs in the kernel.
    ("l4", &["gate"]),
    ("gate", &[]),
    // Bytes under names, on disk.
    ("store", &[]),
    // Numbers in, decisions out.
    ("balance", &[]),
    // Text in, text out.
    ("template", &[]),
    ("schema", &[]),
    ("model", &[]),
    // Counts, for whoever looks.
    ("progress", &[]),
    ("runtime", &[]),
    ("tls", &[]),
    // How we know: outside the house.
    ("harness", &[]),
    ("blackbox", &["harness"]),
    ("flood", &["harness"]),
    ("micro", &["wire", "router", "policy", "balance", "template", "schema", "message"]),
    ("runtimes", &["runtime"]),
    ("xtask", &[]),
];

/// Packages that only some rooms may use, so that builds stay small and each subject has one place.
pub(super) const FENCES: &[(&str, &[&str])] = &[
    ("rustls", &["tls", "control"]),
    ("rcgen", &["tls"]),
    ("x509-parser", &["tls"]),
    ("webpki-roots", &["tls", "control"]),
    // `xtask` and `harness` read TOML of their own: deny.toml and scenarios.
    ("toml", &["source", "xtask", "harness"]),
    ("toml_edit", &["source"]),
    ("saphyr-parser", &["openapi"]),
    ("serde", &["source"]),
    ("annotate-snippets", &["source"]),
    ("aya", &["l4"]),
    ("redb", &["store"]),
    ("io-uring", &["runtime", "runtimes"]),
    ("libc", &["runtime"]),
    ("socket2", &["runtime", "proxy"]),
    ("tokio", &["control"]),
    ("hyper", &["control"]),
    ("hyper-util", &["control"]),
    ("hickory-resolver", &["control"]),
    ("fancy-regex", &["schema"]),
    ("regex-automata", &["schema"]),
    ("httparse", &["wire", "runtimes"]),
    ("hdrhistogram", &["telemetry"]),
    ("clap", &["proxy", "xtask"]),
    // Bars are drawn for who waits at a terminal, far from any request.
    ("indicatif", &["proxy"]),
    ("anyhow", &["proxy", "xtask", "runtimes", "flood"]),
    ("cargo_metadata", &["xtask"]),
    ("monoio", &["runtimes"]),
    ("tokio-uring", &["runtimes"]),
];

/// Packages that the gateway is measured with or against, and never built with, however deep.
pub(super) const NOT_IN_THE_GATEWAY: &[(&str, &str)] = &[
    ("monoio", "benches/runtimes measures it: no release since 2024, a read that is dropped loses bytes"),
    ("tokio-uring", "benches/runtimes measures it: nobody maintains it"),
    ("gungraun", "benches/micro counts with it"),
    ("criterion", "benches/micro measures with it"),
];

/// How the reason of a second version begins that only a bench needs.
pub(super) const BENCH_ONLY: &str = "benches/";

/// Rooms that may contain `unsafe`, with lints of their own instead of the workspace's.
pub(super) const UNSAFE_ROOMS: &[(&str, &str)] = &[
    ("proxy/runtime", "rings and sockets are the kernel's memory"),
    ("ebpf/prog", "frames and tables are, too, and its verifier reads each access"),
];

/// Lints that a room with `unsafe` must set itself.
pub(super) const UNSAFE_ROOM_LINTS: &[&str] = &["unsafe_op_in_unsafe_fn", "undocumented_unsafe_blocks"];

/// Files look again at this many lines.
pub(super) const LINES_MAX: usize = 600;

/// Files that are longer, and why.
pub(super) const LONG_FILES: &[(&str, &str)] = &[(
    "config/source/src/tests/mistakes.rs",
    "a table of mistakes and what is said to each; it grows by rows",
)];

/// A tracked file is text below this size.
pub(super) const FILE_BYTES_MAX: usize = 256 << 10;

/// What fuzz targets begin with and came upon: bytes of any kind.
pub(super) const CORPORA: &str = "tests/fuzz/corpus/";

/// Tracked files that are bigger or not text, and why.
pub(super) const STRAY_ALLOWED: &[(&str, &str)] = &[(
    "ebpf/floodgate.o",
    "building it takes a compiler that few have; `cargo xtask ebpf --check` compares it",
)];

/// Endings that editors, patches and builds leave behind.
pub(super) const STRAY_ENDINGS: &[&str] =
    &[".orig", ".rej", ".log", ".swp", ".pyc", ".o", ".a", ".so", ".pcap", "~"];

/// Folders of one machine. Written in two halves, so that this file does not find itself.
pub(super) const MACHINE_PATHS: &[&str] =
    &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
