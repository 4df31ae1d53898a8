//! A mapping template as people write them, and a path, over a body of 1 KiB.

use template::{Fields, Inputs, Output, Overrides, Path, Settings, Template};

use crate::Case;

/// Twenty lines: picks, loops, conditions, escapes and overrides.
const ORDER: &str = r#"#set($root = $input.path('$'))
#set($customer = $root.customer)
#set($context.requestOverride.header.X-Customer = $customer.id)
{
  "TableName": "$stageVariables.table",
  "RequestId": "$context.requestId",
  "Caller": "$context.identity.sourceIp",
  "Order": "$input.params('id')",
  "Customer": {
    "Name": "$util.escapeJavaScript($customer.name)",
    "Mail": "$customer.email.toLowerCase()"
#if($customer.vip == true)    ,"Vip": true
#end
  },
  "Address": $input.json('$.customer.address'),
  "Items": [
#foreach($item in $root.items)
    {"Sku": "$item.sku", "Count": $item.count, "Price": $item.price}#if($foreach.hasNext),#end

#end
  ],
  "Note": "$!root.note"
}
"#;

/// 1 KiB.
pub(crate) const BODY: &str = r#"{
  "customer": {
    "id": "c-102938",
    "name": "Ann O'Neill",
    "email": "Ann.ONeill@Example.COM",
    "vip": true,
    "address": {"street": "12 Long Lane", "city": "Springfield", "zip": "12345", "country": "US", "geo": {"lat": 39.799, "lon": -89.644}},
    "tags": ["newsletter", "returning", "west", "b2c", "paperless"]
  },
  "items": [
    {"sku": "SKU-000123", "count": 2, "price": 19.99, "title": "A garden hose, green, 20 m", "weight_g": 2500},
    {"sku": "SKU-000456", "count": 1, "price": 249.00, "title": "A lawn mower with a long name", "weight_g": 18200},
    {"sku": "SKU-000789", "count": 12, "price": 0.89, "title": "Seeds of poppies", "weight_g": 12}
  ],
  "payment": {"kind": "card", "last4": "4242", "token": "tok_1234567890abcdefghijklmnop", "amount": 299.66, "currency": "USD"},
  "shipping": {"kind": "standard", "promised": "2026-11-30", "carrier": "none yet", "instructions": "Leave it at the green door, please"},
  "source": "web", "campaign": "autumn-gardens", "locale": "en-US", "v": 1
}"#;

struct Request;

impl Inputs for Request {
    fn body(&self) -> &[u8] {
        BODY.as_bytes()
    }

    fn field(&self, fields: Fields, name: &str) -> Option<&str> {
        match (fields, name) {
            (Fields::Path, "id") => Some("o-1"),
            (Fields::StageVariables, "table") => Some("orders"),
            _ => None,
        }
    }

    fn each_field<'s>(&'s self, _: Fields, _: &mut dyn FnMut(&'s str, &'s str)) {}

    fn context(&self, name: &str, out: &mut Vec<u8>) -> bool {
        let value: &[u8] = match name {
            "requestId" => b"c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "identity.sourceIp" => b"192.0.2.1",
            _ => return false,
        };
        out.extend_from_slice(value);
        true
    }
}

/// Rendering, the body's check included.
pub(crate) fn render_template() -> Case {
    let template = Template::compile(ORDER, &Settings::default()).ok();
    let (mut output, mut overrides) = (Output::default(), Overrides::default());
    Case::new("render_template", move || {
        overrides.clear();
        let Some(template) = &template else { return false };
        let outcome = template.render(&Request, &mut output, &mut overrides);
        outcome.is_ok()
            && output.as_str().len() == 550
            && output.as_str().contains("\"Sku\": \"SKU-000789\", \"Count\": 12, \"Price\": 0.89")
            && overrides.request_headers.len() == 1
    })
}

/// A look-up of one value.
pub(crate) fn find_path() -> Case {
    let path = Path::compile("$.customer.address.geo.lat").ok();
    Case::new("find_path", move || {
        let Some(path) = &path else { return false };
        path.find(BODY.as_bytes()).is_ok_and(|found| found.into_json().as_deref() == Some("39.799"))
    })
}
