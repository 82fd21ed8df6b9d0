//! What Linux tells about processes and the machine, from `/proc`. `None` elsewhere.

/// Clock ticks in a second in `/proc/PID/stat`: fixed in the kernel's interface.
const TICKS_PER_SECOND: f64 = 100.0;

/// Resident memory of a process, in MiB; `None` as `process` means this one.
pub(crate) fn resident_mib(process: Option<u32>) -> Option<f64> {
    status_mib(process, "VmRSS:")
}

/// The most memory that this process ever had resident, in MiB.
pub(crate) fn peak_mib() -> Option<f64> {
    status_mib(None, "VmHWM:")
}

fn status_mib(process: Option<u32>, key: &str) -> Option<f64> {
    let process = process.map_or_else(|| "self".to_owned(), |id| id.to_string());
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

/// Processor time that a process has used, user and system, in seconds.
pub(crate) fn cpu_seconds(process: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name stands in parentheses and may hold anything; 14th and 15th field of the line are user and system time.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

/// The machine in a line: processor, how many, and how busy it is now.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown").to_owned();
    format!("{}, {cores} cores, load average {load}", model.unwrap_or("unknown processor"))
}
