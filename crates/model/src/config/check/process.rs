//! What a program finds around it: priority, umask, limits and variables.

use std::collections::BTreeMap;
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
        let limits: Vec<Option<ResourceLimit>> =
            attributes.resources.iter().map(|(resource, word)| self.resource(*resource, word)).collect();
        let environment = self.environment(attributes);
        let settings = ProcessSettings {
            nice: if let Some(nice) = nice { Some(nice?) } else { None },
            umask: if let Some(umask) = umask { Some(umask?) } else { None },
            limits: limits.into_iter().collect::<Option<Box<[ResourceLimit]>>>()?,
            environment: environment?,
        };
        Some(Some(settings).filter(|settings| *settings != ProcessSettings::default()).map(Arc::new))
    }

    fn nice(&mut self, word: &Word) -> Option<i8> {
        let nice = text(word).and_then(|text| text.parse().ok()).filter(|nice| (-20..=19).contains(nice));
        if nice.is_none() {
            self.error("bad-nice", word, format!("{} is no priority", quoted(word))).expected =
                "a number from -20 to 19".to_owned();
        }
        nice
    }

    fn umask(&mut self, word: &Word) -> Option<u16> {
        let digits = text(word).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let umask =
            digits.and_then(|digits| u16::from_str_radix(digits, 8).ok()).filter(|umask| *umask <= 0o777);
        if umask.is_none() {
            self.error("bad-umask", word, format!("{} is no umask", quoted(word))).expected =
                "an octal number from 0 to 777".to_owned();
        }
        umask
    }

    fn resource(&mut self, resource: Resource, word: &Word) -> Option<ResourceLimit> {
        if word.value.eq_ignore_ascii_case(b"unlimited") {
            return Some(ResourceLimit { resource, most: None });
        }
        let takes_units = resource != Resource::Cpu;
        let (digits, factor) = if takes_units { numeral::counted(&word.value) } else { (&*word.value, 1) };
        let digits = std::str::from_utf8(digits).ok();
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let number = digits.and_then(|digits| digits.parse::<u64>().ok());
        let most = number.and_then(|number| number.checked_mul(factor)).filter(|most| *most < u64::MAX);
        if most.is_none() {
            let units = if takes_units { ", with K or M behind it" } else { "" };
            self.error("bad-resource-limit", word, format!("{} is no limit", quoted(word))).expected =
                format!("a number{units}, or UNLIMITED");
        }
        Some(ResourceLimit { resource, most: Some(most?) })
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
