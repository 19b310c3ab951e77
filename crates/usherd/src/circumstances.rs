//! How the machine is, for services that may be called at times or under a certain load only.

use std::io::Read;

use usherd_model::guard::{Circumstances, Load};

use crate::clock;

/// How it is now.
pub fn now() -> Circumstances {
    let time = clock::local();
    let minute_of_day = u16::try_from(time.hour * 60 + time.minute).unwrap_or_default();
    Circumstances { minute_of_day, load: load() }
}

/// The mean load of the last minute.
fn load() -> Option<Load> {
    let mut text = [0_u8; 64];
    let length = std::fs::File::open("/proc/loadavg").and_then(|mut file| file.read(&mut text)).ok()?;
    Load::in_loadavg(&text[..length])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_a_time_and_a_load() {
        let now = now();
        assert!(now.minute_of_day < 24 * 60);
        assert!(now.load.is_some());
    }
}
