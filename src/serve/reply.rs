//! Answers.

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// An answer; its body may be endless.
pub(super) type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// What browsers are told about every answer: scripts, styles and pictures come from here alone, no other page may
/// frame or embed it, types are what is said, and other sites do not learn the address. Without any referrer
/// browsers would say `Origin: null` of the login form, as a foreign page does.
const HEADERS: [(&str, &str); 5] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "same-origin"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
];

fn with_body(
    status: StatusCode,
    kind: &'static str,
    body: impl Body<Data = Bytes, Error = Infallible> + Send + 'static,
) -> Reply {
    let mut reply = Response::new(body.boxed_unsync());
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    // What this camera sees now is of no use later, and must not lie on anybody's disk.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

/// A whole answer.
pub(super) fn whole(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    with_body(status, kind, Full::new(body.into()))
}

/// An answer in words, for people at a terminal.
pub(super) fn words(status: StatusCode, text: impl Into<String>) -> Reply {
    let mut text = text.into();
    text.push('\n');
    whole(status, "text/plain; charset=utf-8", text)
}

/// A value as JSON.
pub(super) fn json(value: &impl Serialize) -> Reply {
    let text = serde_json::to_vec(value).expect("names and numbers are JSON");
    whole(StatusCode::OK, "application/json", text)
}

/// An answer that goes on as long as there is something in the channel.
pub(super) fn endless(kind: &'static str, chunks: mpsc::Receiver<Bytes>) -> Reply {
    with_body(StatusCode::OK, kind, Chunks(chunks))
}

/// A channel as a body.
struct Chunks(mpsc::Receiver<Bytes>);

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}
