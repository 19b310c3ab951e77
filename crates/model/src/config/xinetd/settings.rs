//! Attribute lines → what is set for one service, with what the defaults say.

use std::borrow::Cow;

use super::attribute::{self, Attribute, Form, Operators, Place, Values};
use super::blocks::{Block, Kind, Line, Operator, error, warning};
use super::list::List;
use crate::config::syntax::Word;
use crate::diagnostic::{Diagnostic, Diagnostics, printable};

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
    /// The values while lines are read, from the first one on that takes some away.
    changing: Option<List>,
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
    pub(super) fn add_defaults(&mut self, block: &'a Block, diagnostics: &mut Diagnostics) -> bool {
        let mut own = Settings::default();
        let is_good = own.read(block, diagnostics);
        for setting in own.values {
            match self.find(setting.form.attribute) {
                Some(known) if is_cumulative(known.form) => {
                    known.add(&setting.values);
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
        defaults: &'a Settings<'a>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Settings<'a>> {
        let count = (block.lines.len() + defaults.values.len()).min(attribute::FORMS.len());
        let mut settings = Settings { values: Vec::with_capacity(count) };
        // Lists are added to and taken from as the lines come. A long one is not copied for each service.
        let lists = defaults.values.iter().filter(|setting| is_cumulative(setting.form));
        settings.values.extend(lists.map(|list| Setting::new(list.form, list.name, &list.values)));
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

    fn read(&mut self, block: &'a Block, diagnostics: &mut Diagnostics) -> bool {
        let place = if block.kind == Kind::Service { Place::Service } else { Place::Defaults };
        let mut is_good = true;
        for line in &block.lines {
            is_good &= self.read_line(line, place, diagnostics);
        }
        self.values.iter_mut().for_each(Setting::settle);
        is_good
    }

    /// False when the line is wrong in a way that matters.
    fn read_line(&mut self, line: &'a Line, place: Place, diagnostics: &mut Diagnostics) -> bool {
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
        match self.find(form.attribute) {
            None if line.operator == Operator::Remove => {
                let mut setting = Setting::new(form, &line.name, &[]);
                setting.remove(line, diagnostics);
                self.values.push(setting);
            }
            None => self.values.push(Setting::new(form, &line.name, values)),
            Some(known) if line.operator == Operator::Remove => known.remove(line, diagnostics),
            Some(known)
                if line.operator == Operator::Add || place == Place::Defaults && is_cumulative(form) =>
            {
                known.add(&line.values);
            }
            Some(known) if is_cumulative(form) => *known = Setting::new(form, &line.name, values),
            Some(_) => {
                let message = format!("{} is set already", name());
                let hint = "the first one is followed, as in xinetd";
                diagnostics.push(warning("set-twice", &line.name, message).hint(hint));
            }
        }
        true
    }
}

impl<'a> Setting<'a> {
    fn new(form: &'static Form, name: &'a Word, values: &'a [Word]) -> Self {
        Self { form, name, values: Cow::Borrowed(values), changing: None }
    }

    fn add(&mut self, values: &[Word]) {
        match &mut self.changing {
            Some(list) => list.add(values),
            None => self.values.to_mut().extend_from_slice(values),
        }
    }

    fn remove(&mut self, line: &Line, diagnostics: &mut Diagnostics) {
        let list = self.changing.get_or_insert_with(|| List::new(self.form.attribute, &self.values));
        for value in list.remove(&line.values) {
            let message = format!("{:?} is not in the list", printable(&value.value));
            diagnostics.push(warning("removes-nothing", value, message));
        }
    }

    fn settle(&mut self) {
        if let Some(list) = self.changing.take() {
            self.values = Cow::Owned(list.into_words());
        }
    }
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
