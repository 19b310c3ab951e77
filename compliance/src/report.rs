//! What the probe tells about itself: `key value` lines, written by `probe.rs` and read by the cases.

use std::collections::BTreeMap;

/// Ends every report, so that a cut-off one is noticed.
pub const END: &str = "end of report";

/// A report as the cases see it.
#[derive(Debug)]
pub struct Report {
    values: BTreeMap<String, String>,
}

impl Report {
    /// Reads what came over the connection; the case fails when that is not a whole report.
    pub fn parse(text: &[u8]) -> Report {
        let text = String::from_utf8_lossy(text);
        let end = text.find(END);
        assert!(end.is_some(), "the service should have answered with a report, and answered {text:?}");
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        Report { values: lines.map(|(key, value)| (key.to_owned(), value.to_owned())).collect() }
    }

    /// The value of a key that every report has.
    pub fn get(&self, key: &str) -> &str {
        self.find(key).unwrap_or_else(|| panic!("no {key:?} in the report {self:#?}"))
    }

    pub fn find(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// All arguments, argv[0] first.
    pub fn arguments(&self) -> Vec<&str> {
        let count = self.get("argc").parse().expect("the probe writes argc as a number");
        let count: usize = count;
        (0..count).map(|index| self.get(&format!("argv[{index}]"))).collect()
    }

    pub fn environment(&self, name: &str) -> Option<&str> {
        self.find(&format!("env[{name}]"))
    }
}
