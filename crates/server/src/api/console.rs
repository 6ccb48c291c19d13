//! The console's files, which are built into the binary.
//!
//! Files below `assets/` have a digest in their name and never change: browsers keep them for a year. Every other path
//! gives the page itself, whose script knows what to show.

use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use include_dir::{Dir, include_dir};

use super::PREFIX;
use super::problem::Problem;

/// `console/dist`, or a page that says how to build it (see `build.rs`).
static FILES: Dir<'static> = include_dir!("$WANGLOU_CONSOLE_DIR");

/// The page.
const INDEX: &str = "index.html";
const FOR_A_YEAR: &str = "public, max-age=31536000, immutable";
const ASK_EACH_TIME: &str = "no-cache";

/// The file at a path, or the page.
pub(crate) async fn file(uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    if uri.path().starts_with(PREFIX) {
        return Problem::not_found("call", "接口", uri.path()).into_response();
    }
    if let Some(file) = FILES.get_file(path) {
        let caching = if path.starts_with("assets/") { FOR_A_YEAR } else { ASK_EACH_TIME };
        return answer(path, file.contents(), caching);
    }
    // A missing asset must not come back as the page: the browser would run HTML as a script.
    if path.starts_with("assets/") {
        return StatusCode::NOT_FOUND.into_response();
    }
    match FILES.get_file(INDEX) {
        Some(page) => answer(INDEX, page.contents(), ASK_EACH_TIME),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn answer(path: &str, contents: &'static [u8], caching: &'static str) -> Response {
    ([(header::CONTENT_TYPE, content_type(path)), (header::CACHE_CONTROL, caching)], contents).into_response()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("json" | "map" | "webmanifest") => "application/json",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
