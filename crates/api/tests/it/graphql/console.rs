//! The console's files.

use http::{Method, header};

use super::with_header;
use crate::world::{World, request};

#[tokio::test]
async fn e13_the_page_is_served_with_its_policy_to_browsers_alone() {
    let world = World::new().await;
    let page = request("", Method::GET, "/graphql", None);
    let page = world.send(with_header(page, header::ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8")).await.is(200);
    let text = page.text();
    assert!(text.starts_with("<!doctype html>"));
    assert!(
        !text.contains("<style") && !text.contains(" style=") && !text.contains("onclick") && !text.contains("http://")
    );
    for path in ["/graphql/console.js", "/graphql/console.css"] {
        assert!(text.contains(path), "{path}");
        let file = world.send(request("", Method::GET, path, None)).await.is(200);
        assert!(file.text().len() > 1000, "{path}");
        assert!(!file.text().contains("innerHTML") && !file.text().contains("localStorage"), "{path}");
        assert_eq!(file.headers["x-content-type-options"], "nosniff");
        assert_eq!(file.headers[header::CONTENT_SECURITY_POLICY], page.headers[header::CONTENT_SECURITY_POLICY]);
    }
    let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ] {
        assert!(policy.contains(part), "{part}");
    }
    assert!(!policy.contains("unsafe"));
    // Whoever asks for no page asks a query, and that takes a key.
    world.call("", Method::GET, "/graphql", None).await.is(401);
}
