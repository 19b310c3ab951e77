//! `fetch-originals`: the programs that usherd is compared with, from the Debian archive.
//!
//! Packages are unpacked below `target/originals` and never installed; nothing of the machine's apt set-up is
//! changed. Debian's busybox has no inetd, so its source package is built with that applet and little else.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::server::originals;

/// Unpacked each into a folder of its name.
const PROGRAMS: &[&str] = &[
    "openbsd-inetd",
    "inetutils-inetd",
    "update-inetd",
    "psmisc",
    "rpcbind",
    "tcpd",
    "xinetd",
    "tftpd-hpa",
    "inetutils-ftpd",
    "inetutils-telnetd",
];
/// Libraries of theirs that a plain machine lacks, unpacked together into `libs`.
const LIBRARIES: &[&str] = &[
    "libbsd0",
    "libevent-2.1-7",
    "libtirpc3",
    "libwrap0",
    "libnsl2",
    "libgssapi-krb5-2",
    "libkrb5-3",
    "libk5crypto3",
    "libkrb5support0",
    "libkeyutils1",
];

const BUSYBOX_OPTIONS: &[&str] = &[
    "INETD",
    "FEATURE_INETD_SUPPORT_BUILTIN_ECHO",
    "FEATURE_INETD_SUPPORT_BUILTIN_DISCARD",
    "FEATURE_INETD_SUPPORT_BUILTIN_TIME",
    "FEATURE_INETD_SUPPORT_BUILTIN_DAYTIME",
    "FEATURE_INETD_SUPPORT_BUILTIN_CHARGEN",
    "FEATURE_IPV6",
    "FEATURE_PIDFILE",
    "FEATURE_SYSLOG",
    "LONG_OPTS",
    "STATIC",
    "USE_BB_PWD_GRP",
];

pub fn run() -> i32 {
    match fetch_all() {
        Ok(()) => {
            println!("originals in {}", originals().display());
            0
        }
        Err(message) => {
            eprintln!("compliance: {message}");
            1
        }
    }
}

fn fetch_all() -> Result<(), String> {
    let root = originals();
    let packages = root.join("packages");
    make_folder(&packages)?;
    for name in PROGRAMS {
        if !root.join(name).exists() {
            unpack(&packages, name, &root.join(name))?;
        }
    }
    for name in LIBRARIES {
        let mark = root.join("libs/usr/share/doc").join(name);
        if !mark.exists() {
            unpack(&packages, name, &root.join("libs"))?;
        }
    }
    if !root.join("busybox/busybox").exists() {
        build_busybox(&root.join("busybox"))?;
    }
    Ok(())
}

fn unpack(packages: &Path, name: &str, target: &Path) -> Result<(), String> {
    let mut apt = Command::new("apt-get");
    // As root, apt would fetch as `_apt`, who may not write into this folder.
    apt.current_dir(packages).args(["-q", "-o", "APT::Sandbox::User=root", "download", name]);
    succeed(&mut apt)?;
    let file = find_package(packages, name)?;
    make_folder(target)?;
    succeed(Command::new("dpkg").arg("-x").arg(file).arg(target))
}

fn find_package(packages: &Path, name: &str) -> Result<std::path::PathBuf, String> {
    let prefix = format!("{name}_");
    let entries = fs::read_dir(packages).map_err(|error| format!("{}: {error}", packages.display()))?;
    entries
        .filter_map(Result::ok)
        .find(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .map(|entry| entry.path())
        .ok_or_else(|| format!("apt-get download {name} left no package behind"))
}

fn build_busybox(folder: &Path) -> Result<(), String> {
    make_folder(&folder.join("lists/partial"))?;
    let list = folder.join("sources.list");
    let release = release_name()?;
    let text = format!(
        "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] \
         http://deb.debian.org/debian {release} main\n"
    );
    fs::write(&list, text).map_err(|error| format!("{}: {error}", list.display()))?;
    let apt = || {
        let mut command = Command::new("apt-get");
        command.current_dir(folder).arg("-qq").args(["-o", "APT::Sandbox::User=root"]);
        command.args(["-o", &format!("Dir::Etc::sourcelist={}", list.display())]);
        command.args(["-o", "Dir::Etc::sourceparts=-"]);
        command.args(["-o", &format!("Dir::State::lists={}", folder.join("lists").display())]);
        command
    };
    succeed(apt().arg("update"))?;
    succeed(apt().args(["source", "busybox"]))?;
    let script = format!(
        "cd busybox-*/ && make -s allnoconfig >/dev/null && \
         for o in {}; do sed -i \"s/^# CONFIG_$o is not set/CONFIG_$o=y/\" .config; done && \
         yes '' 2>/dev/null | make -s oldconfig >/dev/null && \
         sed -i 's|^CONFIG_PID_FILE_PATH=.*|CONFIG_PID_FILE_PATH=\"/run\"|' .config && \
         make -s busybox >../build.log 2>&1 && cp busybox ../busybox",
        BUSYBOX_OPTIONS.join(" ")
    );
    succeed(Command::new("sh").current_dir(folder).arg("-c").arg(script))
}

fn release_name() -> Result<String, String> {
    let text = fs::read_to_string("/etc/os-release").map_err(|error| format!("/etc/os-release: {error}"))?;
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    name.map(str::to_owned).ok_or_else(|| "/etc/os-release names no release; Debian is needed".to_owned())
}

fn make_folder(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn succeed(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}")) }
}
