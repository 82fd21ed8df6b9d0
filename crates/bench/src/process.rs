//! The service as a process: how long a start takes, what it holds in memory, and what many instances cost.
//!
//! It must never leave a process behind: each is stopped, and killed where it does not stop.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::Context;

use crate::Effort;
use crate::clock::Moment;
use crate::proc;
use crate::sample::Samples;
use crate::table::Row;
use crate::world;

/// Speed of the simulated market.
const SPEED: f64 = 60.0;
/// Instances of the large configuration.
const INSTANCES: usize = 200;
/// Its symbols.
const SYMBOLS: usize = 50;

/// The rows of this part.
pub(crate) fn rows(effort: Effort) -> anyhow::Result<Vec<Row>> {
    let Some(program) = program() else {
        let why = "no program `vigia` beside this one; build it first: cargo build --release";
        return Ok(vec![Row::left_out("the service as a process", why)]);
    };
    let mut rows = starts(&program, effort.of(5, 20))?;
    rows.extend(small(&program, effort)?);
    rows.extend(large(&program, effort)?);
    Ok(rows)
}

fn program() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?.parent()?.join("vigia");
    program.is_file().then_some(program)
}

/// A service of its own, stopped when it goes out of scope.
struct Running {
    child: Child,
    home: PathBuf,
    begun: Moment,
    lines: Receiver<(Moment, String)>,
}

impl Running {
    fn start(program: &Path, home: &Path, config: Option<&Path>) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        command.args(["up", "--no-screen", "--data-dir"]).arg(home);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let begun = Moment::now();
        let mut child = command.spawn().with_context(|| format!("{} does not start", program.display()))?;
        let out = child.stdout.take().context("the process has no standard output")?;
        let (sender, lines) = channel();
        // Ends with the pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send((Moment::now(), line)).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, home: home.to_owned(), begun, lines })
    }

    /// Milliseconds from the start to the first line that `is_it`.
    fn line(&self, is_it: impl Fn(&str) -> bool) -> anyhow::Result<f64> {
        loop {
            let (at, line) = self.lines.recv_timeout(Duration::from_secs(30)).context("the service says nothing")?;
            if is_it(&line) {
                return Ok(at.ns_since(self.begun) / 1e6);
            }
        }
    }

    /// The phase, asked over the control socket; `None` while there is none.
    fn phase(&self) -> Option<String> {
        let mut stream = UnixStream::connect(self.home.join("current/control.sock")).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
        stream.write_all(b"{\"command\":\"status\"}\n").ok()?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).ok()?;
        let answer: serde_json::Value = serde_json::from_str(&answer).ok()?;
        find(&answer, "phase")?.as_str().map(str::to_owned)
    }

    /// Milliseconds from the start until it trades.
    fn trades(&mut self) -> anyhow::Result<f64> {
        while self.phase().as_deref() != Some("running") {
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!(
                    "the program vigia beside this one ended ({status}); build it anew: cargo build --release"
                );
            }
            anyhow::ensure!(self.begun.elapsed_s() < 30.0, "the service did not reach the phase `running`");
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(self.begun.elapsed_s() * 1e3)
    }

    /// Stops it in order; how long that took in milliseconds.
    fn stop(&mut self) -> anyhow::Result<f64> {
        let begun = Moment::now();
        self.signal(rustix::process::Signal::TERM);
        while self.child.try_wait()?.is_none() {
            anyhow::ensure!(begun.elapsed_s() < 30.0, "the service did not stop");
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(begun.elapsed_s() * 1e3)
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            // It may have ended by itself.
            let _ = rustix::process::kill_process(id, signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The first value under `key`, however deep.
fn find<'a>(value: &'a serde_json::Value, key: &str) -> Option<&'a serde_json::Value> {
    match value {
        serde_json::Value::Object(map) => map.get(key).or_else(|| map.values().find_map(|inner| find(inner, key))),
        serde_json::Value::Array(all) => all.iter().find_map(|inner| find(inner, key)),
        _ => None,
    }
}

fn starts(program: &Path, times: usize) -> anyhow::Result<Vec<Row>> {
    let mut all: [Samples; 4] = Default::default();
    for _ in 0..times {
        let directory = world::temp_dir()?;
        for [first, trades] in [[0, 1], [2, 3]] {
            let mut service = Running::start(program, directory.path(), None)?;
            // Asked for on another connection while the lines come in by themselves.
            let running = service.trades()?;
            all[first].add(service.line(|_| true)?);
            all[trades].add(running);
            service.stop()?;
        }
    }
    let row = |name: &str, samples: &Samples| Row::new(name, "ms", samples.spread(1.0));
    Ok(vec![
        row("start: first line on standard output", &all[0])
            .note("new data directory, embedded simulator, 8 instances"),
        row("start: phase running", &all[1])
            .target("< 200")
            .note("recovered, backfilled, entries allowed; asked every 2 ms"),
        row("start again: first line", &all[2]).note("on the book that the start before left"),
        row("start again: phase running", &all[3]).target("< 200"),
    ])
}

fn small(program: &Path, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let directory = world::temp_dir()?;
    let mut service = Running::start(program, directory.path(), None)?;
    let seconds = effort.of(10, 60);
    std::thread::sleep(Duration::from_secs(seconds));
    let memory = proc::resident_mib(Some(service.child.id()));
    let stop = service.stop()?;
    let name = format!("service: memory after {seconds} s");
    let memory = match memory {
        Some(mib) => Row::one(name, "MiB", mib).target("< 150").note("VmRSS; 8 instances, 5 symbols, at 60 x"),
        None => Row::left_out(name, "needs /proc"),
    };
    Ok(vec![memory, Row::one("service: stop in order", "ms", stop).note("SIGTERM to the end of the process")])
}

/// Four families, two hundred instances, fifty symbols.
fn large_config() -> String {
    let mut text = String::from("[limits]\nexposure_notional_max = \"100000000\"\n\n[simulator.symbols]\n");
    for symbol in 0..SYMBOLS {
        text.push_str(&format!("S{symbol:02}USDT = \"{}\"\n", 10 + 7 * symbol));
    }
    for family in 0..4 {
        text.push_str(&format!("\n[[family]]\nid = \"f{family}\"\n"));
    }
    let strategies = [
        "kind = \"ema-cross\"\ninterval = \"1m\"\nfast = 10\nslow = 20",
        "kind = \"bollinger\"\ninterval = \"1m\"\nperiod = 20\nwidth = 2.0\nstop_width = 3.0",
        "kind = \"donchian\"\ninterval = \"1m\"\nentry_period = 20\nexit_period = 10",
        "kind = \"ema-cross\"\ninterval = \"1m\"\nfast = 5\nslow = 15",
    ];
    for instance in 0..INSTANCES {
        let (family, symbol) = (instance % 4, instance % SYMBOLS);
        text.push_str(&format!(
            "\n[[instance]]\nid = \"i{instance:03}\"\nfamily = \"f{family}\"\ncapital = \"10000\"\n\
             symbols = [\"S{symbol:02}USDT\"]\nentry_size = \"0.05\"\n[instance.strategy]\n{}\n",
            strategies[family]
        ));
    }
    text
}

/// Exchange time at the start of a summary line, in seconds; `None` for any other line.
fn summary_seconds(line: &str) -> Option<f64> {
    let (time, rest) = line.split_once("  ")?;
    let (date, clock) = time.trim_end_matches('Z').split_once(['T', ' '])?;
    if !rest.contains("equity") {
        return None;
    }
    let day: f64 = date.rsplit('-').next()?.parse().ok()?;
    let mut parts = clock.split(':').map(|part| part.parse::<f64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    Some(((day * 24.0 + hours) * 60.0 + minutes) * 60.0 + seconds)
}

fn large(program: &Path, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let directory = world::temp_dir()?;
    let config = directory.path().join("large.toml");
    std::fs::write(&config, large_config())?;
    let mut service = Running::start(program, &directory.path().join("data"), Some(&config))?;
    let running = service.trades()?;
    let (begun, used) = (Moment::now(), proc::cpu_seconds(service.child.id()));
    std::thread::sleep(Duration::from_secs(effort.of(30, 180)));
    let seconds = begun.elapsed_s();
    let cpu = proc::cpu_seconds(service.child.id()).zip(used).map(|(after, before)| (after - before) / seconds);
    let memory = proc::resident_mib(Some(service.child.id()));
    let phase = service.phase().unwrap_or_else(|| "no answer".to_owned());
    let stop = service.stop()?;
    let summaries: Vec<(Moment, f64, String)> =
        service.lines.try_iter().filter_map(|(at, line)| Some((at, summary_seconds(&line)?, line))).collect();
    // The first two are of the recovery and its catching up; the last one is of the stop.
    let kept = summaries.get(2..summaries.len().saturating_sub(1)).unwrap_or_default();
    let pace = kept.first().zip(kept.last()).map(|(first, last)| (last.1 - first.1) / (last.0.ns_since(first.0) / 1e9));
    let fills = summaries.last().and_then(|(_, _, line)| line.rsplit_once("fills ").map(|(_, fills)| fills.to_owned()));
    let one = |name: &str, unit, value: Option<f64>| match value {
        Some(value) => Row::one(name, unit, value),
        None => Row::left_out(name, "not told"),
    };
    Ok(vec![
        one("200 instances: phase running after", "ms", Some(running)).note("new data directory, 50 symbols, 60 x"),
        one("200 instances: memory", "MiB", memory).note(format!("VmRSS after {seconds:.0} s; phase {phase}")),
        one("200 instances: processor", "CPU s/s", cpu).note("service and embedded simulator together"),
        one("200 instances: exchange time passes", "s/s", pace).target("60").note(format!(
            "{SPEED} asked for; by {} summary lines; {} fills booked",
            kept.len(),
            fills.unwrap_or_default()
        )),
        one("200 instances: stop in order", "ms", Some(stop)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_lines_tell_exchange_time() {
        let line = "2026-01-02T00:05:01Z  PAPER_TRADING running  permission ALL  equity 1";
        assert_eq!(summary_seconds(line), Some((48.0 * 60.0 + 5.0) * 60.0 + 1.0));
        assert_eq!(summary_seconds("2026-01-02T00:05:01Z  INFO something"), None);
        assert_eq!(summary_seconds("nothing"), None);
    }

    #[test]
    fn values_are_found_however_deep() {
        let value = serde_json::json!({ "a": [{ "b": 1 }, { "phase": "running" }] });
        assert_eq!(find(&value, "phase"), Some(&serde_json::json!("running")));
        assert_eq!(find(&value, "other"), None);
    }
}
