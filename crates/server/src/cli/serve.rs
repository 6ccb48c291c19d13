//! `wanglou serve`: the platform.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use wanglou_model::Timestamp;

use super::ExitStatus;
use crate::api::{self, App, guard::Peer};
use crate::config::{Config, File, Flags, WatchFlag};
use crate::listener::Gate;
use crate::platform::{OpenSource, Plan, Platform, SourcePlan};
use crate::rulebook::{ProcessingArgs, RuleSources};
use crate::tls::{self, Tls, outward_address};

/// How long answers under way may take once we are told to stop.
const FAREWELL: Duration = Duration::from_secs(10);

/// Runs the platform: takes events in, stores, searches, detects 启动平台
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where everything is kept
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address of the console and the API [default: 0.0.0.0:8443]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Plain HTTP, for development: on loopback only
    #[arg(long)]
    dev_http: bool,
    /// Takes syslog over UDP here (repeatable)
    #[arg(long, value_name = "ADDRESS:PORT")]
    syslog_udp: Vec<SocketAddr>,
    /// Takes syslog over TCP here (repeatable)
    #[arg(long, value_name = "ADDRESS:PORT")]
    syslog_tcp: Vec<SocketAddr>,
    /// Takes syslog over TLS here (repeatable); `client_authority` in the configuration says whom it lets in
    #[arg(long, value_name = "ADDRESS:PORT")]
    syslog_tls: Vec<SocketAddr>,
    /// Takes NetFlow, IPFIX, sFlow and NetStream here (repeatable)
    #[arg(long, value_name = "ADDRESS:PORT")]
    flow: Vec<SocketAddr>,
    /// Follows the files of this folder, as a source of this name [default name: folder:DIR] (repeatable)
    #[arg(long, value_name = "[NAME=]DIR")]
    watch: Vec<WatchFlag>,
    /// Makes a Unix socket here and takes lines from it, such as Suricata's [default name: socket:FILE] (repeatable)
    #[arg(long, value_name = "[NAME=]PATH")]
    socket: Vec<WatchFlag>,
    /// Sigma rules beside the built-in ones: a folder, file or zip; read again when they change, or on SIGHUP (repeatable)
    #[arg(long, value_name = "PATH")]
    rules: Vec<PathBuf>,
    #[command(flatten)]
    processing: ProcessingArgs,
}

/// Runs the platform until it is told to stop.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let file = args.config.as_deref().map(File::read).transpose()?.unwrap_or_default();
    let config = Config::resolve(
        file,
        Flags {
            data_dir: args.data_dir,
            listen: args.listen,
            dev_http: args.dev_http,
            syslog_udp: args.syslog_udp,
            syslog_tcp: args.syslog_tcp,
            syslog_tls: args.syslog_tls,
            flow: args.flow,
            watch: args.watch,
            socket: args.socket,
            rules: RuleSources { paths: args.rules, processing: args.processing },
        },
    )?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    runtime.block_on(serve(config))?;
    Ok(ExitStatus::CLEAN)
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let data_dir = &config.data_dir;
    std::fs::create_dir_all(data_dir)
        .with_context(|| format!("cannot create the data directory `{}`", data_dir.display()))?;
    let mut stop_signals = StopSignals::new()?;
    let tls = Tls::open(&config.door, data_dir, config.listen)?;
    let gate = Gate::bind(config.listen, tls.as_ref().map(|tls| Arc::clone(&tls.config)))
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let syslog_tls = match config.syslog_tls.is_empty() {
        true => None,
        false => {
            let authority = config.client_authority.as_deref();
            Some(tls::for_syslog(&config.door, data_dir, config.listen, authority)?)
        }
    };
    let sources = SourcePlan {
        syslog_tls: config.syslog_tls,
        tls: syslog_tls,
        syslog_udp: config.syslog_udp,
        syslog_tcp: config.syslog_tcp,
        flow: config.flow,
        templates_dir: data_dir.join("flow-templates"),
        folders: config.folders,
        sockets: config.sockets,
    };
    let plan = Plan {
        data_dir,
        zone: config.zone.clone(),
        sources,
        rules: config.rules,
        correlation: config.correlation,
        limits: config.limits,
        retention: config.retention,
    };
    let (platform, tasks) = Platform::start(plan).await?;
    let base = base_url(gate.address(), tls.is_some());
    announce(&platform, &base, tls.as_ref(), &tasks.sources).await?;

    let app = App::new(Arc::clone(&platform), tls.is_some());
    let service = api::router(&app).into_make_service_with_connect_info::<Peer>();
    let mut stopping = platform.stop_signal();
    let server = axum::serve(gate, service)
        .with_graceful_shutdown(async move { _ = stopping.wait_for(|stop| *stop).await });
    let server = tokio::spawn(server.into_future());

    let mut hang_up = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let rules = Arc::clone(&platform.rules);
    let reloader = tokio::spawn(async move {
        while hang_up.recv().await.is_some() {
            rules.reload("SIGHUP").await;
        }
    });
    stop_signals.wait().await;
    reloader.abort();
    tracing::info!("stopping: finishing what is under way");
    platform.stop();
    if tokio::time::timeout(FAREWELL, server).await.is_err() {
        tracing::warn!("some answers took too long and were cut off");
    }
    platform.close(tasks).await;
    tracing::info!("stopped");
    Ok(())
}

/// SIGTERM and SIGINT.
struct StopSignals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl StopSignals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for stop signals");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Tells on standard output where the platform is and how to get in. Tests and scripts wait for the line that begins
/// with `listening on `.
#[expect(clippy::print_stdout, reason = "the banner is the command's output")]
async fn announce(
    platform: &Platform,
    base: &str,
    tls: Option<&Tls>,
    sources: &[OpenSource],
) -> anyhow::Result<()> {
    let setup = platform.accounts.setup_token(Timestamp::now()).await?;
    println!("Wanglou 望楼 {} · {} rules", env!("CARGO_PKG_VERSION"), platform.rule_count());
    for source in sources {
        println!("source {} on {}", source.name, source.what);
    }
    if let Some(tls) = tls {
        println!("certificate SHA-256 {}", tls.fingerprint);
        if let Some(authority) = &tls.authority {
            println!("import this authority into browsers: {}", authority.display());
        }
    }
    if let Some(token) = setup {
        println!("set up the administrator within 24 hours 请在 24 小时内打开链接创建管理员:");
        println!("setup link {base}/setup#token={}", token.reveal());
    }
    println!("listening on {base}");
    Ok(())
}

/// What to type into a browser.
fn base_url(address: SocketAddr, is_tls: bool) -> String {
    let scheme = if is_tls { "https" } else { "http" };
    let ip = if address.ip().is_unspecified() {
        outward_address().unwrap_or_else(|| std::net::Ipv4Addr::LOCALHOST.into())
    } else {
        address.ip()
    };
    format!("{scheme}://{}", SocketAddr::new(ip, address.port()))
}
