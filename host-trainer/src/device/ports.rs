//! Serial ports of this machine, and what is plugged in there.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serial2::SerialPort;

/// What Linux knows of terminals.
const TERMINALS: &str = "/sys/class/tty";

/// A serial port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Port {
    /// Its name, as in `--link serial:NAME`.
    pub name: String,
    /// The USB device that it belongs to, where the system tells: Linux does.
    pub usb: Option<Usb>,
}

/// What a USB device says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Usb {
    /// Vendor and product, `1209:0001`.
    pub id: String,
    /// Who made it.
    pub manufacturer: Option<String>,
    /// Its name.
    pub product: Option<String>,
    /// What tells it from others of its kind.
    pub serial_number: Option<String>,
}

/// All serial ports, those at USB first, each kind by name.
///
/// # Errors
/// When the system cannot list them.
pub fn ports() -> Result<Vec<Port>> {
    let found = SerialPort::available_ports().context("the system does not list its serial ports")?;
    let port = |path: &Path| Port { name: path.display().to_string(), usb: usb(Path::new(TERMINALS), path) };
    let mut ports: Vec<Port> = found.iter().map(|path| port(path)).collect();
    ports.sort_by(|a, b| (a.usb.is_none(), &a.name).cmp(&(b.usb.is_none(), &b.name)));
    Ok(ports)
}

/// The USB device of a port: the first above the terminal's device that has a vendor.
fn usb(terminals: &Path, port: &Path) -> Option<Usb> {
    let device = terminals.join(port.file_name()?).join("device").canonicalize().ok()?;
    let device = device.ancestors().find(|folder| folder.join("idVendor").exists())?;
    let text = |name: &str| fs::read_to_string(device.join(name)).ok().map(|text| text.trim().to_owned());
    Some(Usb {
        id: format!("{}:{}", text("idVendor")?, text("idProduct")?),
        manufacturer: text("manufacturer"),
        product: text("product"),
        serial_number: text("serial"),
    })
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_port_s_device_is_found_above_it() {
        let system = tempfile::tempdir().unwrap();
        let [device, interface, terminals] =
            ["devices/usb1/1-2", "devices/usb1/1-2/1-2:1.0", "class/tty"].map(|name| system.path().join(name));
        fs::create_dir_all(&interface).unwrap();
        for (name, text) in [("idVendor", "1209\n"), ("idProduct", "0001\n"), ("product", "OpenMV Cam H7\n")] {
            fs::write(device.join(name), text).unwrap();
        }
        for (name, target) in [("ttyACM0", &interface), ("ttyS0", &system.path().join("devices"))] {
            fs::create_dir_all(terminals.join(name)).unwrap();
            symlink(target, terminals.join(name).join("device")).unwrap();
        }
        let found = usb(&terminals, Path::new("/dev/ttyACM0"));
        let product = Some("OpenMV Cam H7".to_owned());
        let expected = Usb { id: "1209:0001".to_owned(), manufacturer: None, product, serial_number: None };
        assert_eq!(found, Some(expected));
        assert_eq!(usb(&terminals, Path::new("/dev/ttyS0")), None);
        assert_eq!(usb(&terminals, Path::new("/dev/ttyUSB7")), None);
    }
}
