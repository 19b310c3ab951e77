//! Attribute lines → what is set for one service, with what the defaults say.

use std::borrow::Cow;
use std::collections::HashSet;

use super::attribute::{self, Attribute, Form, Operators, Place, Values};
use super::blocks::{Block, Kind, Line, Operator, error, warning};
use crate::config::syntax::Word;
use crate::diagnostic::{Diagnostic, printable};
use crate::guard::Pattern;
use crate::source::{Spanned, Text};

/// What is set. There are few of them, so they are looked for one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings<'a> {
    values: Vec<Setting<'a>>,
}

/// One attribute with its values.
#[derive(Clone, Debug)]
pub(super) struct Setting<'a> {
    form: &'static Form,
    /// The attribute's name where it was given first.
    pub(super) name: &'a Word,
    pub(super) values: Cow<'a, [Word]>,
}

impl<'a> Settings<'a> {
    /// What an attribute is set to.
    pub(super) fn get(&self, attribute: Attribute) -> Option<&Setting<'a>> {
        self.values.iter().find(|setting| setting.form.attribute == attribute)
    }

    /// The only value of an attribute.
    pub(super) fn word(&self, attribute: Attribute) -> Option<&Word> {
        self.get(attribute)?.values.first()
    }

    /// Adds what the first `defaults` of a file say; false when something in it is wrong.
    pub(super) fn add_defaults(&mut self, block: &'a Block, diagnostics: &mut Vec<Diagnostic>) -> bool {
        let mut own = Settings::default();
        let is_good = own.read(block, diagnostics);
        for setting in own.values {
            match self.find(setting.form.attribute) {
                Some(known) if is_cumulative(known.form) => {
                    known.values.to_mut().extend(setting.values.iter().cloned());
                }
                Some(_) => {
                    let message = format!("{} has a default already", printable(&setting.name.value));
                    diagnostics.push(
                        warning("set-twice", setting.name, message)
                            .hint("the first one is followed, as in xinetd"),
                    );
                }
                None => self.values.push(setting),
            }
        }
        is_good
    }

    /// What a service's block says, and the defaults where it says nothing; `None` when a line is wrong.
    pub(super) fn of_service(
        block: &'a Block,
        defaults: &Settings<'a>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Settings<'a>> {
        let mut settings = Settings { values: Vec::with_capacity(block.lines.len() + defaults.values.len()) };
        // Lists are added to and taken from as the lines come.
        let lists = defaults.values.iter().filter(|setting| is_cumulative(setting.form));
        settings.values.extend(lists.cloned());
        let is_good = settings.read(block, diagnostics);
        for setting in defaults.values.iter().filter(|setting| !is_cumulative(setting.form)) {
            if settings.get(setting.form.attribute).is_none() {
                settings.values.push(setting.clone());
            }
        }
        if is_good { Some(settings) } else { None }
    }

    fn find(&mut self, attribute: Attribute) -> Option<&mut Setting<'a>> {
        self.values.iter_mut().find(|setting| setting.form.attribute == attribute)
    }

    fn read(&mut self, block: &'a Block, diagnostics: &mut Vec<Diagnostic>) -> bool {
        let place = if block.kind == Kind::Service { Place::Service } else { Place::Defaults };
        let mut is_good = true;
        for line in &block.lines {
            is_good &= self.read_line(line, place, diagnostics);
        }
        is_good
    }

    /// False when the line is wrong in a way that matters.
    fn read_line(&mut self, line: &'a Line, place: Place, diagnostics: &mut Vec<Diagnostic>) -> bool {
        let name = || printable(&line.name.value);
        let Some(form) = attribute::form(&line.name.value).filter(|form| form.can_stand_in(place)) else {
            let (diagnostic, is_good) = unknown(line, place);
            diagnostics.push(diagnostic);
            return is_good;
        };
        let takes_others = match (line.operator, form.operators) {
            (Operator::Set, _) | (_, Operators::All) | (Operator::Add, Operators::SetAdd) => true,
            (Operator::Add | Operator::Remove, _) => false,
        };
        if !takes_others {
            let message = format!("{} cannot be used with {}", name(), line.operator.word());
            let expected = format!("{} = value", name());
            diagnostics.push(error("bad-operator", &line.name, message).expected(expected));
            return false;
        }
        let values = match form.values {
            Values::Exactly(count) => {
                let (values, comment) = line.without_comment(count);
                if let Some(comment) = comment {
                    let message = "a comment begins a line, in xinetd";
                    let hint =
                        "what stands in front of it is followed all the same; xinetd leaves the line out";
                    diagnostics.push(warning("comment-behind", comment, message).hint(hint));
                }
                values
            }
            Values::Any => line.values.as_slice(),
        };
        if let Values::Exactly(count) = form.values
            && count != values.len()
        {
            let message = format!("{} has {} values", name(), values.len());
            let expected = if count == 1 { "one".to_owned() } else { count.to_string() };
            diagnostics.push(error("value-count", &line.name, message).expected(expected));
            return false;
        }
        let values = Cow::Borrowed(values);
        match self.find(form.attribute) {
            None if line.operator == Operator::Remove => {
                self.values.push(Setting { form, name: &line.name, values: Cow::Borrowed(&[]) });
                self.remove(line, form, diagnostics);
            }
            None => self.values.push(Setting { form, name: &line.name, values }),
            Some(_) if line.operator == Operator::Remove => self.remove(line, form, diagnostics),
            Some(known)
                if line.operator == Operator::Add || place == Place::Defaults && is_cumulative(form) =>
            {
                known.values.to_mut().extend(line.values.iter().cloned());
            }
            Some(known) if is_cumulative(form) => *known = Setting { form, name: &line.name, values },
            Some(_) => {
                let message = format!("{} is set already", name());
                let hint = "the first one is followed, as in xinetd";
                diagnostics.push(warning("set-twice", &line.name, message).hint(hint));
            }
        }
        true
    }

    fn remove(&mut self, line: &Line, form: &Form, diagnostics: &mut Vec<Diagnostic>) {
        let Some(setting) = self.find(form.attribute) else { return };
        let parts = |word: &Word| parts(word, form.attribute);
        let there: HashSet<Vec<u8>> = setting.values.iter().flat_map(parts).collect();
        let gone: HashSet<Vec<u8>> = line.values.iter().flat_map(parts).collect();
        let mut kept = Vec::with_capacity(setting.values.len());
        for value in setting.values.iter() {
            let parts = parts(value);
            let left: Vec<_> = parts.iter().filter(|part| !gone.contains(*part)).collect();
            if left.len() == parts.len() {
                kept.push(value.clone());
            } else {
                kept.extend(left.into_iter().map(|part| Spanned::new(Text::from(&**part), value.span)));
            }
        }
        setting.values = Cow::Owned(kept);
        for value in line.values.iter().filter(|value| parts(value).iter().all(|part| !there.contains(part)))
        {
            let message = format!("{:?} is not in the list", printable(&value.value));
            diagnostics.push(warning("removes-nothing", value, message));
        }
    }
}

/// What a value of a list stands for, each part as it could be written alone: a net may be written `10.0.0.0` and
/// `10.0.0.0/8`, and `10.0.{1,2}` is two of them.
fn parts(word: &Word, attribute: Attribute) -> Vec<Vec<u8>> {
    let is_of_callers = matches!(attribute, Attribute::OnlyFrom | Attribute::NoAccess);
    let patterns = if is_of_callers { Pattern::parse(&word.value).ok() } else { None };
    let net = |pattern: &Pattern| match pattern {
        Pattern::Net(net) => Some(net.to_string().into_bytes()),
        Pattern::Name(_) | Pattern::Domain(_) => None,
    };
    let nets = patterns.and_then(|patterns| patterns.iter().map(net).collect::<Option<Vec<_>>>());
    nets.filter(|nets| !nets.is_empty()).unwrap_or_else(|| vec![word.value.to_ascii_lowercase()])
}

/// Whether each line in `defaults` adds to those before it, and the lines of a service to those.
fn is_cumulative(form: &Form) -> bool {
    form.operators != Operators::Set
}

/// An attribute that there is not, or not here, and whether that can be left at a warning, as xinetd does.
fn unknown(line: &Line, place: Place) -> (Diagnostic, bool) {
    let name = printable(&line.name.value);
    let (code, message) = match attribute::form(&line.name.value) {
        Some(form) => {
            let message = match place {
                Place::Defaults => format!("{name} cannot stand in defaults"),
                Place::Service | Place::Both => format!("{name} stands in defaults only"),
            };
            if form.restricts && place == Place::Defaults {
                let hint = "without it services would be more open than is meant: write it for each of them";
                return (error("misplaced", &line.name, message).hint(hint), false);
            }
            ("misplaced", message)
        }
        None => ("unknown-attribute", format!("there is no attribute {name:?}")),
    };
    match attribute::nearest(&line.name.value, place) {
        Some(form) if form.restricts => {
            let hint = format!("did you mean {}? Without it the service would be open", form.name);
            (error(code, &line.name, message).hint(hint), false)
        }
        Some(form) => {
            let hint = format!("did you mean {}? The line is left out", form.name);
            (warning(code, &line.name, message).hint(hint), true)
        }
        None => (warning(code, &line.name, message).hint("the line is left out"), true),
    }
}
