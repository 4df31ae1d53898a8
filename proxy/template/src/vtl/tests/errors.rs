//! Mistakes with their places, and bounds with their names.

use super::*;

#[test]
fn mistakes_have_a_place_and_say_what_to_do() {
    check("a\n#if(true)\nb", "mistakes: 2:1: `#if` has no `#end`");
    check("#end", "mistakes: 1:1: nothing is open here that this could end or go on with");
    check("\n  #else", "mistakes: 2:3: nothing is open here that this could end or go on with");
    check("#foreach($i in $l)#else#end", "mistakes: 1:19: `#else` and `#elseif` belong into `#if … #end`");
    check("#set $x = 1", "mistakes: 1:1: `#set` needs parentheses: `#set(…)`; as text write `#[[#set]]#`");
    check("#set(x = 1)", "mistakes: 1:6: a variable is wanted: `#set($name = value)` is how it is written");
    check("#set($x 1)", "mistakes: 1:9: `=` is missing: `#set($name = value)` is how it is written");
    check(
        "#set($x = 1",
        "mistakes: 1:12: `#set(…)` is not closed: `)` is wanted, and there is the end of the template",
    );
    check("#set($x = 'a)", "mistakes: 1:11: the quote `'` is not closed");
    check(
        "#foreach($i of $l)#end",
        "mistakes: 1:13: `in` is missing: `#foreach($item in $list)` is how it is written",
    );
    check("${a.b", "mistakes: 1:6: `}` is missing: `${a` was opened with a brace");
    check(
        "$a[x]",
        "mistakes: 1:4: a value is wanted: $name, \"text\", a number, [list], {map}, true or false",
    );
    check("#* open", "mistakes: 1:1: the comment `#*` is not closed by `*#`");
    check("#[[ open", "mistakes: 1:1: the raw text `#[[` is not closed by `]]#`");
    check(
        "#include('x')",
        "mistakes: 1:1: `#include` reads files, and a mapping template has none; put the text here",
    );
    check(
        "#macro(m)#end#macro(m)#end",
        "mistakes: 1:21: there is a macro `m` already; give this one another name",
    );
    check(
        "#set($x = 99999999999999999999)",
        "mistakes: 1:11: `99999999999999999999` is too large for a number",
    );
    check(
        "é $input.json('$.a[')",
        "mistakes: 1:10: ['name'], [0], [1:3], [*] or [?(…)] is wanted, at character 5 of `$.a[`",
    );
    check(
        "#set($a = $s.matches('(?=x)'))",
        "mistakes: 1:14: the pattern `(?=x)` can't be used: look-around, including look-ahead and look-behind, is not supported",
    );
    check(
        "#set($a = \"x\n $input.path('$..') y\")",
        "mistakes: 2:9: a path must not end with `..`; what is wanted at every depth?, at character 4 of `$..`",
    );
}

#[test]
fn all_mistakes_are_told() {
    check(
        "#set(a = 1)\n$x.y(\n#if($a ==)\n$input.json('$.')\n#end\n",
        "mistakes: 1:6: a variable is wanted: `#set($name = value)` is how it is written\n\
         3:1: a value is wanted: $name, \"text\", a number, [list], {map}, true or false\n\
         3:10: a value is wanted: $name, \"text\", a number, [list], {map}, true or false\n\
         4:8: a name is missing after the `.`; put names with dots or spaces into ['…'], at character 3 of `$.`",
    );
    let many = "#end\n".repeat(100);
    assert_eq!(Template::compile(&many, &Settings::default()).unwrap_err().0.len(), MISTAKES_MAX);
}

/// What each bound says. The place is where it was reached.
#[test]
fn bounds_are_named() {
    let small = Settings {
        output_bytes_max: 100,
        iterations_max: 10,
        steps_max: 1_000,
        depth_max: 20,
        memory_bytes_max: 8 << 10,
        source_bytes_max: 400,
        ..Settings::default()
    };
    let check = |source: &str, expected: &str| {
        let (text, _) = render_with(source, &small, &request(r#"{"a": [1, 2]}"#));
        assert_eq!(text, expected, "{source}");
    };
    check(
        "#foreach($i in [1..11])$i#end",
        "error: 1:1: #foreach goes on for too long: the limit of iterations is 10",
    );
    check("#foreach($i in [1..10])$i#end", "12345678910");
    check(
        "\n #foreach($i in [1..10])0123456789#end",
        "error: 2:2: the output is too long: the limit of output bytes is 100",
    );
    check(
        "#set($s = 'x')#foreach($i in [1..10])#set($s = $s + $s)#end",
        "error: 1:43: the output is too long: the limit of output bytes is 100",
    );
    check(
        "#set($x = '')#set($t = [1..10])#foreach($a in $t)#foreach($b in $t)#foreach($c in $t)$x#end#end#end",
        "error: 1:68: rendering takes too long: the limit of steps is 1000",
    );
    check("#macro(m)#m()#end#m()", "error: 1:10: nested too deeply: the limit of depth is 20");
    check("#define($d)$d#end$d", "error: 1:12: nested too deeply: the limit of depth is 20");
    check(
        "#set($m = {})$!m.put('m', $m)$m",
        "error: 1:30: the output is too long: the limit of output bytes is 100",
    );
    check(
        "#set($s = '#evaluate($s)')#evaluate($s)",
        "error: 1:1: rendering takes too long: the limit of steps is 1000",
    );
    check(
        "#set($l = [1])#foreach($i in [1..10])#foreach($j in [1..10])#set($l = [$l, $l, $l, $l, $l, $l, $l, $l])#end#end",
        "error: 1:66: rendering takes too much memory: the limit of memory bytes is 8192",
    );
    check("#set($r = [1..1000000])", "error: 1:6: rendering takes too long: the limit of steps is 1000");
    check(
        &"x".repeat(401),
        "mistakes: 1:1: the template is longer than 400 bytes (limit: template bytes); split it or move work to the backend",
    );
    let deep = format!("{}{}", "#if(true)".repeat(70), "#end".repeat(70));
    let (text, _) = render_with(&deep, &Settings::default(), &request(""));
    assert!(text.contains("nested deeper than 64 (limit: nesting)"), "{text}");
    let (text, _) = render_with(
        &format!("#set($x = {}1{})", "(".repeat(70), ")".repeat(70)),
        &Settings::default(),
        &request(""),
    );
    assert!(text.contains("nested deeper than 64 (limit: nesting)"), "{text}");
    let (text, _) =
        render_with("#set($x = $s.matches('(((a{500}){500}){500})'))", &Settings::default(), &request(""));
    assert!(text.contains("needs more than 262144 bytes (limit: regex bytes)"), "{text}");
}

/// An output is used again, and nothing of a rendering is left in the next.
#[test]
fn outputs_are_used_again() {
    let settings = Settings::default();
    let big = Template::compile("#foreach($i in [1..1000])0123456789012345678901234567890123456789012345678901234567890123456789$i#end", &settings).unwrap();
    let small = Template::compile("$i$x#set($x = 1)", &settings).unwrap();
    let mut output = Output::default();
    for _ in 0..3 {
        big.render(&request(""), &mut output, &mut Overrides::default()).unwrap();
        assert_eq!(output.as_str().len(), 72_893);
        small.render(&request(""), &mut output, &mut Overrides::default()).unwrap();
        assert_eq!(output.as_str(), "$i$x");
        assert!(output.text.capacity() <= KEPT_BYTES_MAX);
    }
}

/// All that may be nested, nested as deeply as it may be, in half the stack that a thread has by default (and unoptimized).
#[test]
fn depths_fit_the_stack() {
    let work = || {
        let settings = Settings::default();
        let json = format!("{}1{}", "[".repeat(120), "]".repeat(120));
        let scan = "$..[?(@..[0] == 1 || (((((((((@[0] == $..[0]))))))))))]";
        let nested = |open: &str, inner: &str, close: &str, times: usize| {
            format!("{}{inner}{}", open.repeat(times), close.repeat(times))
        };
        let sources = [
            nested("#if(true)", "x", "#end", 60),
            nested("#foreach($i in [1..1])", "$i", "#end", 60),
            format!("#set($x = {})$x", nested("(1 + ", "1", ")", 60)),
            format!("#set($x = {})$x", nested("[", "1", "]", 60)),
            format!("#set($x = {})$x", nested("{'a': ", "1", "}", 60)),
            format!("#set($x = {})$x", nested("!", "true", "", 60)),
            format!("#set($x = {}){}", nested("$x.get(", "1", ")", 60), "x"),
            "#macro(m $a)<#m(\"$a\")>#end#m(1)".to_owned(),
            "#macro(m $a)#m($a)#end#m(1)".to_owned(),
            "#define($d)\"$d\"#set($x = \"$d\")#end$d".to_owned(),
            "#set($s = '#evaluate($s)')#evaluate($s)".to_owned(),
            "#set($l = [])#foreach($i in [1..200])#set($l = [$l])#end$l".to_owned(),
            format!("$input.json(\"{scan}\") $input.path('$')[0][0] $input.path('$')"),
            "$util.parseJson($input.body).toString()".to_owned(),
        ];
        sources.map(|source| render_with(&source, &settings, &request(&json)).0)
    };
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(work).unwrap();
    let texts = thread.join().unwrap();
    for (text, expected) in texts.iter().zip([
        "x",
        "1",
        "61",
        "[[",
        "{a=",
        "true",
        "x",
        "nested too deeply",
        "nested too deeply",
        "nested too deeply",
        "nested too deeply",
        "nested too deeply",
        "[",
        "[[[",
    ]) {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}
