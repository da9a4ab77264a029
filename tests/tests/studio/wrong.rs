//! What a studio says of boards and cameras that are not what they should be.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use host_trainer::device::Transport;
use model_compiler::aligned::Aligned;
use model_compiler::blob::repair_crc;
use no_std_device::link::{Message, Receiver, Response, decode, encode};
use no_std_infer::Model;
use serde_json::{Value, json};
use tests::in_process::{FRAME, InProcess};
use tests::networks::noise;

use crate::set::{Set, frames, shipped, without_pictures};

/// Longest frame of the link that a board sends, in bytes.
const LONGEST: usize = 4096;

/// A board of whose output for each frame of the camera one byte is another.
pub struct Lying {
    inner: InProcess,
    /// What has come of an answer that is not whole.
    begun: Vec<u8>,
    /// What the host is to hear.
    said: Vec<u8>,
}

impl Lying {
    /// Stands between the host and a board.
    pub fn between(inner: InProcess) -> Box<dyn Transport> {
        Box::new(Self { inner, begun: Vec::new(), said: Vec::new() })
    }
}

impl Transport for Lying {
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.inner.send(bytes)
    }

    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> Result<usize> {
        if self.said.is_empty() {
            let mut heard = [0; LONGEST];
            let len = self.inner.receive(&mut heard, patience)?;
            for &byte in &heard[..len] {
                self.begun.push(byte);
                if byte == 0 {
                    self.said.extend(lie(&std::mem::take(&mut self.begun))?);
                }
            }
        }
        let len = self.said.len().min(buffer.len());
        buffer.iter_mut().zip(self.said.drain(..len)).for_each(|(slot, byte)| *slot = byte);
        Ok(len)
    }
}

/// An answer with another output where it is about a frame of the camera.
fn lie(answer: &[u8]) -> Result<Vec<u8>> {
    let mut memory = heapless::Vec::<u8, LONGEST>::new();
    let mut receiver = Receiver::new(&mut memory);
    for &byte in answer {
        let Some(message) = receiver.push(byte) else { continue };
        let mut output;
        let mut message: Message<Response<'_>> = decode(message?)?;
        if let Response::Look { frame: Some(look), .. } = &mut message.body {
            output = look.inference.output.to_vec();
            output[0] ^= 1;
            look.inference.output = &output;
        }
        return Ok(encode(&message, &mut [0; LONGEST])?.to_vec());
    }
    Ok(answer.to_vec())
}

pub fn a_lying_board_is_told() -> Result<()> {
    let set = Set::over(vec![frames(&[20, 90, 160, 230])], &shipped()?, &[], Lying::between)?;
    let view = set.until(|view| view["boards"][0]["compared"].as_u64() > Some(4))?;
    let state = &view["boards"][0];
    ensure!(state["differing"] == state["compared"], "{}", without_pictures(view.clone()));
    ensure!(view["sight"]["agreement"] == json!({ "compared": 8, "differing": 1 }), "{}", view["sight"]["agreement"]);
    Ok(())
}

/// Seven frames of one colour and any brightness, up to this one, in the order of their format, or with brightness and colour swapped.
fn scenes([u, v]: [u8; 2], brightest: u8, swapped: bool) -> Vec<Vec<u8>> {
    let (_, width, height) = FRAME;
    let pairs = usize::from(width) * usize::from(height) / 2;
    let frame = |seed: u64| -> Vec<u8> {
        let bright: Vec<u8> = noise(seed, 2 * pairs).into_iter().map(|value| value as u8 % (brightest + 1)).collect();
        let pixels = bright.as_chunks().0.iter();
        pixels.flat_map(|&[left, right]| if swapped { [left, u, right, v] } else { [u, left, v, right] }).collect()
    };
    (0..7).map(frame).collect()
}

/// What is said of a camera that gives these frames; nothing where nothing was said of the first ones.
fn troubles(film: Vec<Vec<u8>>) -> Result<String> {
    let set = Set::over(vec![film], &shipped()?, &[], |inner| Box::new(inner))?;
    let view = set.until(|view| view["boards"][0]["compared"].as_u64() > Some(10))?;
    Ok(view["boards"][0]["troubles"].to_string())
}

pub fn what_is_wrong_is_named() -> Result<()> {
    let grey = [128, 128];
    for (film, named) in [
        (frames(&[60]), "the same to the last bit"),
        (scenes(grey, 3, false), "all frames are black"),
        (scenes(grey, 249, true), "brightness and colour seem to be swapped"),
        (scenes([200, 70], 249, false), "red and blue may be swapped"),
    ] {
        let said = troubles(film)?;
        ensure!(said.contains(named), "it says {said}, and not: {named}");
    }
    let said = troubles(scenes([110, 150], 249, false))?;
    ensure!(said == "[]", "{said}");
    Ok(())
}

/// The shipped model with a golden vector that no engine gives.
fn unproved() -> Result<Aligned<u8>> {
    let mut blob = shipped()?;
    let golden = Model::parse(&blob)?.golden().context("a golden vector")?.layers.as_ptr() as usize;
    let at = golden - blob.as_ptr() as usize;
    blob[at] ^= 1;
    repair_crc(&mut blob);
    Ok(blob)
}

pub fn a_refusal_of_the_board_is_told() -> Result<()> {
    let unproved = unproved()?;
    let set = Set::over(vec![frames(&[20, 90, 160, 230])], &shipped()?, &[&unproved], |inner| Box::new(inner))?;
    set.until(|view| view["boards"][0]["compared"].as_u64() > Some(2))?;
    set.act(json!({ "do": "send", "board": 0, "model": 2 }))?;
    let view = set.until(|view| view["boards"][0]["notes"].as_array().is_some_and(|notes| !notes.is_empty()))?;
    let note = &view["boards"][0]["notes"][0];
    ensure!(note["bad"] == true && note["text"].to_string().contains("self-test"), "{note}");
    // The board goes on with the model that it has.
    let runs = |view: &Value| {
        let state = &view["boards"][0];
        state["doing"].is_null() && state["model"] == 0 && state["compared"].as_u64() > Some(2)
    };
    let view = set.until(runs)?;
    ensure!(view["boards"][0]["differing"] == 0, "{}", without_pictures(view));
    Ok(())
}
