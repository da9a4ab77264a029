//! Pictures as frames of the emulated board's camera.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use image::DynamicImage;
use image::imageops::FilterType;
use model_training::data::dataset::{image_files, picture, rgb565};
use tempfile::NamedTempFile;

/// Bytes of the board's memory for frames: what its PSRAM has besides the slots.
const ROOM: usize = 14 << 20;
/// Bytes before the first frame.
const HEADER_LEN: usize = 16;

/// Frames in a file that QEMU's loader puts into the board's memory, RGB565 with the upper byte first; the camera plays them again
/// and again.
#[derive(Debug)]
pub struct Film {
    file: NamedTempFile,
    frames: usize,
}

impl Film {
    /// The pictures of a folder, in the order of their paths, cut and scaled to this width and height: as many as fit.
    ///
    /// # Errors
    /// When there is none, one cannot be read, or not even one fits.
    pub fn of_folder(folder: &Path, [width, height]: [u16; 2]) -> Result<Self> {
        let frame_len = 2 * usize::from(width) * usize::from(height);
        let most = (ROOM - HEADER_LEN).checked_div(frame_len).unwrap_or_default();
        ensure!(most > 0, "frames of {width}x{height} do not fit into the emulated camera's memory of {ROOM} bytes");
        let files = image_files(folder)?;
        if files.len() > most {
            tracing::info!(
                "the emulated camera plays the first {most} of {} pictures, for which it has memory",
                files.len()
            );
        }
        let files = &files[..files.len().min(most)];
        let mut file = NamedTempFile::new().context("cannot make a temporary file for the frames")?;
        let again = 1_u32;
        file.write_all(&(files.len() as u64).to_le_bytes())?;
        file.write_all(&[width.to_le_bytes(), height.to_le_bytes()].concat())?;
        file.write_all(&again.to_le_bytes())?;
        for path in files {
            let pixels = picture(path).map_err(|error| anyhow!("{} {error:#}", path.display()))?;
            let pixels = DynamicImage::from(pixels).resize_to_fill(width.into(), height.into(), FilterType::Triangle);
            let mut bytes = rgb565(&pixels.to_rgb8());
            bytes.as_chunks_mut().0.iter_mut().for_each(|pixel: &mut [u8; 2]| pixel.reverse());
            file.write_all(&bytes)?;
        }
        file.flush()?;
        Ok(Self { file, frames: files.len() })
    }

    /// How many different frames there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames
    }

    /// Never: a film has a frame.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }
}
