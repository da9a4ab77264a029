//! What computes a run.

#[cfg(feature = "wgpu")]
use std::sync::OnceLock;

use anyhow::Result;
use burn::tensor::Device;

/// What computes. Every program knows all of them; [`DeviceKind::open`] says when it was built without one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum DeviceKind {
    /// burn-flex, on the CPU.
    #[default]
    Flex,
    /// burn-ndarray, on the CPU, slower.
    Ndarray,
    /// Any graphics card, by Vulkan, Metal or Direct3D; needs the feature `wgpu`.
    Wgpu,
    /// An NVIDIA graphics card, by CUDA; needs the feature `cuda`.
    Cuda,
}

impl DeviceKind {
    /// burn's handle, on which tensors can be made.
    ///
    /// # Errors
    /// When the program was built without the back end, or the machine has no such device.
    #[expect(deprecated, reason = "burn deprecates ndarray in favour of flex; it stays the choice that is compared")]
    pub fn open(self) -> Result<Device> {
        match self {
            DeviceKind::Flex => Ok(Device::flex()),
            DeviceKind::Ndarray => Ok(Device::ndarray()),
            DeviceKind::Wgpu => wgpu(),
            DeviceKind::Cuda => cuda(),
        }
    }

    /// The back end and, of a graphics card, its name.
    ///
    /// # Errors
    /// Those of [`DeviceKind::open`].
    pub fn describe(self) -> Result<String> {
        let device = self.open()?;
        let back_end = match self {
            DeviceKind::Flex => "burn-flex",
            DeviceKind::Ndarray => "burn-ndarray",
            DeviceKind::Wgpu => "wgpu",
            DeviceKind::Cuda => "CUDA",
        };
        Ok(card(&device).map_or_else(|| back_end.to_owned(), |name| format!("{back_end} on {name}")))
    }
}

/// A graphics card's name.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn card(device: &Device) -> Option<String> {
    device.identity().map(|identity| identity.name)
}

#[cfg(not(any(feature = "wgpu", feature = "cuda")))]
fn card(_: &Device) -> Option<String> {
    None
}

/// The adapter that wgpu prefers. It is opened once: burn refuses a second time, and several runs may use it.
#[cfg(feature = "wgpu")]
fn wgpu() -> Result<Device> {
    static DEVICE: OnceLock<Result<Device, String>> = OnceLock::new();
    let opened = DEVICE.get_or_init(|| Device::wgpu_options().init().map_err(|error| error.to_string()));
    opened.clone().map_err(|error| {
        anyhow::anyhow!(
            "wgpu finds no graphics card that it can use ({error}): install the card's Vulkan driver, which \
             `vulkaninfo --summary` then lists, or train with `--device flex`"
        )
    })
}

#[cfg(not(feature = "wgpu"))]
fn wgpu() -> Result<Device> {
    built_without("wgpu")
}

/// The first card.
#[cfg(feature = "cuda")]
fn cuda() -> Result<Device> {
    anyhow::ensure!(
        !Device::enumerate(burn::tensor::DeviceType::Cuda).is_empty(),
        "CUDA finds no graphics card: install NVIDIA's driver, whose `nvidia-smi` then lists the card, or train with \
         `--device wgpu` or `--device flex`"
    );
    Ok(Device::cuda(0))
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Result<Device> {
    built_without("cuda")
}

#[cfg(not(all(feature = "wgpu", feature = "cuda")))]
fn built_without(feature: &str) -> Result<Device> {
    anyhow::bail!(
        "this program was built without `--device {feature}`: build it by `cargo build -p host-trainer --features \
         {feature}`, or train with `--device flex`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    fn a_back_end_that_was_left_out_says_how_it_is_built() {
        for (kind, feature) in [(DeviceKind::Wgpu, "wgpu"), (DeviceKind::Cuda, "cuda")] {
            let message = kind.describe().unwrap_err().to_string();
            assert!(message.contains(&format!("--features {feature}`")), "{message}");
        }
    }

    #[test]
    fn back_ends_on_the_cpu_are_always_there() {
        assert_eq!(DeviceKind::Flex.describe().unwrap(), "burn-flex");
        assert_eq!(DeviceKind::Ndarray.describe().unwrap(), "burn-ndarray");
    }
}
