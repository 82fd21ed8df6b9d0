//! The one table that a run prints, for people or as JSON for programs.

use crate::sample::Spread;

/// What was found.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Figures {
    /// A distribution.
    Spread(Spread),
    /// One figure: a rate, a time, a size.
    One(f64),
    /// Nothing; the note says why.
    LeftOut,
}

impl From<Option<Spread>> for Figures {
    fn from(spread: Option<Spread>) -> Self {
        spread.map_or(Self::LeftOut, Self::Spread)
    }
}

/// One line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    name: String,
    unit: &'static str,
    figures: Figures,
    target: &'static str,
    note: String,
}

impl Row {
    /// A line without target and note.
    pub(crate) fn new(name: impl Into<String>, unit: &'static str, figures: impl Into<Figures>) -> Self {
        Self { name: name.into(), unit, figures: figures.into(), target: "", note: String::new() }
    }

    /// One figure.
    pub(crate) fn one(name: impl Into<String>, unit: &'static str, value: f64) -> Self {
        Self::new(name, unit, Figures::One(value))
    }

    /// Not measured, and why.
    pub(crate) fn left_out(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(name, "", Figures::LeftOut).note(format!("LEFT OUT: {}", why.into()))
    }

    /// With what it should be.
    pub(crate) fn target(mut self, target: &'static str) -> Self {
        self.target = target;
        self
    }

    /// With a word on what it is.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    fn cells(&self) -> [String; 7] {
        let [p50, p99, last] = match self.figures {
            Figures::Spread(Spread { p50, p99, max, .. }) => [p50, p99, max].map(figure),
            Figures::One(value) => [String::new(), String::new(), figure(value)],
            Figures::LeftOut => ["-".into(), "-".into(), "-".into()],
        };
        [self.name.clone(), self.unit.into(), p50, p99, last, self.target.into(), self.note.clone()]
    }

    fn json(&self) -> serde_json::Value {
        let mut row = serde_json::json!({
            "name": self.name, "unit": self.unit, "target": self.target, "note": self.note
        });
        match self.figures {
            Figures::Spread(Spread { min, p50, p99, max, count }) => {
                row["min"] = min.into();
                row["p50"] = p50.into();
                row["p99"] = p99.into();
                row["max"] = max.into();
                row["samples"] = count.into();
            }
            Figures::One(value) => row["value"] = value.into(),
            Figures::LeftOut => row["left_out"] = true.into(),
        }
        row
    }
}

/// Three digits that matter, thousands apart.
fn figure(value: f64) -> String {
    let decimals = match value.abs() {
        small if small < 10.0 => 2,
        middle if middle < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

const HEADER: [&str; 7] = ["measure", "unit", "p50", "p99", "max | value", "target", "note"];

/// The table as text.
pub(crate) fn text(rows: &[Row]) -> String {
    let mut lines: Vec<[String; 7]> = vec![HEADER.map(String::from)];
    lines.extend(rows.iter().map(Row::cells));
    let mut widths = [0; 7];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    lines.insert(1, widths.map(|width| "-".repeat(width)));
    let mut text = String::new();
    for line in &lines {
        let mut out = String::new();
        for (at, (cell, width)) in line.iter().zip(widths).enumerate() {
            match at {
                2..=4 => out.push_str(&format!("{cell:>width$}  ")),
                _ => out.push_str(&format!("{cell:<width$}  ")),
            }
        }
        text.push_str(out.trim_end());
        text.push('\n');
    }
    text
}

/// The table as one JSON document.
pub(crate) fn json(machine: &str, rows: &[Row]) -> String {
    let rows: Vec<_> = rows.iter().map(Row::json).collect();
    serde_json::json!({ "machine": machine, "rows": rows }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_three_digits_and_group_thousands() {
        let cases = [(0.126, "0.13"), (12.34, "12.3"), (123.4, "123"), (1234.0, "1,234"), (1_234_567.0, "1,234,567")];
        for (value, expected) in cases {
            assert_eq!(figure(value), expected);
        }
        assert_eq!(figure(-123.0), "-123");
    }

    #[test]
    fn columns_are_aligned_and_json_has_every_row() {
        let spread = Spread { min: 1.0, p50: 2.0, p99: 3.0, max: 4000.0, count: 9 };
        let rows = [
            Row::new("a", "ns", Some(spread)).target("< 5").note("n"),
            Row::one("longer", "events/s", 5.0),
            Row::left_out("c", "no data"),
        ];
        let text = text(&rows);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[0].find("p99").map(|at| at + 3), lines[2].find("3.00").map(|at| at + 4));
        assert!(lines[4].ends_with("LEFT OUT: no data"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&json("m", &rows)).unwrap();
        assert_eq!((json["rows"][0]["samples"].as_u64(), json["rows"][1]["value"].as_f64()), (Some(9), Some(5.0)));
        assert_eq!(json["rows"][2]["left_out"], true);
    }
}
