//! Interfaces of other platforms, so that shippers point at this one unchanged: Elasticsearch's `_bulk`, Splunk's HTTP
//! event collector, OpenTelemetry's exporters. They are those platforms' contracts, not ours: not in the OpenAPI document.

pub(super) mod elastic;
pub(super) mod otlp;
pub(super) mod splunk;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use wanglou_ingest::FrameDecoder;
use wanglou_lake::{Batch, Origin};
use wanglou_model::{SourceId, Timestamp};

use super::App;
use super::ingest::{full, is_gzip, read_body, unpack, weight};
use super::problem::{Kind, Problem};
use crate::platform::decode::decode;
use crate::platform::room::Place;
use crate::state::Secret;

/// The source whose token the request carries, in whichever way its sender writes it.
async fn source(app: &App, headers: &HeaderMap) -> Result<SourceId, Problem> {
    let unknown = || {
        Problem::new(
            Kind::Unauthenticated,
            "send the source's token as bearer token, API key, Splunk token or password; the console makes one under Collection",
            "请以 Bearer 令牌、API Key、Splunk 令牌或口令的形式携带数据源令牌，可在控制台“采集”页面创建",
        )
    };
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(token)
        .ok_or_else(unknown)?;
    let source = app.platform.state.source_of(&Secret::presented(&token)).await;
    source.map_err(|error| Problem::internal(&error))?.ok_or_else(unknown)
}

/// The token in an `Authorization` header.
fn token(authorization: &str) -> Option<String> {
    let (scheme, credentials) = authorization.trim().split_once(' ')?;
    let credentials = credentials.trim();
    let second_half = || {
        let pair = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
        pair.split_once(':').map(|(_, token)| token.to_owned())
    };
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" | "splunk" => Some(credentials.to_owned()),
        // An API key is `id:key` in base64, but some senders take the token as it is.
        "apikey" => second_half().or_else(|| Some(credentials.to_owned())),
        "basic" => second_half(),
        _ => None,
    }
}

/// Reads a body and unpacks it. Its place is kept for as long as what was made of it takes memory: until it is durable.
async fn body(
    app: &App,
    source: &SourceId,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Place, Bytes), Problem> {
    let is_gzip = is_gzip(headers)?;
    let place = app.platform.bodies.try_enter(source, weight(headers)).map_err(|_none_left| full())?;
    let body = read_body(body).await?;
    if !is_gzip {
        return Ok((place, body));
    }
    let unpacked = tokio::task::spawn_blocking(move || unpack(&body)).await;
    Ok((place, unpacked.map_err(|error| Problem::internal(&error))??))
}

/// Makes frames durable. Answers for each frame why it cannot be read, if so; those are dead letters.
async fn keep(
    app: &App,
    source: SourceId,
    origin: Origin,
    frames: Vec<Bytes>,
) -> Result<Vec<Option<String>>, Problem> {
    if frames.is_empty() {
        return Ok(Vec::new());
    }
    let (arrival, catalog) = (Timestamp::now(), Arc::clone(&app.platform.catalog));
    let (batch_origin, batch_frames) = (origin.clone(), frames.clone());
    let decoded = tokio::task::spawn_blocking(move || {
        decode(&mut FrameDecoder::new(catalog), &batch_origin, &batch_frames)
    });
    let decoded = decoded.await.map_err(|error| Problem::internal(&error))?;
    let mut refused = vec![None; frames.len()];
    for rejected in &decoded.rejected {
        if let Some(slot) = refused.get_mut(rejected.frame) {
            *slot = Some(rejected.reason.clone());
        }
    }
    app.platform.intake.offer(Batch { source, arrival, origin, frames }, decoded).await?;
    Ok(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_token_is_read() {
        for header in [
            "Bearer wlsrc_1",
            "Splunk wlsrc_1",
            "ApiKey wlsrc_1",
            "ApiKey aWQ6d2xzcmNfMQ==",
            "Basic ZWxhc3RpYzp3bHNyY18x",
        ] {
            assert_eq!(token(header).as_deref(), Some("wlsrc_1"), "{header}");
        }
        assert_eq!(token("Basic !"), None);
        assert_eq!(token("wlsrc_1"), None);
    }
}
