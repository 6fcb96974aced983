//! The catalogue as a page to read: plain HTML made on the server, one stylesheet, nothing from elsewhere, no script.

use std::fmt::{Display, Formatter, Write};
use std::sync::OnceLock;

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, header};
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_wire::{EventType, dialect};

use super::event_types::{Shown, TypeView};
use crate::edge::Edge;

/// What a page of ours may load: itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

const STYLE: &str = include_str!("events_page.css");

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default().routes(routes!(events_page)).routes(routes!(events_style))
}

/// The catalogue of built-in event types, to be read.
#[utoipa::path(get, path = "/docs/events", tag = "operation", security(()),
    responses((status = 200, body = String, content_type = "text/html")))]
async fn events_page() -> Response {
    static PAGE: OnceLock<String> = OnceLock::new();
    let page = PAGE.get_or_init(|| {
        let types = EventType::BUILT_IN.iter().map(|event_type| TypeView::built_in(event_type, Shown::Whole));
        page(&types.collect::<Vec<_>>())
    });
    served(page.as_str(), "text/html; charset=utf-8")
}

/// How the catalogue looks.
#[utoipa::path(get, path = "/docs/events.css", tag = "operation", security(()),
    responses((status = 200, body = String, content_type = "text/css")))]
async fn events_style() -> Response {
    served(STYLE, "text/css; charset=utf-8")
}

fn served(text: &'static str, kind: &'static str) -> Response {
    let policy = (HeaderName::from_static("content-security-policy"), HeaderValue::from_static(POLICY));
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(kind));
    ([kind, policy], text).into_response()
}

fn page(types: &[TypeView]) -> String {
    let mut out = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Watchbell: events</title>\n\
         <link rel=\"stylesheet\" href=\"/docs/events.css\">\n</head>\n<body>\n<header>\n<h1>Events</h1>\n\
         <p>Every event type, the data it carries, and the body that goes out in each format that can say it. Types of \
         an organisation's own stand in its catalogue: <code>GET /api/v1/orgs/{org}/event-types</code>.</p>\n</header>\n",
    );
    // Writing to a string cannot fail.
    contents(&mut out, types).ok();
    out.push_str("<main>\n");
    for event_type in types {
        section(&mut out, event_type).ok();
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn contents(out: &mut String, types: &[TypeView]) -> std::fmt::Result {
    out.push_str("<nav aria-label=\"Event types\">\n<table>\n<thead><tr><th scope=\"col\">event</th>");
    let dialects: Vec<&str> = dialect::ALL.iter().map(|dialect| dialect.id).collect();
    for id in &dialects {
        write!(out, "<th scope=\"col\">{}</th>", Escaped(id))?;
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for event_type in types {
        let name = Escaped(&event_type.name);
        write!(out, "<tr><th scope=\"row\"><a href=\"#{name}\">{name}</a></th>")?;
        for id in &dialects {
            let said = event_type.dialects.iter().find(|saying| saying.dialect == *id);
            match said {
                Some(saying) => write!(out, "<td><code>{}</code></td>", Escaped(&saying.name))?,
                None => out.push_str("<td>–</td>"),
            }
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</nav>\n");
    Ok(())
}

fn section(out: &mut String, event_type: &TypeView) -> std::fmt::Result {
    let name = Escaped(&event_type.name);
    writeln!(out, "<section id=\"{name}\">\n<h2>{name}</h2>\n<p>{}</p>", Escaped(&event_type.description))?;
    if let Some(example) = &event_type.example {
        writeln!(out, "<h3>Data</h3>\n<pre>{}</pre>", Escaped(&pretty(example.get())))?;
    }
    if let Some(schema) = &event_type.schema {
        let schema = format!("{schema:#}");
        writeln!(out, "<details>\n<summary>JSON Schema</summary>\n<pre>{}</pre>\n</details>", Escaped(&schema))?;
    }
    for saying in &event_type.dialects {
        let Some(body) = &saying.body else { continue };
        writeln!(
            out,
            "<details>\n<summary>{}: <code>{}</code></summary>\n<pre>{}</pre>\n</details>",
            Escaped(saying.dialect),
            Escaped(&saying.name),
            Escaped(&pretty(body))
        )?;
    }
    out.push_str("</section>\n");
    Ok(())
}

/// JSON with its lines; other text as it is.
fn pretty(text: &str) -> String {
    serde_json::from_str::<Value>(text).map_or_else(|_| text.to_owned(), |value| format!("{value:#}"))
}

/// Text that stays text in HTML, also inside quotes.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e13_nothing_that_is_shown_becomes_markup() {
        let text = "<script>alert(1)</script> \"' onload=x & <img src=//x>";
        let shown = Escaped(text).to_string();
        assert!(!shown.contains(['<', '>', '"', '\'']), "{shown}");
        let hostile = TypeView {
            name: text.to_owned(),
            description: text.to_owned(),
            schema: Some(text.into()),
            ..TypeView::built_in(&EventType::ScanStarted, Shown::Whole)
        };
        let page = page(&[hostile]);
        assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
    }
}
