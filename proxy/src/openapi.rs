//! The verbs about OpenAPI documents. What a document says and how it is written is the room `openapi`'s affair.

use std::{io::Read as _, path::Path};

use anyhow::{Context as _, Result, bail};
use cloudformation::Note;
use model::{Api, Kind, Model};
use openapi::{BasePath, Extensions, Format, Imported, Mode, Options, Variables, tree};
use progress::Phase;

use crate::{
    bar::Bar,
    cli, commands,
    deployments::Deployed,
    publisher::{BadConfiguration, Origin},
    say,
    watch::{Footprint, Recorder},
};

/// What is read of a file to tell what it is.
const HEAD_BYTES: u64 = 64 << 10;

/// Whether a file is JSON or YAML and no TOML, told by its name or by what is in it.
pub(crate) fn is_document(path: &Path) -> bool {
    let extension = path.extension().map(|it| it.to_string_lossy().to_ascii_lowercase());
    if extension.is_some_and(|it| ["json", "yaml", "yml"].contains(&&*it)) {
        return true;
    }
    let mut head = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
    read.is_ok() && source::is_document(&String::from_utf8_lossy(&head))
}

/// Which documents a flag is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// All of them.
    Each,
    /// What is no template: OpenAPI itself.
    OpenApi,
    /// SAM, CloudFormation, `serverless.yml`.
    Template,
}

/// The flags that were given which only documents have a use for.
fn flags(document: &cli::Document) -> impl Iterator<Item = (&'static str, About)> {
    // All of them by name: a flag that is added has to find its place here.
    let cli::Document {
        kind,
        backend,
        basepath,
        ignore_documentation,
        fail_on_warnings,
        allow_unenforced_security,
        account_id,
        region,
        partition,
        parameters,
    } = document;
    let flags = [
        ("--param", About::Template, !parameters.is_empty()),
        ("--kind", About::OpenApi, kind.is_some()),
        ("--backend", About::OpenApi, backend.is_some()),
        ("--basepath", About::OpenApi, basepath.is_some()),
        ("--ignore-documentation", About::OpenApi, *ignore_documentation),
        ("--fail-on-warnings", About::Each, *fail_on_warnings),
        ("--allow-unenforced-security", About::Each, *allow_unenforced_security),
        ("--account-id", About::Each, account_id.is_some()),
        ("--region", About::Each, region.is_some()),
        ("--partition", About::Each, partition.is_some()),
    ];
    flags.into_iter().filter_map(|(flag, about, given)| given.then_some((flag, about)))
}

/// The first flag that was given which only a document has a use for.
pub(crate) fn given(document: &cli::Document) -> Option<&'static str> {
    flags(document).next().map(|(flag, _)| flag)
}

/// Refuses a flag that this document has no use for: nothing that was said is ignored. Whether it is a template.
fn check_flags(file: &Path, document: &cli::Document) -> Result<bool> {
    // One that can't be read is told of by who reads it in earnest.
    let is_template = std::fs::read_to_string(file).is_ok_and(|text| source::is_template(&text));
    let (stranger, goes, is) = if is_template {
        (About::OpenApi, "an OpenAPI document", "a template, whose definitions say that themselves")
    } else {
        (About::Template, "a SAM or CloudFormation template or a serverless.yml", "an OpenAPI document")
    };
    match flags(document).find(|(_, about)| *about == stranger) {
        Some((flag, _)) => bail!("{flag} goes with {goes}, and {} is {is}", file.display()),
        None => Ok(is_template),
    }
}

/// How a document is read.
pub(crate) fn options(document: &cli::Document) -> Options {
    let default = Variables::default();
    Options {
        kind: match document.kind.as_deref() {
            Some("rest") => Some(Kind::Rest),
            Some(_) => Some(Kind::Http),
            None => None,
        },
        base_path: match document.basepath.as_deref() {
            Some("prepend") => BasePath::Prepend,
            Some("split") => BasePath::Split,
            _ => BasePath::Ignore,
        },
        ignore_documentation: document.ignore_documentation,
        fail_on_warnings: document.fail_on_warnings,
        backend: document.backend.clone(),
        allow_unenforced_security: document.allow_unenforced_security,
        variables: Variables {
            account_id: document.account_id.clone().unwrap_or(default.account_id),
            region: document.region.clone().unwrap_or(default.region),
            partition: document.partition.clone().unwrap_or(default.partition),
        },
    }
}

/// What a file is read as: a configuration or a document.
pub(crate) fn origin(file: &Path, document: &cli::Document) -> Result<Origin> {
    if is_document(file) {
        check_flags(file, document)?;
        let what = source::OpenApi {
            path: file.to_owned(),
            options: options(document),
            parameters: document.parameters.iter().cloned().collect(),
            ..Default::default()
        };
        return Ok(Origin::OpenApi(Box::new(what)));
    }
    if let Some(flag) = given(document) {
        bail!("{flag} goes with an OpenAPI document, JSON or YAML, and {} is none", file.display());
    }
    Ok(Origin::File(file.to_owned()))
}

/// `floodgate import`.
pub(crate) fn import(import: cli::Import) -> Result<()> {
    let cli::Import { files: named, mode, document } = import;
    let mode = if mode.as_deref() == Some("overwrite") { Mode::Overwrite } else { Mode::Merge };
    if let [file] = &named[..]
        && check_flags(file, &document)?
    {
        return import_template(file, &document);
    }
    let bar = Bar::of_work();
    let files = Recorder::new(bar.progress());
    let mut whole: Option<Imported> = None;
    for file in named {
        let mut options = options(&document);
        // What the first one is decides for those that are put into it.
        options.kind = options.kind.or(whole.as_ref().map(|whole| whole.kind));
        let what = source::OpenApi { path: file, options, ..Default::default() };
        let (imported, diagnostics, sources) = source::import(&what, &files);
        let rendered = source::render(&diagnostics, &sources, say::has_colour());
        let Some(imported) = imported else {
            return Err(BadConfiguration { rendered, state: None, footprint: Footprint::default() }.into());
        };
        say::diagnostics(&rendered);
        whole = Some(match whole {
            None => imported,
            Some(before) => {
                let definition = openapi::merge(before.definition, imported.definition, mode);
                Imported { definition, ..before }
            }
        });
    }
    let api = source::api_of(whole.context("no document was named")?);
    say::note(&summary(&api));
    warn_unenforced(&api);
    bar.progress().begin(Phase::Write, 0);
    let text = source::write(std::slice::from_ref(&api), &[]);
    drop(bar);
    say::out(text.trim_end());
    Ok(())
}

/// `floodgate import` of a template: TOML, and on stderr what became of each of its parts.
fn import_template(file: &Path, document: &cli::Document) -> Result<()> {
    let parameters = document.parameters.iter().cloned().collect();
    let read = options(document);
    let what = source::Template {
        path: file.to_owned(),
        options: cloudformation::Options {
            parameters,
            variables: read.variables,
            fail_on_warnings: read.fail_on_warnings,
            allow_unenforced_security: read.allow_unenforced_security,
        },
    };
    let bar = Bar::of_work();
    let (imported, diagnostics, sources) = source::import_template(&what, &Recorder::new(bar.progress()));
    let rendered = source::render(&diagnostics, &sources, say::has_colour());
    let Some(imported) = imported else {
        return Err(BadConfiguration { rendered, state: None, footprint: Footprint::default() }.into());
    };
    say::diagnostics(&rendered);
    for Note { what, became, why, origin } in &imported.notes {
        let line = origin.as_ref().map_or(0, |origin| origin.line);
        let fate = match (became, why) {
            (Some(became), None) => became.clone(),
            (Some(became), Some(why)) => format!("{became}; {why}"),
            (None, why) => format!("left out: {}", why.as_deref().unwrap_or("nothing here takes it")),
        };
        say::note(&format!("{}:{line}: {what}: {fate}", file.display()));
    }
    for function in &imported.functions {
        let of = |text: &Option<String>| text.clone().unwrap_or_else(|| "?".to_owned());
        let (handler, runtime, code) = (of(&function.handler), of(&function.runtime), of(&function.code));
        say::note(&format!("function `{}`: {handler}, {runtime}, in {code}", function.name));
    }
    for api in &imported.apis {
        say::note(&summary(api));
        warn_unenforced(api);
    }
    bar.progress().begin(Phase::Write, 0);
    let text = source::write(&imported.apis, &imported.domains);
    drop(bar);
    say::out(text.trim_end());
    Ok(())
}

/// Says what is not mapped: what is printed has it by its name, and is refused with it.
fn warn_unenforced(api: &Api) {
    if let Some(unenforced) = api.definition.unenforced_security() {
        say::warning(&format!(
            "not mapped: nothing enforces the security of {}; `unenforced_security` keeps these routes from being served \
             until it is gone, or the API has `allow_unenforced_security = true`",
            unenforced.what
        ));
    }
}

/// What came over.
fn summary(api: &Api) -> String {
    let definition = &api.definition;
    let counts = [
        ("route", definition.routes.len()),
        ("resource", definition.resources.len()),
        ("model", definition.models.len()),
        ("validator", definition.validators.len()),
        ("authorizer", definition.authorizers.len()),
        ("gateway response", definition.gateway_responses.len()),
        ("documentation part", definition.documentation.len()),
        ("tag", definition.tags.len()),
    ];
    let counts: Vec<_> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| {
            let rest = if *what == "resource" { " without methods" } else { "" };
            format!("{}{rest}", say::count(*count, what))
        })
        .collect();
    let kind = if api.kind == Kind::Rest { "a REST API" } else { "an HTTP API" };
    format!("`{}`, {kind}: {}; what was left out stands above", api.name, counts.join(", "))
}

/// `floodgate export`.
pub(crate) fn export(export: cli::Export) -> Result<()> {
    let cli::Export { file, api, stage, format, yaml, extensions, deployed, document } = export;
    let deployed = Deployed::asked(deployed.state.as_deref(), deployed.socket.as_deref())?;
    let file = commands::file_or(file, deployed.as_ref())?;
    // What stands for AWS's variables is in the URL that is written, whatever is read.
    let variables = options(&document).variables;
    let of_document = if is_document(&file) { document } else { cli::Document::default() };
    let bar = Bar::of_work();
    let read = origin(&file, &of_document)?.read(bar.progress())?;
    read.warn();
    let model = match &deployed {
        Some(deployed) => deployed.applied(&read.model)?,
        None => read.model,
    };
    let api = chosen(&model, api.as_deref())?;
    let stage = match stage {
        None => api.stages.first().context("the API has no stage")?,
        Some(name) => api.stages.iter().find(|stage| stage.name == name).with_context(|| {
            let names: Vec<_> = api.stages.iter().map(|stage| &*stage.name).collect();
            format!("the API has no stage `{name}`: it has {}", names.join(", "))
        })?,
    };
    let has = |name: &str| extensions.iter().any(|it| it == name);
    let extensions = Extensions {
        integrations: has("integrations"),
        authorizers: has("authorizers"),
        apigateway: has("apigateway"),
        postman: has("postman"),
    };
    let upstream = |name: &str| {
        let upstream = model.upstreams.iter().find(|upstream| upstream.name == name)?;
        let target = upstream.targets.first()?;
        let scheme = if target.tls { "https" } else { "http" };
        let is_bare = target.host.contains(':') && !target.host.starts_with('[');
        let host = if is_bare { format!("[{}]", target.host) } else { target.host.clone() };
        Some(format!("{scheme}://{host}:{}", target.port))
    };
    let how = openapi::export::Options {
        format: if format == "swagger" { Format::Swagger } else { Format::Oas30 },
        extensions,
        stage: &stage.name,
        variables: &variables,
        upstream: &upstream,
    };
    let definition = stage.deployment.as_ref().map_or(&api.definition, |deployment| &deployment.definition);
    bar.progress().begin(Phase::Write, 0);
    let exported = openapi::export(api, definition, &how);
    exported.notes.iter().for_each(|note| say::warning(note));
    let text = if yaml { tree::yaml(&exported.document) } else { tree::json(&exported.document) };
    drop(bar);
    say::out(text.trim_end());
    Ok(())
}

/// The API of that name, or the only one.
fn chosen<'m>(model: &'m Model, name: Option<&str>) -> Result<&'m Api> {
    let names = || model.apis.iter().map(|api| &*api.name).collect::<Vec<_>>().join(", ");
    match (name, &model.apis[..]) {
        (Some(name), apis) => {
            let found = apis.iter().find(|api| api.name == name);
            found.with_context(|| format!("there is no API `{name}`: there are {}", names()))
        }
        (None, [api]) => Ok(api),
        (None, []) => bail!("there is no API"),
        (None, _) => bail!("which API? Say it with --api: {}", names()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one kind of document has no use for is not taken with it, and not ignored.
    #[test]
    fn flags_of_another_kind_of_document_are_refused() {
        let folder = tempfile::TempDir::new().unwrap();
        let check = |text: &str, document: cli::Document, expected: Option<&str>| {
            let file = folder.path().join("document");
            std::fs::write(&file, text).unwrap();
            let taken = origin(&file, &document).map(drop).map_err(|error| error.to_string());
            match expected {
                None => assert_eq!(taken, Ok(()), "{document:?}"),
                Some(begin) => assert!(taken.is_err_and(|it| it.starts_with(begin)), "{document:?}"),
            }
        };
        let some = |text: &str| Some(text.to_owned());
        let none = cli::Document::default;
        let (openapi, template) = (
            "openapi: 3.0.1",
            "AWSTemplateFormatVersion: '2010-09-09'\nResources: {A: {Type: AWS::S3::Bucket}}",
        );
        let parameter = || vec![("Stage".to_owned(), "prod".to_owned())];
        check(
            openapi,
            cli::Document { parameters: parameter(), ..none() },
            Some("--param goes with a SAM or "),
        );
        check(openapi, cli::Document { kind: some("rest"), region: some("eu-west-1"), ..none() }, None);
        check(template, cli::Document { parameters: parameter(), region: some("x"), ..none() }, None);
        for (flag, document) in [
            ("--kind", cli::Document { kind: some("rest"), ..none() }),
            ("--backend", cli::Document { backend: some("http://b"), ..none() }),
            ("--basepath", cli::Document { basepath: some("split"), ..none() }),
            ("--ignore-documentation", cli::Document { ignore_documentation: true, ..none() }),
        ] {
            check(template, document, Some(&format!("{flag} goes with an OpenAPI document, and ")));
        }
    }
}
