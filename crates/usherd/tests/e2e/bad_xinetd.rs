//! Files of an xinetd.conf that are not what they should be: folders of too many, links to nowhere, devices, rings, files
//! that come and go.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::client::{at, is_refused, listen};
use crate::daemon::{CONTROL, Daemon, said_by, usherd};
use crate::probe::PROBE;
use crate::sandbox::{self, user};

const CONFIG: &str = "/etc/xinetd.conf";
const FOLDER: &str = "/etc/xinetd.d";

fn service(name: &str, port: u16) -> String {
    let user = user();
    format!(
        "service {name}\n{{\n type = UNLISTED\n port = {port}\n socket_type = stream\n wait = no\n user = {user}\n flags = \
         NOLIBWRAP NAMEINARGS\n server = {PROBE}\n server_args = probe say {name}\n}}\n"
    )
}

fn write(name: &str, text: &str) {
    fs::write(Path::new(FOLDER).join(name), text).expect("write");
}

/// A folder for a main file that names it.
fn folder() {
    fs::create_dir(FOLDER).expect("create");
    fs::write(CONFIG, format!("{}includedir {FOLDER}\n", service("main", 2001))).expect("write");
}

fn check(path: &str) -> (Option<i32>, String) {
    let mut command = usherd("check");
    command.arg(path);
    said_by(command)
}

fn start() -> Daemon {
    let mut command = usherd("run");
    command.args(["-c", CONFIG, "--control", CONTROL]);
    Daemon::start(command)
}

#[test]
fn hundreds_of_thousands_of_wrong_lines_cost_themselves_only() {
    sandbox::run(|| {
        let inetd = format!("127.0.0.1:2001 stream tcp nowait {} {PROBE} probe say main\n", user());
        // A brace takes the next one with it.
        for (good, wrong, lines, errors) in
            [(service("main", 2001), "}\n", 800_000, 400_000), (inetd, "a b c\n", 100_000, 100_000)]
        {
            // A message is made of it, and each byte takes three when it is shown.
            let novel = [b"novel ".as_slice(), &b"\xff".repeat(4 << 20), b"\n"].concat();
            let text = [good.as_bytes(), wrong.repeat(lines).as_bytes(), &novel].concat();
            fs::write(CONFIG, text).expect("write");
            let (status, said) = check(CONFIG);
            assert_eq!(status, Some(78), "{said}");
            assert!(said.ends_with(&format!("1 services, {} errors, 0 warnings\n", errors + 1)), "{said}");
            assert!(
                said.contains(&format!("and {} more like these in {CONFIG}\n", errors + 1 - 200)),
                "{said}"
            );
            let daemon = start();
            assert_eq!(listen(at(2001)), "main", "{wrong}");
            let more = &daemon.status()["diagnostics"][200];
            assert!(more.to_string().contains(&format!("{} more findings", errors + 1 - 200)), "{more}");
        }
    });
}

#[test]
fn a_folder_of_everything_that_is_no_file() {
    sandbox::run(|| {
        folder();
        write("good", &service("good", 2002));
        fs::create_dir(format!("{FOLDER}/inner")).expect("create");
        fs::write(format!("{FOLDER}/inner/hidden"), service("inner", 2003)).expect("write");
        write("with.dot", &service("dotted", 2004));
        write("old~", &service("old", 2005));
        symlink("/etc/nowhere", format!("{FOLDER}/dangling")).expect("link");
        symlink("looped", format!("{FOLDER}/looped")).expect("link");
        symlink("/dev/zero", format!("{FOLDER}/zero")).expect("link");
        mknodat(CWD, format!("{FOLDER}/fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0)
            .expect("mkfifo");
        write("binary", "\0\0\0\0");
        fs::File::create(format!("{FOLDER}/huge")).and_then(|file| file.set_len(1 << 30)).expect("sparse");
        let (status, said) = check(CONFIG);
        assert_eq!(status, Some(78));
        assert!(said.contains("left out for the dot or ~ in their names: old~, with.dot"), "{said}");
        for (name, why) in [
            ("dangling", "there is no such file"),
            ("looped", "symbolic links"),
            ("zero", "a device"),
            ("fifo", "a pipe"),
            ("binary", "binary"),
            ("huge", "larger than"),
        ] {
            let at =
                said.find(&format!("{FOLDER}/{name}")).unwrap_or_else(|| panic!("nothing of {name}: {said}"));
            let before = said[..at].rfind("error[unreadable]").expect("an error");
            assert!(said[before..at].contains(why), "{name}: {said}");
        }
        assert!(!said.contains("inner") && said.contains("2 services, 6 errors, 1 warnings"), "{said}");
        let _daemon = start();
        assert_eq!((listen(at(2001)), listen(at(2002))), ("main".to_owned(), "good".to_owned()));
        assert!((2003..=2005).all(|port| is_refused(at(port))));
    });
}

#[test]
fn a_folder_of_twenty_thousand_files() {
    sandbox::run(|| {
        folder();
        for number in 0..20_000 {
            write(&format!("s{number:05}"), "# nothing\n");
        }
        write("s00001", &service("early", 2002));
        write("s19999", &service("late", 2003));
        let (status, said) = check(CONFIG);
        assert_eq!(status, Some(78));
        assert!(said.contains("more than 10000 files are included; the rest is left out"), "{said}");
        assert!(said.ends_with("2 services, 1 errors, 0 warnings\n"), "{said}");
        // As many folders cost nothing.
        fs::remove_dir_all(FOLDER).expect("remove");
        folder_of_folders();
        let (status, said) = check(CONFIG);
        assert!(
            status == Some(0) && said.ends_with("2 services, 0 errors, 0 warnings\n"),
            "{status:?} {said}"
        );
    });
}

fn folder_of_folders() {
    fs::create_dir(FOLDER).expect("create");
    for number in 0..20_000 {
        fs::create_dir(format!("{FOLDER}/f{number}")).expect("create");
    }
    write("good", &service("good", 2002));
}

#[test]
fn files_that_include_each_other() {
    sandbox::run(|| {
        fs::create_dir(FOLDER).expect("create");
        // A ring of two, one that holds its own folder, and one by another name.
        fs::write(CONFIG, format!("include {FOLDER}/a\n{}", service("main", 2001))).expect("write");
        write("a", &format!("include {CONFIG}\nincludedir {FOLDER}\n{}", service("a", 2002)));
        write("b", &format!("include {FOLDER}/a\ninclude b\n{}", service("b", 2003)));
        symlink(CONFIG, format!("{FOLDER}/c")).expect("link");
        let (status, said) = check(CONFIG);
        assert_eq!(said.matches("warning[include-ring]").count(), 5, "{said}");
        assert!(
            status == Some(0) && said.ends_with("3 services, 0 errors, 5 warnings\n"),
            "{status:?} {said}"
        );

        // Each its own file, and each includes the next.
        for number in 0..40 {
            fs::write(format!("/run/deep{number}"), format!("include /run/deep{}\n", number + 1))
                .expect("write");
        }
        let (status, said) = check("/run/deep0");
        assert!(status == Some(78) && said.contains("error[include-depth]"), "{status:?} {said}");
        // Doors that each lead to two more.
        for number in 0..14 {
            let next = number + 1;
            let text = format!("include /run/wide{next}\ninclude /run/wide{next}\n");
            fs::write(format!("/run/wide{number}"), text).expect("write");
        }
        fs::write("/run/wide14", "# nothing\n").expect("write");
        let (status, said) = check("/run/wide0");
        assert!(status == Some(78) && said.contains("error[too-many-files]"), "{status:?} {said}");
    });
}

#[test]
fn files_that_come_and_go_while_they_are_read() {
    sandbox::run(|| {
        folder();
        write("good", &service("good", 2002));
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut round = 0_u32;
                while !is_over.load(Ordering::Relaxed) {
                    for number in 0..50 {
                        write(&format!("x{number}"), "# nothing\n");
                    }
                    for number in 0..50 {
                        fs::remove_file(format!("{FOLDER}/x{number}")).expect("remove");
                    }
                    round += 1;
                }
                assert!(round > 0);
            });
            for _ in 0..40 {
                let (status, said) = check(CONFIG);
                // What was there when the folder was listed and is gone now is said, and costs nothing else.
                let is_said = said.contains("there is no such file");
                assert_eq!(status, Some(if is_said { 78 } else { 0 }), "{said}");
                assert!(said.contains("2 services, "), "{said}");
            }
            is_over.store(true, Ordering::Relaxed);
        });
    });
}

#[test]
fn a_folder_that_goes_takes_nothing_along() {
    sandbox::run(|| {
        folder();
        write("good", &service("good", 2002));
        let daemon = start();
        assert_eq!(listen(at(2002)), "good");
        fs::rename(FOLDER, "/etc/elsewhere").expect("rename");
        daemon.reread();
        assert_eq!((listen(at(2001)), listen(at(2002))), ("main".to_owned(), "good".to_owned()));
        // A block that does not end, in a file that was good.
        fs::rename("/etc/elsewhere", FOLDER).expect("rename");
        write("good", service("good", 2002).trim_end_matches("}\n"));
        daemon.reread();
        assert_eq!(listen(at(2002)), "good");
        fs::remove_file(format!("{FOLDER}/good")).expect("remove");
        daemon.reread();
        assert!(is_refused(at(2002)), "a file that is gone takes its services along");
    });
}
