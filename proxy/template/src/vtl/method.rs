//! The methods that templates may call, by name. What they do stands where their objects do.

macro_rules! methods {
    ($($variant:ident $name:literal,)*) => {
        /// A method by its name; which objects have it is their own matter.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Method {
            $($variant,)*
            /// No object has it: a call comes to nothing, as in Velocity.
            Unknown,
        }

        impl Method {
            pub(super) fn by_name(name: &str) -> Self {
                match name {
                    $($name => Self::$variant,)*
                    _ => Self::Unknown,
                }
            }

            /// Its name, for what is said about it.
            pub(super) fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Unknown => "?",
                }
            }
        }
    };
}

methods! {
    Length "length",
    IsEmpty "isEmpty",
    Size "size",
    Get "get",
    Put "put",
    Add "add",
    AddAll "addAll",
    Set "set",
    Remove "remove",
    Contains "contains",
    ContainsKey "containsKey",
    ContainsValue "containsValue",
    ContainsAll "containsAll",
    IndexOf "indexOf",
    LastIndexOf "lastIndexOf",
    Substring "substring",
    ReplaceAll "replaceAll",
    ReplaceFirst "replaceFirst",
    Replace "replace",
    Split "split",
    Matches "matches",
    Trim "trim",
    ToLowerCase "toLowerCase",
    ToUpperCase "toUpperCase",
    StartsWith "startsWith",
    EndsWith "endsWith",
    Equals "equals",
    EqualsIgnoreCase "equalsIgnoreCase",
    Concat "concat",
    CharAt "charAt",
    CompareTo "compareTo",
    CompareToIgnoreCase "compareToIgnoreCase",
    ToString "toString",
    HashCode "hashCode",
    KeySet "keySet",
    EntrySet "entrySet",
    Values "values",
    PutAll "putAll",
    PutIfAbsent "putIfAbsent",
    GetOrDefault "getOrDefault",
    Clear "clear",
    SubList "subList",
    Iterator "iterator",
    IntValue "intValue",
    LongValue "longValue",
    DoubleValue "doubleValue",
    FloatValue "floatValue",
    BooleanValue "booleanValue",
    ParseInt "parseInt",
    ParseLong "parseLong",
    ParseDouble "parseDouble",
    ParseBoolean "parseBoolean",
    ValueOf "valueOf",
    Join "join",
    GetKey "getKey",
    GetValue "getValue",
    GetName "getName",
    GetSimpleName "getSimpleName",
    GetClass "getClass",
    GetCount "getCount",
    GetIndex "getIndex",
    HasNext "hasNext",
    IsFirst "isFirst",
    IsLast "isLast",
    Json "json",
    Path "path",
    Params "params",
    EscapeJavaScript "escapeJavaScript",
    ParseJson "parseJson",
    UrlEncode "urlEncode",
    UrlDecode "urlDecode",
    Base64Encode "base64Encode",
    Base64Decode "base64Decode",
    XmlToJson "xmlToJson",
    IsNaN "isNaN",
}
