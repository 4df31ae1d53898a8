//! XML → JSON, for backends that speak SOAP (row 19). An element is an object of its attributes (`@name`) and its elements;
//! elements of one name in an element become a list; an element with text alone is that text, and one with nothing is `null`. Names keep what
//! stands behind their prefix. There are no entities but XML's own five and characters by number: no DTD is read.

use hashbrown::HashMap;
use quick_xml::{
    Reader, XmlVersion,
    escape::resolve_xml_entity,
    events::{BytesStart, Event},
};

use crate::json::write_text;

/// How deeply elements may be nested.
const XML_DEPTH_MAX: usize = 64;

/// An element that is open.
#[derive(Default)]
struct Element {
    name: String,
    text: String,
    /// Values by name in the order of their appearance, as JSON.
    members: Vec<(String, Vec<String>)>,
    /// Where a name is among them.
    places: HashMap<String, usize>,
}

/// The document as a JSON object of its root.
pub(super) fn to_json(xml: &str, bytes_max: usize) -> Result<String, String> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().check_end_names = true;
    let mut open: Vec<Element> = vec![Element::default()];
    // What is written is at most a few times what is read; what is read is bounded.
    if xml.len() > bytes_max {
        return Err(format!("the document is longer than {bytes_max} bytes (limit: output bytes)"));
    }
    loop {
        let at = reader.buffer_position();
        let event = reader.read_event().map_err(|error| format!("at byte {at}: {error}"))?;
        let last = open.len() - 1;
        match event {
            Event::Start(start) => {
                if open.len() > XML_DEPTH_MAX {
                    return Err(format!("nested deeper than {XML_DEPTH_MAX} (limit: XML depth)"));
                }
                open.push(element(&start).map_err(|why| format!("at byte {at}: {why}"))?);
            }
            Event::Empty(start) => {
                let element = element(&start).map_err(|why| format!("at byte {at}: {why}"))?;
                close(&mut open, element);
            }
            Event::End(_) => {
                if let Some(element) = open.pop() {
                    close(&mut open, element);
                }
            }
            Event::Text(text) => {
                open[last].text.push_str(&text.xml10_content());
            }
            Event::CData(text) => {
                open[last].text.push_str(&text.xml10_content());
            }
            Event::GeneralRef(reference) => {
                let character =
                    reference.resolve_char_ref().map_err(|error| format!("at byte {at}: {error}"))?;
                match character {
                    Some(character) => open[last].text.push(character),
                    None => {
                        let name: &str = &reference;
                        let text = resolve_xml_entity(name)
                            .ok_or_else(|| format!("at byte {at}: the entity `{name}` is not XML's own"))?;
                        open[last].text.push_str(text);
                    }
                }
            }
            Event::DocType(_) => return Err(format!("at byte {at}: a DTD is not read")),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    match <[Element; 1]>::try_from(open) {
        Ok([document]) if document.members.len() == 1 => Ok(object(&document)),
        Ok([_]) => Err("there is no single root element".to_owned()),
        Err(open) => Err(format!("`{}` is not closed", open.last().map_or("", |element| &element.name))),
    }
}

/// A name without its prefix.
fn local(name: &str) -> String {
    name.rsplit(':').next().unwrap_or(name).to_owned()
}

fn element(start: &BytesStart<'_>) -> Result<Element, String> {
    let mut element = Element { name: local(start.name().as_ref()), ..Element::default() };
    for attribute in start.attributes().with_checks(false) {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let key = attribute.key.as_ref();
        // Declarations of namespaces say nothing that is left.
        if key == "xmlns" || key.starts_with("xmlns:") {
            continue;
        }
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| error.to_string())?;
        add(&mut element, format!("@{}", local(key)), quoted(&value));
    }
    Ok(element)
}

fn close(open: &mut [Element], element: Element) {
    let text = element.text.trim();
    let value = match (element.members.is_empty(), text.is_empty()) {
        (true, true) => "null".to_owned(),
        (true, false) => quoted(text),
        (false, _) => object(&element),
    };
    if let Some(parent) = open.last_mut() {
        add(parent, element.name, value);
    }
}

fn add(element: &mut Element, name: String, value: String) {
    let next = element.members.len();
    let place = *element.places.entry_ref(name.as_str()).or_insert(next);
    match element.members.get_mut(place) {
        Some((_, values)) => values.push(value),
        None => element.members.push((name, vec![value])),
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    let Ok(()) = write_text(&mut out, text);
    out
}

fn object(element: &Element) -> String {
    let mut out = String::from("{");
    for (name, values) in &element.members {
        if out.len() > 1 {
            out.push(',');
        }
        let Ok(()) = write_text(&mut out, name);
        out.push(':');
        match values.as_slice() {
            [value] => out.push_str(value),
            values => {
                out.push('[');
                out.push_str(&values.join(","));
                out.push(']');
            }
        }
    }
    let text = element.text.trim();
    if !text.is_empty() && !element.members.is_empty() {
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str("\"#text\":");
        let Ok(()) = write_text(&mut out, text);
    }
    out.push('}');
    out
}
