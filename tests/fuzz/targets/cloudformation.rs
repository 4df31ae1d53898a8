//! What a SAM template, a CloudFormation template or a `serverless.yml` may be.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cloudformation::properties::any_template(bytes));
