//! `ports`: serial ports, where boards may be.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use model_training::measure::comparison::text_table;
use model_training::system::hints::program;
use model_training::system::terminal::escaped;

use crate::device::ports::{Port, ports};

/// What to look at where no port is found.
const NONE: &str = "\
This machine has no serial port. Check that
- the board is plugged in, by a cable that carries data and does not only charge;
- firmware runs on it that shows a port, and not its boot loader;
- this system sees it: `lsusb` and `dmesg` on Linux, the device manager on Windows, `ls /dev/cu.*` on macOS;
- a container or virtual machine gets the device passed on.";

#[derive(Debug, Args)]
pub(super) struct PortsArgs {
    /// Print JSON: a list that may be empty.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &PortsArgs) -> Result<ExitCode> {
    let ports = ports()?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&ports)?);
    } else {
        println!("{}", text(&ports));
    }
    Ok(ExitCode::SUCCESS)
}

fn text(ports: &[Port]) -> String {
    let Some(first) = ports.first() else { return NONE.to_owned() };
    let mut table = text_table(&["port", "USB", "product", "manufacturer", "serial number"], 5);
    for Port { name, usb } in ports {
        let text = |value: Option<&String>| value.map_or_else(String::new, |value| escaped(value).into_owned());
        let usb = usb.as_ref();
        table.add_row([
            name.clone(),
            usb.map_or_else(|| "not known".to_owned(), |usb| usb.id.clone()),
            text(usb.and_then(|usb| usb.product.as_ref())),
            text(usb.and_then(|usb| usb.manufacturer.as_ref())),
            text(usb.and_then(|usb| usb.serial_number.as_ref())),
        ]);
    }
    format!("{}\n\nTo send a model to one: {} flash BLOB --link serial:{}", table.trim_fmt(), program(), first.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::ports::Usb;

    #[test]
    fn ports_are_shown_with_what_is_known_and_none_with_what_to_check() {
        let usb = Usb {
            id: "1209:0001".to_owned(),
            manufacturer: None,
            product: Some("OpenMV Cam H7".to_owned()),
            serial_number: None,
        };
        let port = |name: &str, usb: Option<Usb>| Port { name: name.to_owned(), usb };
        let shown = text(&[port("/dev/ttyACM0", Some(usb)), port("/dev/ttyS0", None)]);
        for expected in ["1209:0001", "OpenMV Cam H7", "/dev/ttyS0", "not known", "--link serial:/dev/ttyACM0"] {
            assert!(shown.contains(expected), "{expected} is not in\n{shown}");
        }
        assert!(text(&[]).contains("no serial port") && text(&[]).contains("cable"));
    }
}
