//! Plots of what was measured, for docs/benchmarks.md.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

const WIDTH: i32 = 860;
const LABELS: i32 = 400;
const NUMBERS: i32 = 90;
const TOP: i32 = 50;
const BAR: i32 = 26;

/// One measured side.
pub(crate) struct Bar<'a> {
    name: &'a str,
    value: f64,
    is_ours: bool,
}

impl<'a> Bar<'a> {
    /// This extension's side.
    pub(crate) const fn ours(name: &'a str, value: f64) -> Self {
        Self {
            name,
            value,
            is_ours: true,
        }
    }

    /// Another side.
    pub(crate) const fn other(name: &'a str, value: f64) -> Self {
        Self {
            name,
            value,
            is_ours: false,
        }
    }
}

/// A picture of bars.
pub(crate) struct Plot<'a> {
    /// Name of the file in docs/plots, without its end.
    pub file: &'a str,
    /// What was measured, and its unit.
    pub title: &'a str,
    pub bars: Vec<Bar<'a>>,
    /// The value that ours must reach or stay below, and what it is.
    pub limit: Option<(f64, &'a str)>,
}

impl Plot<'_> {
    /// Writes the file, if the environment has `UPDATE_DOCS=1`.
    pub(crate) fn write(&self) {
        if std::env::var_os("UPDATE_DOCS").is_none_or(|value| value != "1") {
            return;
        }
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/plots");
        std::fs::create_dir_all(&directory).expect("a directory");
        let file = directory.join(self.file).with_extension("svg");
        self.draw(&file).expect("a plot");
    }

    fn draw(&self, file: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let bottom = TOP + BAR * i32::try_from(self.bars.len())?;
        let height = bottom + if self.limit.is_some() { 30 } else { 10 };
        let area = SVGBackend::new(file, (WIDTH as u32, height as u32)).into_drawing_area();
        area.fill(&WHITE)?;
        let text = |size: i32, horizontal| {
            let style = ("sans-serif", size).into_text_style(&area);
            style.pos(Pos::new(horizontal, VPos::Center))
        };
        area.draw_text(self.title, &text(16, HPos::Left), (10, 22))?;
        let values = self.bars.iter().map(|bar| bar.value);
        let largest = values
            .chain(self.limit.map(|(limit, _)| limit))
            .fold(0.0, f64::max);
        let x =
            |value: f64| LABELS + (value / largest * f64::from(WIDTH - LABELS - NUMBERS)) as i32;
        for (bar, y) in self.bars.iter().zip((TOP..).step_by(BAR as usize)) {
            let colour = if bar.is_ours {
                RGBColor(46, 125, 80)
            } else {
                RGBColor(160, 166, 176)
            };
            let middle = y + BAR / 2;
            let end = x(bar.value);
            area.draw(&Rectangle::new(
                [(LABELS, y + 3), (end, y + BAR - 3)],
                colour.filled(),
            ))?;
            area.draw_text(bar.name, &text(13, HPos::Right), (LABELS - 8, middle))?;
            area.draw_text(&number(bar.value), &text(13, HPos::Left), (end + 6, middle))?;
        }
        if let Some((limit, name)) = self.limit {
            let x = x(limit);
            area.draw(&PathElement::new(
                [(x, TOP - 6), (x, bottom + 4)],
                RED.stroke_width(2),
            ))?;
            area.draw_text(name, &text(12, HPos::Center), (x, bottom + 16))?;
        }
        area.present()?;
        Ok(())
    }
}

/// Three digits.
fn number(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
