//! Which media types a dialect's bodies may have, and which of them are JSON.

use watchbell_domain::receipt::CLOUDEVENTS;
use watchbell_wire::{Dialect, Headers};

const GITHUB: &str = "github";
const FORM: &str = "application/x-www-form-urlencoded";
/// What a CloudEvent that is a document of its own, or a list of them, begins with.
const STRUCTURED: &str = "application/cloudevents";

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    /// JSON as a whole.
    Json,
    /// A form, with JSON in one of its fields.
    Form,
    /// Anything: what it says stands in headers.
    Opaque,
}

/// What the body of such a request is. `Err`: what the dialect wants.
pub(super) fn of(dialect: &Dialect, headers: &Headers) -> Result<Media, &'static str> {
    let mut lines = headers.all("content-type");
    let (line, is_repeated) = (lines.next(), lines.next().is_some());
    let text = match line.map(std::str::from_utf8) {
        _ if is_repeated => return Err("one Content-Type"),
        None => String::new(),
        Some(Ok(text)) => text.to_ascii_lowercase(),
        Some(Err(_)) => return Err("a Content-Type in ASCII"),
    };
    let (kind, params) = text.split_once(';').unwrap_or((&text, ""));
    let kind = kind.trim();
    let is_json = (kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json")))
        && is_utf8(params);
    match dialect.id {
        CLOUDEVENTS if kind.starts_with(STRUCTURED) && !is_json => Err("of CloudEvents' formats only JSON"),
        CLOUDEVENTS if is_json => Ok(Media::Json),
        CLOUDEVENTS => Ok(Media::Opaque),
        GITHUB if kind == FORM => Ok(Media::Form),
        GITHUB if !is_json => Err("application/json or application/x-www-form-urlencoded"),
        _ if !is_json => Err("application/json"),
        _ => Ok(Media::Json),
    }
}

fn is_utf8(params: &str) -> bool {
    let mut charsets = params.split(';').filter_map(|param| param.trim().strip_prefix("charset="));
    charsets.all(|charset| matches!(charset.trim_matches('"'), "utf-8" | "utf8"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("snyk", &["application/json"], Some(Media::Json))]
    #[case("snyk", &["Application/JSON; charset=\"UTF-8\""], Some(Media::Json))]
    #[case("snyk", &["application/vnd.acme+json"], Some(Media::Json))]
    #[case("snyk", &["application/json; charset=utf-16"], None)]
    #[case("snyk", &["application/json", "application/json"], None)]
    #[case("snyk", &[], None)]
    #[case("snyk", &["text/plain"], None)]
    #[case("snyk", &["application/x-www-form-urlencoded"], None)]
    #[case("snyk", &["multipart/form-data; boundary=x"], None)]
    #[case("github", &["application/x-www-form-urlencoded"], Some(Media::Form))]
    #[case("github", &["text/plain"], None)]
    #[case("cloudevents", &["application/cloudevents+json; charset=UTF-8"], Some(Media::Json))]
    #[case("cloudevents", &["application/cloudevents-batch+json"], Some(Media::Json))]
    #[case("cloudevents", &["application/cloudevents+avro"], None)]
    #[case("cloudevents", &["application/json"], Some(Media::Json))]
    #[case("cloudevents", &["text/plain"], Some(Media::Opaque))]
    #[case("cloudevents", &[], Some(Media::Opaque))]
    fn b16_media_types(#[case] dialect: &str, #[case] lines: &[&str], #[case] media: Option<Media>) {
        let headers: Headers = lines.iter().map(|line| ("Content-Type", *line)).collect();
        assert_eq!(of(watchbell_wire::dialect::find(dialect).unwrap(), &headers).ok(), media);
    }
}
