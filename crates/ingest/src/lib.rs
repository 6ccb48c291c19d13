//! Sources, framing, decoders and normalizers that turn bytes into records and OCSF events.
//!
//! The one idea: what bytes are is found out from the bytes, never from a name or a setting. Offline, a [`Reader`]
//! takes the files that [`discover`] found and hands every [`Record`](wanglou_model::Record) in them to a
//! [`RecordSink`]; live, a [`FrameDecoder`] takes what the [`source`]s delivered. Both use the same pure functions of
//! [`decode`], one file a format, and both name the product through the [`Catalog`]. [`normalize`] gives the OCSF view
//! of a record.
//!
//! Everything here reads hostile input: nothing panics, memory is bounded by [`ReadLimits`], and what cannot be read
//! is reported with file and place while the rest goes on. Storing and judging are other rooms' work.
#![forbid(unsafe_code)]

mod catalog;
pub mod decode;
mod discover;
mod frame;
pub mod identify;
mod limits;
mod normalize;
mod parsers;
mod reader;
mod router;
pub mod source;
pub mod text;
pub mod timestamp;
mod vocabulary;

pub use catalog::{Catalog, CatalogError};
pub use decode::DecodeError;
pub use discover::{Discovery, Input, discover};
pub use frame::{Accounted, FrameDecoder, FrameRecord, RejectedFrame, is_blank};
pub use limits::ReadLimits;
pub use normalize::{EventContext, normalize};
pub use parsers::{ParserError, Parsers, Sample};
pub use reader::{FileReport, FileStatus, Reader, RecordSink};
