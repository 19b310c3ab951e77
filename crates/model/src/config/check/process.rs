//! What a program finds around it: priority, umask, limits and variables.

use std::collections::BTreeMap;
use std::num::IntErrorKind;
use std::sync::Arc;

use super::{Checker, quoted};
use crate::config::syntax::{Attributes, Word};
use crate::numeral;
use crate::process_settings::{Environment, ProcessSettings, Resource, ResourceLimit};

impl Checker<'_> {
    /// Outer `None`: a word is wrong. Inner `None`: nothing is said.
    #[expect(clippy::option_option, reason = "nothing and something wrong are different answers")]
    pub(super) fn process_settings(
        &mut self,
        attributes: Option<&Attributes>,
    ) -> Option<Option<Arc<ProcessSettings>>> {
        let Some(attributes) = attributes else { return Some(None) };
        let nice = attributes.nice.as_ref().map(|word| self.nice(word));
        let umask = attributes.umask.as_ref().map(|word| self.umask(word));
        let limits: Vec<Option<Option<ResourceLimit>>> =
            attributes.resources.iter().map(|(resource, word)| self.resource(*resource, word)).collect();
        let limits: Option<Vec<Option<ResourceLimit>>> = limits.into_iter().collect();
        let environment = self.environment(attributes);
        let settings = ProcessSettings {
            nice: if let Some(nice) = nice { Some(nice?) } else { None },
            umask: if let Some(umask) = umask { Some(umask?) } else { None },
            limits: limits?.into_iter().flatten().collect(),
            environment: environment?,
        };
        Some(Some(settings).filter(|settings| *settings != ProcessSettings::default()).map(Arc::new))
    }

    fn nice(&mut self, word: &Word) -> Option<i8> {
        let number = text(word).unwrap_or_default().parse::<i64>();
        let number = number.or_else(|error| match error.kind() {
            kind if *kind == IntErrorKind::PosOverflow => Ok(i64::MAX),
            kind if *kind == IntErrorKind::NegOverflow => Ok(i64::MIN),
            _ => Err(error),
        });
        let Ok(number) = number else {
            self.error("bad-nice", word, format!("{} is no priority", quoted(word))).expected =
                "a number from -20 to 19".to_owned();
            return None;
        };
        // What the kernel makes of it.
        let nice = number.clamp(-20, 19);
        if nice != number {
            self.warning("large-nice", word, format!("{} is beyond all priorities", quoted(word))).hint =
                format!("taken as {nice}; they go from -20 to 19");
        }
        i8::try_from(nice).ok()
    }

    fn umask(&mut self, word: &Word) -> Option<u16> {
        let number = text(word).and_then(|text| u16::from_str_radix(text, 8).ok());
        let umask = number.filter(|umask| *umask <= 0o777);
        if umask.is_none() {
            self.error("bad-umask", word, format!("{} is no umask", quoted(word))).expected =
                "an octal number from 0 to 777".to_owned();
        }
        umask
    }

    /// Outer `None`: the word is wrong. Inner `None`: nothing is set.
    #[expect(clippy::option_option, reason = "nothing and something wrong are different answers")]
    fn resource(&mut self, resource: Resource, word: &Word) -> Option<Option<ResourceLimit>> {
        let most = if word.value.eq_ignore_ascii_case(b"unlimited") {
            None
        } else if word.value == b"-1" {
            self.say_unlimited(word);
            None
        } else {
            match self.amount(resource, word)? {
                // As with xinetd, which sets no limit then.
                0 => return Some(None),
                most => Some(most),
            }
        };
        let most = self.within_reach(resource, word, most);
        Some(Some(ResourceLimit { resource, most }))
    }

    fn amount(&mut self, resource: Resource, word: &Word) -> Option<u64> {
        let takes_units = resource != Resource::Cpu;
        let most = if takes_units { numeral::size(&word.value) } else { numeral::xinetd(&word.value) };
        let most = most.filter(|most| *most < u64::MAX);
        if most.is_none() {
            let units = if takes_units { ", with K or M behind it" } else { "" };
            self.error("bad-resource-limit", word, format!("{} is no limit", quoted(word))).expected =
                format!("a number{units}, or UNLIMITED");
        }
        most
    }

    /// Who asks for more than can be set would not have the program started at all.
    fn within_reach(&mut self, resource: Resource, word: &Word, most: Option<u64>) -> Option<u64> {
        let Some(highest) = self.facts.highest_limit(resource) else { return most };
        if most.is_some_and(|most| most <= highest) {
            return most;
        }
        self.warning("limit-out-of-reach", word, format!("{} is more than can be set here", quoted(word)))
            .hint = format!("the limit is {highest}, the highest one that the daemon may set");
        Some(highest)
    }

    /// Says that the number of no limit, as getrlimit(2) has it, is taken as that.
    pub(super) fn say_unlimited(&mut self, word: &Word) {
        self.warning("negative-limit", word, "-1 is taken as no limit").hint =
            "as in xinetd, which reads it as the largest number".to_owned();
    }

    fn environment(&mut self, attributes: &Attributes) -> Option<Environment> {
        let inherited = attributes.pass_environment.as_ref().map(|names| {
            names.values.iter().map(|name| Box::from(name.value.as_slice())).collect::<Box<[Box<[u8]>]>>()
        });
        // The last of one name counts.
        let mut set: BTreeMap<&[u8], &Word> = BTreeMap::new();
        let mut is_good = true;
        for word in attributes.environment.iter().flat_map(|words| &words.values) {
            match word.value.iter().position(|byte| *byte == b'=') {
                Some(at @ 1..) => drop(set.insert(&word.value[..at], word)),
                Some(0) | None => {
                    self.error("bad-variable", word, format!("{} is no variable", quoted(word))).expected =
                        "NAME=value".to_owned();
                    is_good = false;
                }
            }
        }
        let set = set.into_values().map(|word| Box::from(word.value.as_slice())).collect();
        if is_good { Some(Environment { inherited, set }) } else { None }
    }
}

fn text(word: &Word) -> Option<&str> {
    std::str::from_utf8(&word.value).ok()
}
