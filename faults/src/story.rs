//! What a case has to tell, as lines that the runner reads.

use std::fmt::Write;

use crate::trace::Occurrences;

/// How a case went.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Story {
    /// Whether the call was reached and failed.
    pub injected: bool,
    /// The daemon did not start, and said why.
    pub start_up: Option<String>,
    /// What was not as it should be.
    pub wrong: Vec<String>,
    /// The kinds of descriptors at the end.
    pub descriptors: String,
    /// The calls of an undisturbed run.
    pub calls: Occurrences,
    /// What the daemon logged, when something was wrong.
    pub log: Vec<String>,
}

impl Story {
    pub fn to_text(&self) -> String {
        let mut text = format!("injected {}\ndescriptors {}\n", self.injected, self.descriptors);
        let lists = [("wrong", &self.wrong), ("log", &self.log)];
        let mut line = |word: &str, value: &str| {
            writeln!(text, "{word} {}", value.replace('\n', " ")).expect("a string takes everything");
        };
        for (word, values) in lists {
            values.iter().for_each(|value| line(word, value));
        }
        if let Some(why) = &self.start_up {
            line("start-up", why);
        }
        for (name, occurrences) in &self.calls {
            occurrences.iter().for_each(|number| line("call", &format!("{name} {number}")));
        }
        text
    }

    /// What [`Self::to_text`] made; other lines are not looked at.
    pub fn from_text(text: &str) -> Self {
        let mut story = Story::default();
        for (word, value) in text.lines().filter_map(|line| line.split_once(' ')) {
            match word {
                "injected" => story.injected = value == "true",
                "descriptors" => value.clone_into(&mut story.descriptors),
                "wrong" => story.wrong.push(value.to_owned()),
                "log" => story.log.push(value.to_owned()),
                "start-up" => story.start_up = Some(value.to_owned()),
                "call" => {
                    if let Some((name, number)) = value.split_once(' ')
                        && let Ok(number) = number.parse()
                    {
                        story.calls.entry(name.to_owned()).or_default().push(number);
                    }
                }
                _ => {}
            }
        }
        story
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_survives_being_told() {
        let story = Story {
            injected: true,
            start_up: Some("71".to_owned()),
            wrong: vec!["one".to_owned(), "two words".to_owned()],
            descriptors: "socket*3".to_owned(),
            calls: [("read".to_owned(), vec![2, 9])].into_iter().collect(),
            log: vec!["line".to_owned()],
        };
        assert_eq!(Story::from_text(&story.to_text()), story);
    }
}
