//! Flow exporters over UDP: NetFlow, IPFIX, sFlow, NetStream, all on one port.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use wanglou_model::{SourceId, Timestamp};

use super::datagrams::{DatagramReader, Datagrams};
use super::{Counters, Delivery, DropReason};
use crate::decode::flow::{FlowDecoder, Templates};

/// Settings of a flow source.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowUdpConfig {
    /// Names the source, such as `flow`.
    pub source: SourceId,
    /// Address and port to listen on, such as `0.0.0.0:2055`.
    pub listen: SocketAddr,
    /// Where templates are kept over a restart; without it they are learnt anew, which takes exporters some minutes.
    #[serde(default)]
    pub templates: Option<PathBuf>,
    /// Receive buffer asked of the kernel, in bytes. The kernel grants at most `net.core.rmem_max`.
    #[serde(default = "default_receive_buffer_bytes")]
    pub receive_buffer_bytes: usize,
}

fn default_receive_buffer_bytes() -> usize {
    // Exporters send what a minute gathered at once.
    16 << 20
}

impl FlowUdpConfig {
    /// Settings for `listen`, the others at their defaults.
    #[must_use]
    pub fn new(source: SourceId, listen: SocketAddr) -> Self {
        Self { source, listen, templates: None, receive_buffer_bytes: default_receive_buffer_bytes() }
    }
}

/// A bound socket with the templates of those who send to it.
#[derive(Debug)]
pub struct FlowUdp(Datagrams<Flows>);

impl FlowUdp {
    /// Reads the templates that were kept and binds the socket.
    ///
    /// # Errors
    /// What the kernel says: the address is in use, or the port needs a privilege. A damaged file of templates is
    /// none: they are learnt anew.
    pub async fn bind(config: FlowUdpConfig) -> io::Result<Self> {
        let templates = config.templates.as_deref().map(read_templates).unwrap_or_default();
        let flows = Flows { decoder: FlowDecoder::new(templates), file: config.templates, is_changed: false };
        Datagrams::bind(config.source, config.listen, config.receive_buffer_bytes, flows).await.map(Self)
    }

    /// The address it is bound to.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Its counters, which live on after it.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        self.0.counters()
    }

    /// Receives until `shutdown` turns true or nobody takes what it delivers.
    ///
    /// # Errors
    /// When the socket fails for good.
    pub async fn run(self, out: mpsc::Sender<Delivery>, shutdown: watch::Receiver<bool>) -> io::Result<()> {
        self.0.run(out, shutdown).await
    }
}

#[derive(Debug)]
struct Flows {
    decoder: FlowDecoder,
    file: Option<PathBuf>,
    is_changed: bool,
}

impl DatagramReader for Flows {
    fn read(&mut self, from: SocketAddr, datagram: &[u8], frames: &mut Vec<Bytes>, counters: &Counters) {
        match self.decoder.decode(from.ip().to_canonical(), datagram, Timestamp::now().millis(), frames) {
            Ok(report) => {
                self.is_changed |= report.has_new_templates;
                counters.add_dropped(DropReason::NoTemplate, report.sets_without_template);
            }
            Err(error) => {
                tracing::debug!(%from, %error, "a datagram cannot be read as flows");
                counters.add_dropped(DropReason::Malformed, 1);
            }
        }
    }

    fn tick(&mut self) {
        let Some(file) = self.file.as_deref().filter(|_| self.is_changed) else { return };
        match write_templates(file, self.decoder.templates()) {
            Ok(()) => self.is_changed = false,
            Err(error) => tracing::warn!(file = %file.display(), %error, "templates cannot be kept"),
        }
    }
}

fn read_templates(file: &Path) -> Templates {
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Templates::default(),
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "templates that were kept cannot be read");
            return Templates::default();
        }
    };
    serde_json::from_slice(&text).unwrap_or_else(|error| {
        tracing::warn!(file = %file.display(), %error, "templates that were kept are damaged");
        Templates::default()
    })
}

/// Writes to the side and renames, so that a crash leaves the old file or the new one.
fn write_templates(file: &Path, templates: &Templates) -> io::Result<()> {
    let side = file.with_extension("new");
    std::fs::write(&side, serde_json::to_vec(templates)?)?;
    std::fs::rename(&side, file)
}
