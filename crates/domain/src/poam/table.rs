//! Items as a table for spreadsheets (CSV, RFC 4180).
//!
//! A spreadsheet runs what begins like a formula, and titles come from reports that anybody may have written: such cells
//! get a `'` in front, which spreadsheets hide.

use jiff::Timestamp;

use super::{Item, Settings, State};

/// The first line.
const HEADINGS: [&str; 16] = [
    "id",
    "status",
    "title",
    "severity",
    "cve_id",
    "finding_id",
    "project_id",
    "owner",
    "scheduled_completion_date",
    "deadline_at",
    "days_overdue",
    "ended_at",
    "milestones",
    "notes",
    "created_at",
    "updated_at",
];

/// A cell that begins so is a formula to a spreadsheet.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// The table, its headings first.
///
/// # Errors
/// None in practice: it is written to memory.
pub fn csv<'a>(
    items: impl Iterator<Item = &'a Item>,
    settings: &Settings,
    now: Timestamp,
) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(HEADINGS)?;
    for item in items {
        writer.write_record(row(item, settings, now).iter().map(|cell| harmless(cell)))?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

fn row(item: &Item, settings: &Settings, now: Timestamp) -> [String; HEADINGS.len()] {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let deadline = item.due.deadline(&settings.zone);
    let ended_at = match item.state {
        State::Open => None,
        State::Completed { at, .. } | State::Cancelled { at } => Some(at),
    };
    let days_overdue = match item.state {
        State::Open => super::Schedule::new(item.due, settings).days(now).1,
        State::Completed { .. } | State::Cancelled { .. } => None,
    };
    let milestones: Vec<String> = item
        .milestones
        .iter()
        .map(|milestone| match milestone.completed_at {
            Some(_) => format!("{} ({}, done)", milestone.title, milestone.due),
            None => format!("{} ({})", milestone.title, milestone.due),
        })
        .collect();
    [
        item.id.to_string(),
        item.status(settings, now).as_str().to_owned(),
        text(item.shown_title()),
        item.about.severity.as_str().to_owned(),
        text(item.about.cve_id.as_deref()),
        item.finding_id.to_string(),
        item.project_id.map(|id| id.to_string()).unwrap_or_default(),
        text(item.owner.as_deref()),
        item.due.to_string(),
        deadline.to_string(),
        days_overdue.map(|days| days.to_string()).unwrap_or_default(),
        ended_at.map(|at| at.to_string()).unwrap_or_default(),
        milestones.join("; "),
        text(item.notes.as_deref()),
        item.created_at.to_string(),
        item.updated_at.to_string(),
    ]
}

/// The cell as text, whatever it begins with.
fn harmless(cell: &str) -> String {
    if cell.starts_with(FORMULA) { format!("'{cell}") } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poam::testing::item;

    #[test]
    fn e14_no_cell_is_a_formula() {
        for begin in FORMULA {
            let text = format!("{begin}cmd|' /C calc'!A0");
            let mut item = item();
            item.title = Some(text.clone());
            item.owner = Some(text.clone());
            item.notes = Some(format!("{text}, \"two\"\r\nlines"));
            let table = csv(std::iter::once(&item), &Settings::default(), Timestamp::UNIX_EPOCH).unwrap();
            let mut reader = csv::Reader::from_reader(table.as_slice());
            let row = reader.records().next().unwrap().unwrap();
            assert_eq!((row.get(2), row.get(7)), (Some(format!("'{text}").as_str()), row.get(2)));
            assert!(row.iter().all(|cell| !cell.starts_with(FORMULA)), "{row:?}");
            assert!(row.get(13).unwrap().ends_with("\"two\"\r\nlines"));
        }
    }

    #[test]
    fn a_row_says_what_the_item_says() {
        let now = "2026-02-04T12:00:00Z".parse().unwrap();
        let table = csv(std::iter::once(&item()), &Settings::default(), now).unwrap();
        insta::assert_snapshot!(String::from_utf8(table).unwrap());
    }
}
