//! How much of what fits on the screen: every section gets its least in the order of importance, then the rest.
//!
//! Pure. It must never give a line that is wider than the screen, nor more lines than it has.

use runtime::status::Status;

use super::sections;

/// One line of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    /// Wants somebody to look now.
    pub(super) alarm: bool,
}

impl Line {
    pub(super) fn calm(text: String) -> Self {
        Self::alarm_if(false, text)
    }

    pub(super) fn alarm_if(alarm: bool, text: String) -> Self {
        Self { text, alarm }
    }
}

/// The status on a screen of `width` columns and `height` rows, without colours.
#[must_use]
pub fn render(status: &Status, width: usize, height: usize) -> String {
    let lines = lines(status, width, height);
    lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n")
}

/// A part of the screen.
struct Section {
    lines: Vec<Line>,
    /// It wants at least so many, before any other gets more.
    least: usize,
    /// What is cut away: the oldest at the top (events), or the least important at the bottom.
    keep_end: bool,
    shown: usize,
}

impl Section {
    fn new(lines: Vec<Line>, least: usize) -> Self {
        Self { lines, least, keep_end: false, shown: 0 }
    }

    /// Gets up to `wanted` of what is `left`.
    fn grow(&mut self, wanted: usize, left: &mut usize) {
        let more = wanted.min(self.lines.len()).saturating_sub(self.shown).min(*left);
        self.shown += more;
        *left -= more;
    }

    fn into_lines(self) -> Vec<Line> {
        let hidden = self.lines.len() - self.shown;
        let mut lines = self.lines;
        if hidden == 0 {
            return lines;
        }
        if self.keep_end {
            return lines.split_off(hidden);
        }
        lines.truncate(self.shown);
        // Of a table there is a header and a row at least, else it does not say what is missing either.
        if lines.len() > 2
            && let Some(last) = lines.last_mut()
        {
            *last = Line::calm(format!("... and {} more", hidden + 1));
        }
        lines
    }
}

/// The sections from top to bottom, each with the least it wants.
fn sections(status: &Status) -> [Section; 8] {
    [
        Section::new(sections::head(status), 2),
        Section::new(sections::troubles(status), 3),
        Section::new(sections::figures(status), 2),
        Section::new(sections::restrictions(status), 3),
        Section::new(sections::positions(status), 4),
        Section::new(sections::orders(status), 2),
        Section::new(sections::instances(status), 3),
        Section { keep_end: true, ..Section::new(sections::events(status), 3) },
    ]
}

/// Where in [`sections`] they stand, the most important first.
const BY_IMPORTANCE: [usize; 8] = [0, 1, 2, 3, 4, 7, 6, 5];
/// The place of the events, which get what the others leave.
const EVENTS: usize = 7;

/// As [`render`], with what is alarming.
pub(super) fn lines(status: &Status, width: usize, height: usize) -> Vec<Line> {
    let mut sections = sections(status);
    let mut left = height;
    for place in BY_IMPORTANCE {
        let least = sections[place].least;
        sections[place].grow(least, &mut left);
    }
    for place in BY_IMPORTANCE.into_iter().filter(|place| *place != EVENTS) {
        sections[place].grow(usize::MAX, &mut left);
    }
    // Empty lines between the sections, where there is room for all of them.
    let shown = sections.iter().skip(3).filter(|section| section.shown > 0).count();
    let spaced = left > shown;
    if spaced {
        left -= shown;
    }
    sections[EVENTS].grow(usize::MAX, &mut left);
    let mut page = Vec::new();
    for (place, section) in sections.into_iter().enumerate() {
        if spaced && place >= 3 && section.shown > 0 {
            page.push(Line::calm(String::new()));
        }
        page.extend(section.into_lines());
    }
    for line in &mut page {
        line.text = fitted(&line.text, width);
    }
    page
}

/// Cut to `width` columns.
pub(super) fn fitted(text: &str, width: usize) -> String {
    let plain = |c: char| if c.is_control() || is_wide(c) { '?' } else { c };
    if text.chars().count() <= width {
        return text.chars().map(plain).collect();
    }
    let kept = text.chars().map(plain).take(width.saturating_sub(3));
    kept.chain("...".chars()).take(width).collect()
}

/// Whether a terminal may give it two columns.
const fn is_wide(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' | '\u{1f300}'..)
}
