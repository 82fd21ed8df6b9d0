//! The modes: what is put below the machines for PAPER_TRADING, SHADOW and LIVE_TRADING, and what each must find right
//! before it starts.
//!
//! It must never start LIVE without a person's promotion, with a key that can withdraw, or on an exchange that is not on
//! this machine while the recovery and breaker rows are not all in.

mod account;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use domain::{Asset, BootNumber, CorrelationId, Instrument, Millis, Notional, Quantity, Timestamp, TradingMode};
use engine::{ActorId, JournalEntry, OutsideCause, Record, Setup};
use exchange::binance::Endpoints;
use runtime::ban_file::BanFile;
use runtime::clock::{Clock, machine_time, unix_seconds};
use runtime::history::History;
use runtime::live_mode::LiveMode;
use runtime::market_feed::{MarketFeed, ask_exchange};
use runtime::paper::PaperAccount;
use runtime::paper_mode::PaperMode;
use runtime::service::{Assembly, Parts, Service};
use runtime::shadow_mode::ShadowMode;
use runtime::supervisor::{Fatal, Timing};
use runtime::venue::PaperExchange;
use runtime::wiring::{Identity, Wiring};
use store::book::Loaded;
use store::writer::Write;

use crate::config::{self, Config};

/// The process ended because it had to: its own supervisor starts it again.
const EXIT_FATAL: i32 = 70;
/// How far the exchange's clock may be behind the book's head: clocks are read at different moments.
const CLOCK_TOLERANCE_MS: i64 = 5_000;
/// The longest ban.
const BAN_MAX: Millis = Millis::from_secs(3 * 86_400);
/// How long the first records may take to be durable.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(10);

/// What a start has found before anything runs.
struct Found {
    endpoints: Endpoints,
    clock: Clock,
    instruments: Vec<Instrument>,
    kept: Loaded,
    setup: Setup,
}

/// Starts the service of the configured mode on the book in `home`. `simulator` is where the simulator in this process
/// listens; `speed` is how many seconds of the exchange pass in a real one, zero for one that is stepped.
///
/// # Errors
/// What is not right, and the remedy.
pub(crate) fn begin(
    loaded: &config::Loaded,
    home: &Path,
    simulator: Option<SocketAddr>,
    speed: f64,
) -> anyhow::Result<Service> {
    let config = &loaded.config;
    let book = home.join(Config::book_name(config.service.mode));
    let ban = home.join("exchange-ban");
    refuse_while_banned(&ban)?;
    let found = find(config, &book, simulator, speed)?;
    let silence_ms = config.exchange.stream_silence_ms;
    let market = MarketFeed::new(found.endpoints.clone(), &found.clock, silence_ms).with_bans_in(ban);
    let market = if speed == 0.0 { market.stepped() } else { market };
    match config.service.mode {
        TradingMode::Paper => {
            let account = paper_account(config, &found)?;
            let assembly = assemble(loaded, home, found)?;
            let account = exchange_of(account, assembly.wiring());
            Ok(assembly.start(Arc::new(PaperMode { market, account }))?)
        }
        TradingMode::Shadow => {
            let credentials = account::credentials(config)?;
            let checked = account::check(config, &found, &market, &credentials)?;
            let account = shadow_account(config, &found, &checked.held)?;
            let baseline = account::baseline(config, &found, &checked.held)?;
            let assembly = assemble(loaded, home, found)?;
            keep(assembly.wiring(), &baseline)?;
            let paper = exchange_of(account, assembly.wiring());
            Ok(assembly.start(Arc::new(ShadowMode { market, credentials, paper }))?)
        }
        TradingMode::Live => {
            account::loopback_only(&found.endpoints)?;
            account::promoted(&book, &found.kept)?;
            let credentials = account::credentials(config)?;
            let checked = account::check(config, &found, &market, &credentials)?;
            let baseline = account::baseline(config, &found, &checked.held)?;
            let assembly = assemble(loaded, home, found)?;
            keep(assembly.wiring(), &baseline)?;
            Ok(assembly.start(Arc::new(LiveMode { market, credentials }))?)
        }
    }
}

/// Before the exchange has told its time, only the machine's can say whether a ban is over (I9). A simulated exchange of
/// another time is not held up by it.
fn refuse_while_banned(ban: &Path) -> anyhow::Result<()> {
    match BanFile::at(ban.to_owned()).read() {
        Some(until) if until > machine_time() && until < machine_time() + BAN_MAX => bail!(
            "the exchange has banned this address until {until}, and every request would make that longer: nothing is asked \
             before. Start again then."
        ),
        Some(_) | None => Ok(()),
    }
}

fn find(config: &Config, book: &Path, simulator: Option<SocketAddr>, speed: f64) -> anyhow::Result<Found> {
    let public = config.service.mode == TradingMode::Paper;
    let endpoints =
        simulator.map_or_else(|| config.exchange.endpoints(public), |address| Endpoints::at(&address.to_string()));
    let clock = Clock::new();
    let symbols = config.setup(BootNumber(0)).symbols();
    let (time, instruments) = ask_exchange(&endpoints, &clock, &symbols).map_err(anyhow::Error::msg)?;
    clock.anchor(time, speed);
    let kept = block_on(store::book::load(book))??;
    check_head(&kept, time, book)?;
    let setup = config.setup(BootNumber(unix_seconds().max(kept.last_boot.0 + 1)));
    Ok(Found { endpoints, clock, instruments, kept, setup })
}

fn block_on<T>(future: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime to start in")?;
    Ok(runtime.block_on(future))
}

fn assemble(loaded: &config::Loaded, home: &Path, found: Found) -> anyhow::Result<Assembly> {
    let config = &loaded.config;
    // Its thread ends with the last handle; what is in it can be fetched again, so nobody waits for it.
    let (history, _) = History::open(&home.join(config::MARKET))?;
    let parts = Parts {
        setup: found.setup,
        identity: Identity {
            mode: config.service.mode,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config_hash: loaded.hash.clone(),
        },
        book: home.join(Config::book_name(config.service.mode)),
        clock: found.clock,
        instruments: found.instruments,
        history,
        timing: Timing {
            cycle_ms: config.service.cycle_ms,
            hang_timeout_ms: config.service.hang_timeout_ms,
            drain_timeout_ms: config.service.drain_timeout_ms,
        },
        on_fatal: Box::new(end_process),
    };
    Ok(Assembly::new(parts)?)
}

fn exchange_of(account: PaperAccount, wiring: &Wiring) -> PaperExchange {
    PaperExchange::new(account, wiring.journal.clone(), wiring.router.clone(), wiring.clock.clone())
}

/// Makes what is held beside the books durable, before the first life reads the book.
fn keep(wiring: &Wiring, baseline: &BTreeMap<Asset, (Quantity, OutsideCause)>) -> anyhow::Result<()> {
    for (asset, (quantity, cause)) in baseline {
        eprintln!("held beside the books: {quantity} {asset} ({cause})");
        let record = Record::OutsideChanged { asset: asset.clone(), quantity: *quantity, cause: cause.clone() };
        let (time, correlation_id) = (wiring.clock.now(), CorrelationId::default());
        let entry = JournalEntry { time, actor: ActorId::GlobalRisk, correlation_id, record };
        wiring.journal.append(Write::Entry(Box::new(entry))).context("the journal takes nothing")?;
    }
    block_on(wiring.journal.flushed(FLUSH_TIMEOUT))?.map_err(anyhow::Error::msg)
}

fn end_process(fatal: &Fatal) {
    eprintln!("vigia: {fatal}");
    std::process::exit(EXIT_FATAL);
}

/// A feed that is older than the head of the book would trade the past.
fn check_head(kept: &Loaded, time: Timestamp, book: &Path) -> anyhow::Result<()> {
    match kept.book.head {
        Some(head) if time.as_millis() + CLOCK_TOLERANCE_MS < head.as_millis() => bail!(
            "FEED_BEHIND_BOOK: the exchange's clock is at {time} and the book {} at {head}. A book cannot go back: move its \
             directory away to begin a new one, or let the market catch up.",
            book.display()
        ),
        Some(_) | None => Ok(()),
    }
}

/// The account as it was kept, with the capital of instances that are new.
fn paper_account(config: &Config, found: &Found) -> anyhow::Result<PaperAccount> {
    let (setup, kept) = (&found.setup, &found.kept);
    let known = |id: &domain::InstanceId| kept.book.ledger.instances.iter().any(|book| book.id == *id);
    let new: Notional =
        setup.instances.iter().filter(|instance| !known(&instance.id)).map(|instance| instance.capital).sum();
    if let Some(mut account) = kept_account(kept)? {
        if new.is_positive() {
            account.deposit(&setup.currency, new, Timestamp::EPOCH);
        }
        return Ok(account);
    }
    Ok(PaperAccount::open(config.paper.clone(), found.instruments.clone(), &setup.currency, new))
}

/// The account as it was kept; at the first start a copy of the real one.
fn shadow_account(config: &Config, found: &Found, held: &BTreeMap<Asset, Quantity>) -> anyhow::Result<PaperAccount> {
    match kept_account(&found.kept)? {
        Some(account) => Ok(account),
        None => Ok(PaperAccount::open_like(config.paper.clone(), found.instruments.clone(), held)),
    }
}

fn kept_account(kept: &Loaded) -> anyhow::Result<Option<PaperAccount>> {
    match &kept.paper_account {
        Some(state) => PaperAccount::restore(state)
            .map(Some)
            .context("the simulated account's state is damaged; keep the file and restore the newest backup"),
        None if kept.book.ledger.instances.is_empty() => Ok(None),
        None => bail!("the book has instances and no simulated account: it is damaged; restore the newest backup"),
    }
}
