//! From a request to its answer.
//!
//! Addresses are compared with fixed ones, and an event is looked for in the list that is in memory: nothing that a
//! request says becomes a path.

use super::guard::Refusal;
use super::pictures::Look;
use super::reply::{Reply, json, whole, words};
use super::site::Site;
use super::{facts, metrics, streams};
use crate::limits::{HTTP_BODY_BYTES_MAX, HTTP_REQUEST_SECONDS, PICTURE_FILE_BYTES_MAX};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, HeaderValue, LOCATION, RETRY_AFTER, SET_COOKIE};
use hyper::{Method, Request, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

const PAGE: &str = include_str!("page/index.html");
const LOGIN: &str = include_str!("page/login.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/app.js");
const DRAWING: &str = include_str!("page/draw.js");
const ICON: &str = include_str!("page/icon.svg");

const HTML: &str = "text/html; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// A wrong token costs this long.
const WRONG_TOKEN: Duration = Duration::from_millis(500);
/// A camera has this long to deliver the frame that somebody asks for.
const PICTURE: Duration = Duration::from_secs(10);

/// Answers a request.
pub(super) async fn answer(request: Request<Incoming>, site: &Arc<Site>) -> Result<Reply, Refusal> {
    let (head, body) = request.into_parts();
    let get = matches!(head.method, Method::GET | Method::HEAD);
    let path = head.uri.path();
    site.guard.check(&head.headers, get && path == "/")?;
    if get && let Some(reply) = public(path, site) {
        return Ok(reply);
    }
    if path == "/login" && head.method == Method::POST {
        return login(body, site).await;
    }
    if !site.guard.knows(&head.headers) {
        return refuse(path, get, site.guard.is_tried(&head.headers)).await;
    }
    let query = Query::new(head.uri.query());
    let follows = head.headers.get(ACCEPT).is_some_and(|value| value.as_bytes() == b"text/event-stream");
    match (&head.method, path) {
        (&Method::GET | &Method::HEAD, _) => private(path, &query, follows, site).await,
        (&Method::PUT, "/api/config") => change(body, site).await,
        _ => Err(Refusal(StatusCode::METHOD_NOT_ALLOWED, "not done here; GET, or PUT /api/config")),
    }
}

/// What is no secret.
fn public(path: &str, site: &Site) -> Option<Reply> {
    Some(match path {
        "/healthz" => facts::health(&site.board),
        "/style.css" => whole(StatusCode::OK, "text/css; charset=utf-8", STYLE),
        "/app.js" => whole(StatusCode::OK, JAVASCRIPT, SCRIPT),
        "/draw.js" => whole(StatusCode::OK, JAVASCRIPT, DRAWING),
        "/icon.svg" => whole(StatusCode::OK, "image/svg+xml", ICON),
        _ => return None,
    })
}

async fn private(path: &str, query: &Query, follows: bool, site: &Arc<Site>) -> Result<Reply, Refusal> {
    let camera = || site.camera(query.get("camera").as_deref());
    let look = |full| Look { boxes: query.get("boxes").as_deref() == Some("1"), full };
    match path {
        "/" => Ok(whole(StatusCode::OK, HTML, PAGE)),
        "/metrics" => Ok(whole(StatusCode::OK, metrics::KIND, metrics::text(site))),
        "/api/status" => Ok(json(&facts::Status::of(&site.board))),
        "/api/detections" if follows => streams::detections(site, camera()?),
        "/api/detections" => Ok(json(&site.board.panels()[camera()?].report())),
        "/api/events" if follows => streams::events(site),
        "/api/events" => Ok(json(&site.board.events().all())),
        "/api/config" => Ok(whole(StatusCode::OK, "application/json", site.settings.read())),
        "/snapshot.jpg" => picture(site, camera()?, look(true)).await,
        "/stream.mjpg" => streams::pictures(site, camera()?, look(false)),
        _ => match path.strip_prefix("/api/events/").and_then(|rest| rest.strip_suffix("/snapshot.jpg")) {
            Some(id) => snapshot(site, id),
            None => Err(Refusal(StatusCode::NOT_FOUND, "nothing here")),
        },
    }
}

/// The answer to who has no token, or (`tried`) a wrong one.
async fn refuse(path: &str, get: bool, tried: bool) -> Result<Reply, Refusal> {
    let page = get && path == "/";
    if page && tried {
        sleep(WRONG_TOKEN).await;
    }
    if page {
        return Ok(whole(StatusCode::UNAUTHORIZED, HTML, LOGIN));
    }
    sleep(WRONG_TOKEN).await;
    Err(Refusal(StatusCode::UNAUTHORIZED, "needs the token: Authorization: Bearer TOKEN, or log in at /"))
}

async fn read(body: Incoming) -> Result<Bytes, Refusal> {
    let all = Limited::new(body, HTTP_BODY_BYTES_MAX).collect();
    match timeout(Duration::from_secs(HTTP_REQUEST_SECONDS), all).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(_)) => Err(Refusal(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large, or broken")),
        Err(_) => Err(Refusal(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
    }
}

async fn login(body: Incoming, site: &Site) -> Result<Reply, Refusal> {
    let body = read(body).await?;
    let given = form_urlencoded::parse(&body).find(|(name, _)| name == "token").map(|(_, value)| value);
    match site.guard.token() {
        None => Ok(to_page("")),
        Some(token) if given.is_some_and(|given| token.is(given.trim().as_bytes())) => {
            Ok(to_page(&token.cookie()))
        }
        Some(_) => {
            sleep(WRONG_TOKEN).await;
            let again = LOGIN.replace("<p hidden", "<p");
            Ok(whole(StatusCode::UNAUTHORIZED, HTML, again))
        }
    }
}

fn to_page(cookie: &str) -> Reply {
    let mut reply = words(StatusCode::SEE_OTHER, "at /");
    reply.headers_mut().insert(LOCATION, HeaderValue::from_static("/"));
    if let Ok(cookie) = HeaderValue::from_str(cookie)
        && !cookie.is_empty()
    {
        reply.headers_mut().insert(SET_COOKIE, cookie);
    }
    reply
}

async fn change(body: Incoming, site: &Site) -> Result<Reply, Refusal> {
    let body = read(body).await?;
    Ok(match site.settings.change(&body) {
        Ok(()) => whole(StatusCode::OK, "application/json", site.settings.read()),
        Err(error) => words(StatusCode::BAD_REQUEST, error.to_string()),
    })
}

/// A picture of now.
async fn picture(site: &Site, camera: usize, look: Look) -> Result<Reply, Refusal> {
    let mut pictures = site.pictures.look(camera, look);
    match timeout(PICTURE, pictures.changed()).await {
        Ok(Ok(())) => Ok(whole(StatusCode::OK, "image/jpeg", pictures.borrow().jpeg.clone())),
        _ => {
            let mut reply = words(StatusCode::SERVICE_UNAVAILABLE, "the camera delivers no frame");
            reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("10"));
            Ok(reply)
        }
    }
}

/// The picture of an event that is still in the list. Its name is the daemon's own.
fn snapshot(site: &Site, id: &str) -> Result<Reply, Refusal> {
    let none = || Refusal(StatusCode::NOT_FOUND, "no picture of such an event");
    let all = site.board.events().all();
    let name = all.iter().find(|event| event.id == id).and_then(|event| event.snapshot.as_ref());
    let folder = site.settings.snapshots();
    let path = folder.zip(name).map(|(folder, name)| folder.join(name)).ok_or_else(none)?;
    // Small, local and soon in the cache: not worth a thread.
    let size = std::fs::metadata(&path).map_or(u64::MAX, |file| file.len());
    let file = (size <= PICTURE_FILE_BYTES_MAX).then(|| std::fs::read(&path).ok()).flatten();
    Ok(whole(StatusCode::OK, "image/jpeg", file.ok_or_else(none)?))
}

/// What stands behind the question mark.
struct Query(Vec<(String, String)>);

impl Query {
    fn new(query: Option<&str>) -> Self {
        Query(form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    fn get(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }
}
