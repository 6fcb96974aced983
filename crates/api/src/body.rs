//! Reading bodies: media type, size, time, strict JSON, shape. In this order, so that little is spent on what is refused.
//!
//! What is read stays as bytes and is parsed by borrowing, so that an event's data reaches the store byte for byte.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use jiff::SignedDuration;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use watchbell_domain::port::Clock;
use watchbell_engine::spool::Spooled;

use crate::edge::Room;
use crate::once::OnceKey;
use crate::problem::{At, Problem, Result};

/// Longest piece of input that a message repeats, in characters.
const ECHO_LENGTH_MAX: usize = 60;

/// In pieces of so many bytes memory for bodies is given out.
const MEMORY_UNIT: u64 = 1024;

/// How much of a body there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// One event, in bytes (`api.max_event_bytes`).
    pub event_bytes_max: u64,
    /// A batch of events, in bytes.
    pub batch_bytes_max: u64,
    /// A scanner's report, in bytes (`scan.max_bytes`).
    pub report_bytes_max: u64,
    /// A document, in bytes (`evidence.max_bytes`).
    pub evidence_bytes_max: u64,
    /// What a vendor calls a source with, in bytes (`ingress.max_body_bytes`).
    pub ingress_bytes_max: u64,
    /// Every other body, in bytes.
    pub other_bytes_max: u64,
    /// Levels of JSON (`json.max_depth`).
    pub json_depth_max: usize,
    /// From the first to the last byte (`server.body_timeout`).
    pub timeout: SignedDuration,
    /// The same of reports and documents (`scan.upload_timeout`).
    pub upload_timeout: SignedDuration,
    /// Bytes that have to come in each `rate_window`, for each second of it (`server.min_body_rate`); 0: none.
    pub bytes_per_second_min: u64,
    /// `server.body_rate_window`
    pub rate_window: SignedDuration,
    /// All bodies that are read or worked on at a time, in bytes together (`server.max_body_memory`).
    pub memory_bytes_max: u64,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            event_bytes_max: 1024 * 1024,
            batch_bytes_max: 8 * 1024 * 1024,
            report_bytes_max: 256 * 1024 * 1024,
            evidence_bytes_max: 256 * 1024 * 1024,
            ingress_bytes_max: 5 * 1024 * 1024,
            other_bytes_max: 256 * 1024,
            json_depth_max: 64,
            timeout: SignedDuration::from_secs(20),
            upload_timeout: SignedDuration::from_mins(15),
            bytes_per_second_min: 1024,
            rate_window: SignedDuration::from_secs(5),
            memory_bytes_max: 256 * 1024 * 1024,
        }
    }
}

impl BodyLimits {
    /// What has to come in a window.
    fn window_bytes_min(&self) -> u64 {
        let millis = u64::try_from(self.rate_window.as_millis()).unwrap_or_default();
        self.bytes_per_second_min.saturating_mul(millis) / 1000
    }
}

/// Reads bodies within limits.
#[derive(Debug, Clone)]
pub struct BodyReader {
    pub(crate) limits: BodyLimits,
    pub(crate) clock: Arc<dyn Clock>,
    memory: Arc<Semaphore>,
}

/// A body that has been read, with what is needed to answer a repetition of its request.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) body: Bytes,
    pub(crate) once: OnceKey,
    /// Its share of the memory for bodies, as long as it is worked on.
    _memory: Memory,
}

/// What came of a body.
#[derive(Debug)]
pub(crate) struct Beginning {
    pub(crate) kept: Bytes,
    /// So many were read.
    pub(crate) bytes: u64,
    /// Why there is not more.
    pub(crate) ended: Result<()>,
    _memory: Memory,
}

impl Beginning {
    /// Whether `kept` is the whole body.
    pub(crate) fn is_whole(&self) -> bool {
        self.ended.is_ok() && self.bytes == u64::try_from(self.kept.len()).unwrap_or(u64::MAX)
    }
}

/// A body's bytes, and their share of the memory for bodies for as long as they are worked on.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) bytes: Bytes,
    pub(crate) memory: Memory,
}

/// As [`Write`], of a body in a file.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) body: Spooled,
    pub(crate) once: OnceKey,
}

impl Write {
    /// Reads the body as `T`.
    pub(crate) fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T> {
        parse(&self.body)
    }

    /// As [`Self::parse`] where an absent body means the default.
    pub(crate) fn parse_or_default<'a, T: Deserialize<'a> + Default>(&'a self) -> Result<T> {
        if self.body.is_empty() {
            return Ok(T::default());
        }
        self.parse()
    }
}

/// Reads checked JSON as `T`.
pub(crate) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer(error.path());
        // serde's words without the position, which is of no use beside the pointer.
        let words = error.inner().to_string();
        let detail = short(words.split(" at line ").next().unwrap_or_default());
        Problem::PayloadInvalid(vec![At { pointer, detail }])
    })
}

/// A share of the memory for bodies.
#[derive(Debug)]
pub(crate) struct Memory {
    all: Arc<Semaphore>,
    share: Option<OwnedSemaphorePermit>,
}

impl Memory {
    /// Makes it at least so many bytes.
    fn hold(&mut self, bytes: u64) -> Result<()> {
        let held = self.share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let wanted = usize::try_from(bytes.div_ceil(MEMORY_UNIT)).unwrap_or(usize::MAX);
        let Some(more) = wanted.checked_sub(held).filter(|more| *more > 0) else {
            return Ok(());
        };
        let more = u32::try_from(more).map_err(|_| Problem::Overloaded)?;
        let more = Arc::clone(&self.all).try_acquire_many_owned(more).map_err(|_| Problem::Overloaded)?;
        match &mut self.share {
            Some(share) => share.merge(more),
            None => self.share = Some(more),
        }
        Ok(())
    }
}

impl BodyReader {
    /// Reads within these limits.
    pub(crate) fn new(limits: BodyLimits, clock: Arc<dyn Clock>) -> Self {
        let units = usize::try_from(limits.memory_bytes_max.div_ceil(MEMORY_UNIT)).unwrap_or(usize::MAX);
        Self { limits, clock, memory: Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))) }
    }

    /// A JSON body of at most `bytes_max`.
    pub(crate) async fn json(&self, request: Request, bytes_max: u64) -> Result<Write> {
        check_media_type(request.headers())?;
        let write = self.raw(request, bytes_max).await?;
        self.check(&write.body)?;
        Ok(write)
    }

    /// A JSON body that may be left out.
    pub(crate) async fn optional_json(&self, request: Request) -> Result<Write> {
        let typed = request.headers().contains_key(header::CONTENT_TYPE);
        let media_type = check_media_type(request.headers());
        let write = self.raw(request, self.limits.other_bytes_max).await?;
        if !write.body.is_empty() || typed {
            media_type?;
        }
        if !write.body.is_empty() {
            self.check(&write.body)?;
        }
        Ok(write)
    }

    /// A body of any type.
    pub(crate) async fn raw(&self, request: Request, bytes_max: u64) -> Result<Write> {
        check_encoding(request.headers())?;
        let once = OnceKey::of(&request)?;
        let (parts, body) = request.into_parts();
        let Gathered { bytes: body, memory } = self.gather(&parts.headers, body, bytes_max).await?;
        let once = once.with_body(&body);
        Ok(Write { body, once, _memory: memory })
    }

    /// The bytes of a body.
    pub(crate) async fn gather(&self, headers: &HeaderMap, body: Body, bytes_max: u64) -> Result<Gathered> {
        let announced = announced(headers);
        if announced.is_some_and(|bytes| bytes > bytes_max) {
            return Err(Problem::BodyTooLarge(bytes_max));
        }
        let mut memory = Memory { all: Arc::clone(&self.memory), share: None };
        // What is announced is set apart at once; of what is not, piece by piece.
        memory.hold(announced.unwrap_or_default())?;
        let gathered = AtomicU64::new(0);
        let bytes = tokio::select! {
            biased;
            bytes = collect(body, bytes_max, &gathered, &mut memory) => bytes?,
            () = self.too_slow(&gathered) => return Err(Problem::BodyTimeout),
            () = self.clock.sleep(self.limits.timeout) => return Err(Problem::BodyTimeout),
        };
        Ok(Gathered { bytes, memory })
    }

    /// The beginning of a body of any type, for whoever wants to see what came: at most `kept_max` bytes are kept and
    /// `read_max` read. What stopped it early stands beside it.
    pub(crate) async fn beginning(&self, body: Body, kept_max: usize, read_max: u64) -> Result<Beginning> {
        let mut memory = Memory { all: Arc::clone(&self.memory), share: None };
        memory.hold(u64::try_from(kept_max).unwrap_or(u64::MAX))?;
        let gathered = AtomicU64::new(0);
        let mut kept = BytesMut::new();
        let ended = tokio::select! {
            biased;
            ended = collect_beginning(body, kept_max, read_max, &gathered, &mut kept) => ended,
            () = self.too_slow(&gathered) => Err(Problem::BodyTimeout),
            () = self.clock.sleep(self.limits.timeout) => Err(Problem::BodyTimeout),
        };
        Ok(Beginning { kept: kept.freeze(), bytes: gathered.into_inner(), ended, _memory: memory })
    }

    /// A large body of any type, in a file. Refused while there is little room for it.
    pub(crate) async fn spooled(&self, request: Request, bytes_max: u64, room: &Room) -> Result<Upload> {
        check_encoding(request.headers())?;
        let once = OnceKey::of(&request)?;
        let (parts, body) = request.into_parts();
        if announced(&parts.headers).is_some_and(|bytes| bytes > bytes_max) {
            return Err(Problem::BodyTooLarge(bytes_max));
        }
        let gathered = AtomicU64::new(0);
        tokio::select! {
            biased;
            upload = spool(body, bytes_max, &gathered, room, once) => upload,
            () = self.too_slow(&gathered) => Err(Problem::BodyTimeout),
            () = self.clock.sleep(self.limits.upload_timeout) => Err(Problem::BodyTimeout),
        }
    }

    /// Ends with the first window in which too little came.
    async fn too_slow(&self, gathered: &AtomicU64) {
        let wanted = self.limits.window_bytes_min();
        let mut before = 0;
        loop {
            self.clock.sleep(self.limits.rate_window).await;
            let now = gathered.load(Ordering::Relaxed);
            if now - before < wanted {
                return;
            }
            before = now;
        }
    }

    fn check(&self, body: &[u8]) -> Result<()> {
        let depth_max = self.limits.json_depth_max;
        let checked = watchbell_wire::json::strict::check(body, depth_max);
        checked.map(drop).map_err(|error| {
            let detail = error.to_string();
            match error.code {
                "invalid_utf8" => Problem::InvalidUtf8(detail),
                "invalid_unicode" => Problem::InvalidUnicode(detail),
                "duplicate_key" => Problem::DuplicateKey(detail),
                "json_too_deep" => Problem::JsonTooDeep(detail),
                "number_out_of_range" => Problem::NumberOutOfRange(detail),
                _ => Problem::InvalidJson(detail),
            }
        })
    }
}

async fn collect(mut body: Body, bytes_max: u64, count: &AtomicU64, memory: &mut Memory) -> Result<Bytes> {
    let mut gathered = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::BodyIncomplete)?;
        let Ok(data) = frame.into_data() else { continue };
        let so_far = u64::try_from(gathered.len() + data.len()).unwrap_or(u64::MAX);
        if so_far > bytes_max {
            return Err(Problem::BodyTooLarge(bytes_max));
        }
        memory.hold(so_far)?;
        gathered.extend_from_slice(&data);
        count.store(so_far, Ordering::Relaxed);
    }
    Ok(gathered.freeze())
}

async fn collect_beginning(
    mut body: Body,
    kept_max: usize,
    read_max: u64,
    count: &AtomicU64,
    kept: &mut BytesMut,
) -> Result<()> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::BodyIncomplete)?;
        let Ok(data) = frame.into_data() else { continue };
        let room = kept_max.saturating_sub(kept.len()).min(data.len());
        kept.extend_from_slice(data.get(..room).unwrap_or_default());
        let so_far = count.load(Ordering::Relaxed).saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        count.store(so_far, Ordering::Relaxed);
        if so_far > read_max {
            return Err(Problem::BodyTooLarge(read_max));
        }
    }
    Ok(())
}

async fn spool(mut body: Body, bytes_max: u64, count: &AtomicU64, room: &Room, mut once: OnceKey) -> Result<Upload> {
    room.check().await?;
    let of_file = |error: std::io::Error| Problem::of_file(&error);
    let mut writing = room.spool.begin().await.map_err(of_file)?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::BodyIncomplete)?;
        let Ok(data) = frame.into_data() else { continue };
        let so_far = writing.bytes().saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        if so_far > bytes_max {
            return Err(Problem::BodyTooLarge(bytes_max));
        }
        once.take(&data);
        if writing.write(&data).await.map_err(of_file)? {
            room.check().await?;
        }
        count.store(so_far, Ordering::Relaxed);
    }
    Ok(Upload { body: writing.end().await.map_err(of_file)?, once })
}

pub(crate) fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

pub(crate) fn check_encoding(headers: &HeaderMap) -> Result<()> {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    match codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        true => Ok(()),
        false => Err(Problem::UnsupportedEncoding),
    }
}

/// `application/json` or `application/…+json`, in UTF-8 where it says so.
fn check_media_type(headers: &HeaderMap) -> Result<()> {
    let wanted = || Problem::UnsupportedMediaType("Content-Type must be application/json".to_owned());
    let mut lines = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return Err(wanted());
    };
    let text = line.to_str().map_err(|_| wanted())?.to_ascii_lowercase();
    let (kind, params) = text.split_once(';').unwrap_or((&text, ""));
    let kind = kind.trim();
    let is_json = kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"));
    let is_utf8 = params
        .split(';')
        .filter_map(|param| param.trim().strip_prefix("charset="))
        .all(|charset| matches!(charset.trim_matches('"'), "utf-8" | "utf8"));
    match is_json && is_utf8 {
        true => Ok(()),
        false => Err(wanted()),
    }
}

/// The message with long pieces of input cut: it repeats what was sent.
fn short(words: &str) -> String {
    let cut = |word: &str| match word.char_indices().nth(ECHO_LENGTH_MAX) {
        Some((end, _)) => format!("{}…", word.get(..end).unwrap_or_default()),
        None => word.to_owned(),
    };
    let cut = words.split(' ').map(cut).collect::<Vec<_>>().join(" ");
    cut.chars().take(200).collect()
}

/// A JSON pointer (RFC 6901) of serde's path.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut text = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => text.push_str(&format!("/{index}")),
            Segment::Map { key } | Segment::Enum { variant: key } => {
                let key: String = key.chars().take(ECHO_LENGTH_MAX).collect();
                text.push('/');
                text.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Unknown => text.push_str("/?"),
        }
    }
    text
}
