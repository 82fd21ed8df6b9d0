//! The live screen: the whole service on one page, drawn again in place several times a second.
//!
//! It must never hold up the service or end it: it reads the status board, and when its terminal goes away it goes
//! quietly. Where the output is no terminal it writes lines instead: a summary now and then, and each event once.

mod layout;
mod sections;

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use runtime::status::{EventLine, Status, StatusBoard};

pub use layout::render;

use layout::Line;

/// How often a summary line is written where the output is no terminal.
const SUMMARY_EVERY: Duration = Duration::from_secs(5);
/// Columns and rows of a terminal that does not tell.
const SIZE_FALLBACK: (usize, usize) = (100, 40);

/// Where the screen goes.
pub struct Output {
    writer: Box<dyn Write + Send>,
    terminal: bool,
    colours: bool,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("terminal", &self.terminal).field("colours", &self.colours).finish()
    }
}

impl Output {
    /// Standard output: a page on a terminal, lines elsewhere; colours unless `NO_COLOR` is set.
    #[must_use]
    pub fn stdout() -> Self {
        let terminal = io::stdout().is_terminal();
        let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { writer: Box::new(io::stdout()), terminal, colours }
    }

    /// Lines into `writer`.
    #[must_use]
    pub fn lines(writer: Box<dyn Write + Send>) -> Self {
        Self { writer, terminal: false, colours: false }
    }
}

/// Shows the status as long as it lives; its end shows the last one, and gives the terminal back.
#[derive(Debug)]
pub struct Screen {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Screen {
    /// Shows what is on `board`, every `interval`.
    ///
    /// # Errors
    /// Where there is no thread to be had.
    pub fn start(board: StatusBoard, out: Output, interval: Duration) -> io::Result<Screen> {
        let (stop, stopped) = channel();
        let mut drawing = Drawing { out, seen: Vec::new(), lines_until_summary: 0, begun: false };
        let draw = move || {
            let outcome = drawing.run(&board, interval, &stopped);
            if let Err(error) = outcome.and(drawing.finish(&board)) {
                tracing::debug!(%error, "the screen's output is gone");
            }
        };
        let thread = std::thread::Builder::new().name("screen".into()).spawn(draw)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the screen died; nothing else depends on it");
        }
    }
}

struct Drawing {
    out: Output,
    /// The events of the last status, to know the new ones.
    seen: Vec<EventLine>,
    lines_until_summary: u32,
    begun: bool,
}

impl Drawing {
    fn run(&mut self, board: &StatusBoard, interval: Duration, stopped: &Receiver<()>) -> io::Result<()> {
        let turns = SUMMARY_EVERY.as_millis().div_ceil(interval.as_millis().max(1));
        let turns = u32::try_from(turns).unwrap_or(u32::MAX);
        loop {
            if let Some(status) = board.latest() {
                match self.out.terminal {
                    true => self.page(&status)?,
                    false => self.lines(&status, turns)?,
                }
            }
            match stopped.recv_timeout(interval) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    /// The last word, so that what is left on the screen is how it ended.
    fn finish(&mut self, board: &StatusBoard) -> io::Result<()> {
        if let Some(status) = board.latest() {
            match self.out.terminal {
                true => self.page(&status)?,
                false => {
                    self.lines_until_summary = 0;
                    self.lines(&status, 1)?;
                }
            }
        }
        if self.begun {
            self.out.writer.write_all(b"\r\n\x1b[?25h")?;
        }
        self.out.writer.flush()
    }

    fn page(&mut self, status: &Status) -> io::Result<()> {
        let (width, height) = terminal_size();
        let mut frame = String::new();
        if !self.begun {
            // What was there goes up into the scrollback; the cursor is hidden.
            frame.push_str(&"\r\n".repeat(height));
            frame.push_str("\x1b[?25l");
            self.begun = true;
        }
        frame.push_str("\x1b[H");
        // The last row stays free, so that nothing ever scrolls.
        for (index, Line { text, alarm }) in layout::lines(status, width, height.saturating_sub(1)).iter().enumerate() {
            if index > 0 {
                frame.push_str("\r\n");
            }
            match *alarm && self.out.colours {
                true => frame.push_str(&format!("\x1b[31m{text}\x1b[0m\x1b[K")),
                false => frame.push_str(&format!("{text}\x1b[K")),
            }
        }
        frame.push_str("\x1b[J");
        self.out.writer.write_all(frame.as_bytes())?;
        self.out.writer.flush()
    }

    fn lines(&mut self, status: &Status, turns: u32) -> io::Result<()> {
        for event in new_events(&self.seen, &status.events) {
            writeln!(self.out.writer, "{}", sections::event_line(event))?;
        }
        self.seen.clone_from(&status.events);
        if self.lines_until_summary == 0 {
            writeln!(self.out.writer, "{}", sections::summary(status))?;
            self.lines_until_summary = turns;
        }
        self.lines_until_summary = self.lines_until_summary.saturating_sub(1);
        self.out.writer.flush()
    }
}

/// Those of `now` that were not yet in `before`: both are windows over one sequence, `now` the later one.
fn new_events<'a>(before: &[EventLine], now: &'a [EventLine]) -> &'a [EventLine] {
    let overlap = (0..=before.len()).find_map(|from| {
        let kept = &before[from..];
        now.starts_with(kept).then_some(kept.len())
    });
    &now[overlap.unwrap_or_default()..]
}

fn terminal_size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => SIZE_FALLBACK,
    }
}

/// Columns of the terminal that standard output is; `None` where it is none, and nothing needs to be cut.
#[must_use]
pub fn terminal_width() -> Option<usize> {
    io::stdout().is_terminal().then(|| terminal_size().0)
}

/// Every line of `text`, cut to `width` columns.
#[must_use]
pub fn cut(text: &str, width: usize) -> String {
    text.lines().map(|line| layout::fitted(line, width) + "\n").collect()
}

#[cfg(test)]
mod tests;
