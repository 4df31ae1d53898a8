//! Methods of Java's that templates call.

use super::check;

/// An expression in a `#set` and how its value is written.
#[track_caller]
fn check_value(expression: &str, expected: &str) {
    check(&format!("#set($v = {expression})$v"), expected);
}

#[test]
fn texts() {
    check(
        "#set($s = 'Foobar123')$s.length() $s.substring(3) $s.substring(0, 3) $s.indexOf('b') $s.indexOf('z')",
        "9 bar123 Foo 3 -1",
    );
    check(
        "#set($s = 'a-b-c')$s.replace('-', '+') $s.lastIndexOf('-') $s.indexOf('-', 2) $s.concat('!') $s.charAt(2)",
        "a+b+c 3 3 a-b-c! b",
    );
    check(
        "#set($s = 'foobar123bab')$s.replaceAll('ba.', 'foo') $s.replaceFirst('[0-9]', '<$0>') $s.replaceAll('(o)(b)', '$2$1')",
        "foofoo123foo foobar<1>23bab foboar123bab",
    );
    check(
        "#set($s = ' Ab ')<$s.trim()> $s.toLowerCase() $s.toUpperCase() $s.isEmpty() $s.empty",
        "<Ab>  ab   AB  false false",
    );
    check(
        "#set($s = 'foobar')$s.startsWith('foo') $s.endsWith('foo') $s.contains('oba') $s.matches('fo+bar') $s.matches('fo')",
        "true false true true false",
    );
    check(
        "#set($s = 'a,b,,c,,')$s.split(',') $s.split(',').size() #set($p = $s.split(','))$p[0]$p.get(3)",
        "[a, b, , c] 4ac",
    );
    check("#set($s = 'abc')$s.split('') $s.split('b', 2) $s.split('x')", "[a, b, c] [a, c] [abc]");
    check(
        "#set($s = 'a1b22c')$s.split('[0-9]+') #set($r = '[0-9]')$s.replaceAll($r, '') $s.split($r, -1)",
        "[a, b, c]abc [a, b, , c]",
    );
    check(
        "#set($s = 'a')$s.equals('a') $s.equals(1) $s.equalsIgnoreCase('A') $s.compareTo('c') $s.hashCode() $s.toString()",
        "true false true -2 97 a",
    );
    check(
        "#set($s = 'a.b')$s.split('\\.') $s.replaceAll('\\.', '\\$') $s.replaceAll(\"\\\"\", \"x\")",
        "[a, b] a$b a.b",
    );
    check("#set($s = 'it\\''s')$s.replaceAll(\"\\\\'\", \"'\")", "it's");
    // Positions count UTF-16 units.
    check("#set($s = 'ä😀b')$s.length() $s.indexOf('b') $s.substring(3) $s.substring(0, 1)", "4 3 b ä");
    check("#set($String = '')$String.valueOf(12) $String.join('-', [1, 'b'])", "12 1-b");
    check(
        "#set($s = 'x')$s.class.name $s.getClass().getSimpleName() $s.foo() $s.length(1)",
        "java.lang.String String $s.foo() $s.length(1)",
    );
}

#[test]
fn lists() {
    check(
        "#set($l = [1, 2, 3])$l.size() $l.get(1) $l.contains(1) $l.contains(10) $l.contains('1') $l.isEmpty() $l.empty",
        "3 2 true false false false false",
    );
    check(
        "#set($l = [1])$l.add('x')$l.add(0, 'y')$l $l.addAll([2, 3]) $l $l.set(0, 'z') $l",
        "true$l.add(0, 'y')[y, 1, x] true [y, 1, x, 2, 3] y [z, 1, x, 2, 3]",
    );
    check("#set($l = [5, 'a', 7])$l.remove(0) $l.remove('a') $l.remove('b') $l", "5 true false [7]");
    check(
        "#set($l = [1, 2, 1])$l.indexOf(1) $l.lastIndexOf(1) $l.indexOf(9) $l.subList(1, 3) $l.containsAll([1, 2])",
        "0 2 -1 [2, 1] true",
    );
    check("#set($l = [1])$!l.clear()$l $l.toString() #foreach($i in $l.iterator())$i#end", "[] [] ");
    check("#set($a = [1])#set($b = $a)#set($x = $b.add(2))$a", "[1, 2]");
}

#[test]
fn maps() {
    check("#set($m = {'a': 1})$m.get('a') $!m.put('b', 2)$m.put('a', 3) $m $m.size()", "1 1 {a=3, b=2} 2");
    check(
        "#set($m = {'a': 1, 'b': 2})$m.keySet() $m.values() $m.entrySet() $m.containsKey('a') $m.containsKey('z')",
        "[a, b] [1, 2] [a=1, b=2] true false",
    );
    check(
        "#set($m = {'a': 1})$m.remove('a') $!m.remove('a')$m $m.isEmpty() $m.empty $m.size()",
        "1 {} true true 0",
    );
    check(
        "#set($m = {})$!m.putAll({'k1': 'v3', 'k2': 'v2'})$m.k1 - $m.k2 $m.containsValue('v2') $m.getOrDefault('z', 9)",
        "v3 - v2 true 9",
    );
    check("#set($m = {'size': 5})$m.size $m.size() $m.class.name", "5 1 java.util.LinkedHashMap");
    let many: String = (0..100).map(|n| format!("#set($m['k{n}'] = {n})")).collect();
    check(
        &format!(
            "#set($m = {{}}){many}$m.k0 $m.k57 $m.k99 $m.size() $m.remove('k57') $!m.k57 $m.k58 $m.size()"
        ),
        "0 57 99 100 57  58 99",
    );
}

#[test]
fn numbers() {
    check(
        "#set($i = 7)$i.intValue() $i.doubleValue() $i.toString() $i.class.name $i.equals(7) $i.compareTo(9)",
        "7 7.0 7 java.lang.Integer true -1",
    );
    check("#set($d = 7.9)$d.intValue() $d.longValue() $d.class.name", "7 7 java.lang.Double");
    check(
        "#set($Integer = 0)#set($n = $Integer.parseInt('12'))#set($m = $n + 1)$m $Integer.valueOf('-3')",
        "13 -3",
    );
    check("#set($b = true)$b.toString() $b.class.simpleName $b.equals(true)", "true Boolean true");
    check_value("'4.50'", "4.50");
    check_value("4.50", "4.5");
}

#[test]
fn what_java_throws_is_an_error() {
    check(
        "a\n$u #set($s = 'abc')$s.substring(4)",
        "error: 2:32: substring: index 4 is not there: the length is 3",
    );
    check("#set($l = [1])$l.get(1)", "error: 1:21: get: index 1 is not there: the length is 1");
    check("#set($l = [1])$l.get('x')", "error: 1:21: get: an index is a whole number");
    check("#set($Integer = 0)$Integer.parseInt('x')", "error: 1:36: parseInt: \"x\" is no number");
    check(
        "#set($s = 'a')$s.replaceAll('a', '$1')",
        "error: 1:28: replaceAll: `$` stands for a group that the pattern does not have; `\\$` is a dollar",
    );
}
