//! The prompt of xinetd before 2.3.12: what somebody asks for there.
//!
//! These bytes are read in the daemon, so no more than [`MOST`] of them are looked at for one command.

/// The longest line, its end included.
pub const MOST: usize = 256;

/// What is said when a command is waited for.
pub const PROMPT: &str = "> ";

/// What somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Which commands there are.
    Help,
    /// The programs that run.
    ShowRunning,
    /// The services that can be called.
    ShowAvailable,
    /// Something is to be shown, and it is not said what.
    ShowWhat,
    /// That it is over.
    Bye,
    /// Nothing that is known; there is no answer to it.
    Nothing,
}

/// A line that is being read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    bytes: Vec<u8>,
}

/// What has become of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many bytes belong to it, and it goes on.
    GoesOn(usize),
    /// So many bytes belong to it, and it is whole.
    Whole(usize, Command),
    /// It is longer than a command can be.
    TooLong,
}

impl Line {
    /// Looks at the bytes that have come. A line ends at LF.
    pub fn add(&mut self, bytes: &[u8]) -> Progress {
        let room = MOST - self.bytes.len();
        let looked_at = &bytes[..bytes.len().min(room)];
        match looked_at.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                self.bytes.extend(&looked_at[..end]);
                Progress::Whole(end + 1, command(&self.bytes))
            }
            None if looked_at.len() == room => Progress::TooLong,
            None => {
                self.bytes.extend(looked_at);
                Progress::GoesOn(looked_at.len())
            }
        }
    }

    /// No more will be said: what has come is a line, as in the original. `None` when nothing has.
    pub fn end(&self) -> Option<Command> {
        if self.bytes.is_empty() { None } else { Some(command(&self.bytes)) }
    }
}

/// A line is the command that it begins with, as in the original.
fn command(line: &[u8]) -> Command {
    const COMMANDS: [(&[u8], Command); 4] =
        [(b"bye", Command::Bye), (b"exit", Command::Bye), (b"quit", Command::Bye), (b"help", Command::Help)];
    if let Some(what) = line.strip_prefix(b"show") {
        return match what.trim_ascii_start() {
            what if what.starts_with(b"run") => Command::ShowRunning,
            what if what.starts_with(b"avail") => Command::ShowAvailable,
            _ => Command::ShowWhat,
        };
    }
    let known = COMMANDS.iter().find(|(word, _)| line.starts_with(word));
    known.map_or(Command::Nothing, |(_, command)| *command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads commands as the daemon does: the bytes of one line at a time, as they come. What was read, and whether the
    /// end was a line that is too long.
    fn read(pieces: &[Vec<u8>]) -> (Vec<Command>, bool) {
        let (mut commands, mut line) = (Vec::new(), Line::default());
        for piece in pieces {
            let mut rest = piece.as_slice();
            while !rest.is_empty() {
                match line.add(rest) {
                    Progress::GoesOn(taken) => {
                        assert_eq!(taken, rest.len(), "what goes on has taken all");
                        rest = &[];
                    }
                    Progress::Whole(taken, command) => {
                        assert_eq!(rest[taken - 1], b'\n');
                        rest = &rest[taken..];
                        commands.push(command);
                        line = Line::default();
                    }
                    Progress::TooLong => return (commands, true),
                }
                assert!(line.bytes.len() < MOST);
            }
        }
        commands.extend(line.end());
        (commands, false)
    }

    #[test]
    fn a_line_is_the_command_that_it_begins_with() {
        for (line, command) in [
            ("help", Command::Help),
            ("help me\r", Command::Help),
            ("show run", Command::ShowRunning),
            ("show run\r", Command::ShowRunning),
            ("showrun", Command::ShowRunning),
            ("show  \trunning", Command::ShowRunning),
            ("show avail", Command::ShowAvailable),
            ("show available\r", Command::ShowAvailable),
            ("show", Command::ShowWhat),
            ("show\r", Command::ShowWhat),
            ("show ru", Command::ShowWhat),
            ("show all", Command::ShowWhat),
            ("bye", Command::Bye),
            ("exit\r", Command::Bye),
            ("quit", Command::Bye),
            ("", Command::Nothing),
            ("\r", Command::Nothing),
            ("HELP", Command::Nothing),
            (" help", Command::Nothing),
            ("by", Command::Nothing),
            ("\u{fffd}\0help", Command::Nothing),
        ] {
            assert_eq!(super::command(line.as_bytes()), command, "{line:?}");
        }
    }

    #[test]
    fn a_line_takes_nothing_of_what_follows() {
        assert_eq!(Line::default().add(b"help\nbye\n"), Progress::Whole(5, Command::Help));
        let mut line = Line::default();
        assert_eq!(line.add(b"show r"), Progress::GoesOn(6));
        assert_eq!(line.end(), Some(Command::ShowWhat));
        assert_eq!(line.add(b"un\r\n"), Progress::Whole(4, Command::ShowRunning));
        assert_eq!(Line::default().end(), None);
    }

    #[test]
    fn the_longest_line_is_read_and_no_longer_one() {
        let longest = [b"help", [b' '; MOST - 5].as_slice(), b"\n"].concat();
        assert_eq!(Line::default().add(&longest), Progress::Whole(MOST, Command::Help));
        assert_eq!(Line::default().add(&[b' '; MOST]), Progress::TooLong);
        let mut line = Line::default();
        assert_eq!(line.add(&[b' '; MOST - 1]), Progress::GoesOn(MOST - 1));
        assert_eq!(line.clone().add(b"\n"), Progress::Whole(1, Command::Nothing));
        assert_eq!(line.add(b" \n"), Progress::TooLong);
    }

    /// Bytes as somebody might send them: commands, ends of lines, and anything.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let word = prop::sample::select(vec!["show", "run", " ", "avail", "help", "bye", "\n", "\r\n", "\0"]);
        let piece = prop_oneof![
            4 => word.prop_map(|word| word.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..300),
        ];
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn it_does_not_matter_in_which_pieces_bytes_come(bytes in bytes(), size in 1_usize..600) {
            let whole = read(std::slice::from_ref(&bytes));
            let pieces: Vec<Vec<u8>> = bytes.chunks(size).map(<[u8]>::to_vec).collect();
            prop_assert_eq!(&read(&pieces), &whole);
            // Line by line, as it is written above.
            let lines = bytes.split_inclusive(|byte| *byte == b'\n');
            let short = lines.clone().take_while(|line| line.len() <= MOST - usize::from(!line.ends_with(b"\n")));
            let expected: Vec<Command> = short.clone().map(|line| command(line.strip_suffix(b"\n").unwrap_or(line))).collect();
            prop_assert_eq!(whole, (expected, short.count() < lines.count()));
        }
    }
}
