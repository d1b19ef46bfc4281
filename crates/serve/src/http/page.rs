//! The page: files that were built into the program.

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

/// One file of the page.
struct PageFile {
    path: &'static str,
    etag: &'static str,
    bytes: &'static [u8],
}

// `FILES`: what the build script found in `web/dist`.
include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

/// Shown where the program was built without the page.
const NOT_BUILT: &str = "<!doctype html><title>Sluice</title><p>This program was built without its page: run <code>make web</code>, then build it again. The API answers: try <a href=\"/api/v1/catalog\">/api/v1/catalog</a>.\n";

pub(super) async fn page(
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if method != Method::GET && method != Method::HEAD {
        let detail = format!("{method} {} is not answered here", uri.path());
        return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail));
    }
    let path = match uri.path() {
        "/" => "index.html",
        "/shop" => "shop.html",
        other => other.trim_start_matches('/'),
    };
    let Some(file) = FILES.iter().find(|file| file.path == path) else {
        if FILES.is_empty() && path == "index.html" {
            let content_type = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
            return Ok((content_type, NOT_BUILT).into_response());
        }
        let detail = format!("there is nothing at {}", uri.path());
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    // The names of assets hold a hash of what is in them.
    let cache_control = match path.starts_with("assets/") {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    };
    let known = headers.get(header::IF_NONE_MATCH);
    let mut response = match known.is_some_and(|known| known.as_bytes() == file.etag.as_bytes()) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => file.bytes.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(content_type(path)),
    );
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static(cache_control),
    );
    headers.insert(header::ETAG, HeaderValue::from_static(file.etag));
    let no_sniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, no_sniff);
    Ok(response)
}

fn content_type(path: &str) -> &'static str {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}
