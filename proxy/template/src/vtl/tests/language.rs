//! The language: what 1.7's user guide says, and what was recorded on AWS (in the public tests of airspeed).

use super::check;

#[test]
fn text_is_text() {
    check("", "");
    check("<html></html>", "<html></html>");
    check("Hello $ ", "Hello $ ");
    check("$5.00 and $", "$5.00 and $");
    check("<a href=\"#\">#13ff93 #fff #1</a> \"#\"", "<a href=\"#\">#13ff93 #fff #1</a> \"#\"");
    check("Gr\u{fc}\u{df}e \\ \\n $!", "Gr\u{fc}\u{df}e \\ \\n $!");
    check("${} ${1} $!{} $[0] ${", "${} ${1} $!{} $[0] ${");
}

#[test]
fn references() {
    check(
        "#set($name = 'Chris')Hello $name, ${name}s $!name $!{name} $name}.",
        "Hello Chris, Chriss Chris Chris Chris}.",
    );
    check("$name $!name ${name} $!{name}.", "$name  ${name} .");
    check("$user.name $!user.name ${user.name}x", "$user.name  ${user.name}x");
    check("#set($a = 1)$a.b $a.b() $a.toString() $a.", "$a.b $a.b() 1 1.");
    check("#set($a-b = 1)$a-b $a_b", "1 $a_b");
    check("#set($a = {'b': {'c': 'd'}})$a.b.c $a.b['c'] $a['b'].c ${a.b.c}", "d d d d");
    check(
        "#set($a = ['x', ['y', 'z']])$a[0] $a[1][1] $a[-1] $a[7]|#set($i = 1)$a[ $i ][0]",
        "x z [y, z] $a[7]|y",
    );
    check("#set($f = {'x.y': 1})$f['x.y'] $f.get(\"x.y\")", "1 1");
}

#[test]
fn escapes() {
    // Row by row what was recorded on AWS.
    let source = "\n#set( $email = \"foo\" )\n$email\n\\$email\n\\\\$email\n\\\n\\\\ \\# \\$\n\\#end\n\\# end\n\\#set( $email = \"foo\" )\n";
    check(source, "\nfoo\n$email\n\\foo\n\\\n\\\\ \\# \\$\n#end\n\\# end\n#set( foo = \"foo\" )\n");
    // What has no value is no reference: its backslashes are text.
    check("\\$a \\\\$a \\\\\\$a", "\\$a \\\\$a \\\\\\$a");
    check("#set($a = 1)\\$a \\\\$a \\\\\\$a \\$!a \\${a}", "$a \\1 \\$a $!a ${a}");
    check("\\#if \\#foo \\\\#if(true)x#end", "#if \\#foo \\x");
    check("#[[ $a #if \\# ## ]]# x", " $a #if \\# ##  x");
}

#[test]
fn comments() {
    check("## comment\nStuff\nMore stuff## more comments $blah", "Stuff\nMore stuff");
    check("Stuff#*\n more comments *#\n and more stuff", "Stuff\n and more stuff");
    check("a#** formal $x *#b", "ab");
    check("a##\r\nb##\rc", "abc");
}

#[test]
fn white_space() {
    // A directive in parentheses takes the rest of a blank line; `#set` the blanks in front as well, if nothing else is there.
    check("a\n#set($x = 1)\nb", "a\nb");
    check("a\n  #set($x = 1)  \nb", "a\n  b");
    check("#set($x = 1)\n  #set($y = 2)\n  $x$y", "  12");
    check("a #set($x = 1) b", "a  b");
    check("$n #set($n = 1) b", "$n b");
    check("#if(true)\n  a\n#end\nb", "  a\nb");
    check("#if(false)\n  a\n#else \t\n  c\n  #end  \nb", "  c\n  b");
    check("\n#if(true)\nhello##\n#end", "\nhello");
    check("#foreach($i in [1..3])\n  $i\n#end", "  1\n  2\n  3\n");
    check("#foreach($i in [1..3] )$i\n#end", "1\n2\n3\n");
    check("#if(true)\r\na\r\n#end\r\nb", "a\r\nb");
    check("#define($d)\nx\n#end\n$d", "x\n");
}

#[test]
fn conditions() {
    check("#if(true)a#{else}b#{end}c", "ac");
    check("#if($x)a#elseif(true)b#else c#end", "b");
    check("#if($x) a #elseif($y) b #else c #end", " c ");
    check("#set($v = false)#if(!$v)yes#end#if(not $v)yes#end", "yesyes");
    // 1.7 takes all for true that is there.
    check("#set($v = '')#if($v)a#end#set($v = 0)#if($v)b#end#set($v = [])#if($v)c#end", "abc");
    check("#if(${a.b.c})yes#else no#end#if($!{a.b})yes#end", " no");
    check("#if((1 == 1) && (2 == 2))yes#end#if(1 == 1 && 2 == 3)no#end", "yes");
    check("#if(false || true)a#end#if(false or true)b#end#if(true and false)c#end", "ab");
    for (operator, outcomes) in
        [(">", "  y"), ("gt", "  y"), (">=", " yy"), ("ge", " yy"), ("<", "y  "), ("lt", "y  ")]
    {
        let source = format!("#foreach($v in [0..2])#if( $v {operator} 1 )y#else #end#end");
        check(&source, outcomes);
    }
    check(
        "#if(1 == 1.0)a#end#if('1' == 1)b#end#if('a' == 'a')c#end#if($x == $y)d#end#if($x == 1)e#end",
        "abcd",
    );
    check("#if(1 != 2)a#end#if('a' ne 'b')b#end#if($x != 1)c#end#if('b' > 'a')d#end", "abc");
}

#[test]
fn loops() {
    check("#foreach($i in [1..5])$i,#end", "1,2,3,4,5,");
    check("#foreach($i in [2..-2])$i,#end", "2,1,0,-1,-2,");
    check(
        "#set($a = 1)#set($z = 3)#foreach($i in [$a..$z])$i,#end#foreach($i in [$a .. $z])${i}-#end",
        "1,2,3,1-2-3-",
    );
    check("#foreach($i in [1, 2, 3])$i. #if($foreach.hasNext)yes#end, #end", "1. yes, 2. yes, 3. , ");
    check("#foreach($i in [1, 2, 3])$i. #if($velocityHasNext)yes#end, #end", "1. yes, 2. yes, 3. , ");
    check(
        "#foreach($i in [1, 2])$foreach.index$foreach.count$velocityCount$foreach.first$foreach.last #end",
        "011truefalse 122falsetrue ",
    );
    check(
        "#foreach($j in [1,2])#foreach($i in [3, 4])$foreach.count,#end$foreach.count|#end",
        "1,2,1|1,2,2|",
    );
    check(
        "#foreach($j in [7,8])#foreach($i in [3, 4])$foreach.parent.index$foreach.topmost.count #end#end",
        "01 01 12 12 ",
    );
    check("#set($i = 1)$i,#foreach($i in [2, 3, 4])$i,#set($i = $i)#end$i", "1,2,3,4,1");
    check("#foreach($n in ['a'])$n#end$n$foreach.count", "a$n$foreach.count");
    check("#set($v = 1)#foreach($i in [2, 3, 4])$v,#set($v = $i)#end$v", "1,2,3,4");
    check("#foreach($i in [1..9])#if($i == 3)#break#end$i#end!", "12!");
    check("#foreach($v in $values)foo#end#foreach($v in 'text')foo#end", "");
    check("#foreach($v in {'a': 1, 'b': 2})$v#end", "12");
    check(
        "#foreach($e in {'a': 1, 'b': 2}.entrySet())$e#end",
        "mistakes: 1:32: `#foreach(…)` is not closed: `)` is wanted, and there is `.`",
    );
    check(
        "#set($m = {'a': 1, 'b': 2})#foreach($e in $m.entrySet())$e.key=$e.value $e.getKey() $e;#end",
        "a=1 a a=1;b=2 b b=2;",
    );
    check(
        "#set($l = [1])#foreach($i in $l)$i#if($i < 4)#set($x = $l.add($i + 1))#end#end",
        "mistakes: 1:66: `,` or `)` is wanted in `add(…)`; #set a variable to a calculation first",
    );
    check(
        "#set($l = [1])#foreach($i in $l)$i#if($i < 4)#set($n = $i + 1)#set($x = $l.add($n))#end#end",
        "1234",
    );
}

#[test]
fn stop_ends_everything() {
    check("hello #stop world", "hello ");
    check("#foreach($i in [1..3])$i#if($i == 2)#stop#end#end world", "12");
    check("#define($d)a#{stop}b#end$d c", "a");
    check("#macro(m)a#{stop}b#end#m()c", "a");
}

#[test]
fn arithmetic() {
    check("#set($a = 5 * 4 - 2).$a #set($a = 2 + 5 * 4)$a.#set($a = (5 + 4) * 2)$a", ".1822.18");
    check("#set($a = 4 > 2 + 5)$a|#set($a = (5 + 4) > 2)$a|#set($a = 5 + 4 > 2)$a", "false|true|true");
    check(
        "#set($a = 7 / 2)$a|#set($a = -7 / 2)$a|#set($a = -7 % 3)$a|#set($a = 100.0 / 50)$a",
        "3|-3|-1|2.0",
    );
    check("#set($a = 1 - -1)$a|#set($a = 5 -3)$a|#set($b = $a+1)$b|#set($b = 1.5e3 + .5)$b", "2|2|3|1500.5");
    check("#set($a = 3)#set($a = $a / 0)$a|#set($a = $a % 0)$a|#set($a = 1.0 / 0)$a", "3|3|3");
    check("#set($a = 9223372036854775807)#set($b = $a + 1)$a $b", "9223372036854775807 $b");
    check(
        "#set($a = 1e10)$a|#set($a = 0.0001)$a|#set($a = 123456789.5)$a|#set($a = 1.0)$a",
        "1.0E10|1.0E-4|1.234567895E8|1.0",
    );
    check("#set($a = true + 1)$a#set($a = [] - 1)$a", "$a$a");
    check(
        "#set($a = 'x' + 1 + 2)$a|#set($a = 1 + 2 + 'x')$a|#set($a = 'x' + $u)$a|#set($a = $u.v + 'x')$a",
        "x12|3x|x$u|$u.vx",
    );
}

#[test]
fn literals() {
    check(
        "#set($v = true)$v|#set($v = false)$v|#set($v = 10)$v|#set($v = \"\").$v.#set($v = '').$v.",
        "true|false|10|....",
    );
    check("#set($name = \"\\\\batman\\nand robin\")$name", "\\\\batman\\nand robin");
    check(
        "#set($d = '{\"a\": 2}')$d|#set($d = \"{\"\"a\"\": 2}\")$d|#set($d = 'it''s')$d",
        "{\"a\": 2}|{\"a\": 2}|it's",
    );
    check("#set($d = \"1\\\\\"\"2\"\"3\")$d", "1\\\\\"2\"3");
    check("#set($s = \"a\\\"b\")$s|#set($s = 'a\\')$s", "a\\\"b|a\\");
    check(
        "#set($n = 'Steve')#set($h = \"hello, $n is ${n}s \\$n #if(true)yes#end $u\")$h",
        "hello, Steve is Steves $n yes $u",
    );
    check("#set($n = 'Steve')#set($h = 'hello, $n')$h", "hello, $n");
    check("#set($n = 2)#set($h = \"{\"\"a\"\": $n}\")$h", "{\"a\": 2}");
    check(
        "#set($a = {\"dog\": \"cat\" , \"horse\":15})$a.dog $a|#set($a = {})$a|#set($a = [])$a",
        "cat {dog=cat, horse=15}|{}|[]",
    );
    check(
        "#set($a = [1, 'two', [3.0], {'four': [5]}, true, $u])$a",
        "[1, two, [3.0], {four=[5]}, true, null]",
    );
    check("#set( $m = {\n  \"a\": \"b\",\n  \"c\": \"d\"\n} )\n$m.a$m.c", "bd");
}

#[test]
fn nothing_is_not_set() {
    check("#set($a = 1)#set($a = $u)$a", "1");
    check("#set($m = {'a': 1})#set($m.a = $u)$m.a#set($m.b = 2)$m|#set($m['c'] = 3)$m.c", "1{a=1, b=2}|3");
    check("#set($l = [1, 2])#set($l[0] = 'x')$l", "[x, 2]");
    check("#set($a.b = 1)$a", "$a");
}

#[test]
fn definitions() {
    check("#define( $hello)hi#end$hello()$hello()", "hi()hi()");
    check("#define( $i )$foreach.index#end#foreach($x in [1,2,3])$i#end", "012");
    check("#define( $f )$ctx#end\n#set( $ctx = 'foo' )\n$f\n#set( $ctx = 'bar' )\n$f\n", "foo\nbar\n");
    check("#define($f)x#end#set($s = \"<$f>\")$s|#set($t = $f + 'y')$t#if($f)!#end", "<x>|xy!");
}

#[test]
fn macros() {
    check("#macro ( hello)hi#end#hello () #hello()#hello", "hi hihi");
    check("#macro(bold $v)<b>$v</b>#end#bold('x')#bold(1)#bold(\"$u\")", "<b>x</b><b>1</b><b>$u</b>");
    check("#macro(two $a $b)$a+$b#end#two(1 2) #two(1, 2) #two( 1 ,\n 2)", "1+2 1+2 1+2");
    check("#macro(two $a, $b)$a+$b#end#two(1) #two(1, 2, 3)", "1+$b 1+2");
    // What has no value is written as the caller wrote it.
    check("#macro(inner $foo)$foo $!foo.#end#inner($bar)", "$bar .");
    // Arguments are passed by name, and what is set in a macro is set outside.
    check("#macro(m $a)$a#set($x = 2)$a#end#set($x = 1)#m($x)$x", "122");
    check("#macro(m $a)#set($a = 5)$a#end#set($x = 1)#m($x)$x$a", "51$a");
    check("#macro(recur $n)#if($n > 0)#set($n = $n - 1)#recur($n)X#end#end#recur(5)", "XXXXX");
    check("#later(1)#macro(later $a)[$a]#end", "[1]");
    check("#macro(outer $a)#inner($a)#end#macro(inner $b)<$b>#end#outer('x')", "<x>");
    check("#macro(outer $a)#inner($b)#end#macro(inner $a)<$a>#end#set($b = 'g')#outer('x')", "<g>");
    check("#macro(outer $a)#inner($a)#end#macro(inner $a)<$a>#end#outer('x')", "<x>");
    check("#macro(wrap $t)<$t>$bodyContent</$t>#end#@wrap('b')hi#set($q = 1)#end$q", "<b>hi</b>1");
    check("#nothing($x) #nothing #@nothing()y#end", "#nothing($x) #nothing #@nothing()y");
    check("#macro(hi $p)$p says hello#end#set($h=\"#hi('Steve')\")$h", "Steve says hello");
    check("\n#macro ( blah )\nhello##\n#end\n#blah()", "\nhello");
    check(
        "#macro(l $a)#foreach($i in $a)$i#if($i == 2)#break#end#end#end#l([1..3])!#macro(b)x#{break}y#end#b()z",
        "12!xz",
    );
}

#[test]
fn evaluation() {
    check("#set($s = \"abc\")#set($select = \"s\")#set($d = \"$select\")#evaluate('$s')", "abc");
    check("#set($d = '#set($y = 2)')#set($e = \"x and $d\")#evaluate($e)$y", "x and 2");
    check("#evaluate('#macro(late $a)<$a>#end')#late(1)", "<1>");
    check("#evaluate($u)#evaluate('#set($q = [1])$q')#evaluate('$q[0]')$q", "[1]1[1]");
    check("#evaluate('#define($d)in $x#end')#set($x = 1)$d", "in 1");
    check(
        "x\n #evaluate('#if(')",
        "error: 2:2: #evaluate was given a template with a mistake, at 1:1: `#if` has no `#end`",
    );
}
