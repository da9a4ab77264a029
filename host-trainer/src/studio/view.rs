//! What a page is told.

use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use model_training::system::hexadecimal::hexadecimal;
use model_training::system::html::png_uri;
use no_std_infer::image::PixelFormat;
use serde::Serialize;

use super::board::{Board, Sight, State, Status};
use super::models::Entry;
use super::teach::Lesson;
use super::{Shared, lock};
use crate::collect::png;
use crate::collect::rules::Rule;
use crate::device::{Agreement, Description};

#[derive(Serialize)]
struct View<'a> {
    /// What has changed so far: who asks for the next view names it.
    version: u64,
    folder: String,
    /// The classes with the numbers of their pictures.
    classes: Vec<(String, usize)>,
    models: Vec<ModelView>,
    boards: Vec<BoardView<'a>>,
    /// The training that is under way or was the last; none where nothing can be trained.
    lesson: Option<Lesson>,
    sight: Option<SightView>,
}

#[derive(Serialize)]
struct ModelView {
    name: String,
    file: String,
    /// Start of the blob's SHA-256.
    blob: String,
    bytes: usize,
    /// Whether it can be trained further.
    run: bool,
}

#[derive(Serialize)]
struct BoardView<'a> {
    link: &'a str,
    /// `connecting`, `watching` or `lost`, and why.
    status: &'static str,
    why: Option<String>,
    name: Option<String>,
    kernel_set: Option<String>,
    /// The model that runs: its place among the models where it is one of them, and the start of its blob's SHA-256.
    model: Option<usize>,
    blob: Option<String>,
    tentative: bool,
    /// Whether it takes models.
    updates: bool,
    pace: Option<f64>,
    compared: u64,
    differing: u64,
    troubles: Vec<TroubleView>,
    /// How much of a frame has come, where that takes long.
    arriving: Option<f64>,
    paused: bool,
    burst: Option<u32>,
    automatic: Option<AutomaticView>,
    doing: Option<DoingView>,
    notes: Vec<NoteView>,
}

#[derive(Serialize)]
struct TroubleView {
    text: String,
    guess: bool,
}

#[derive(Serialize)]
struct AutomaticView {
    rule: &'static str,
    class: Option<String>,
    saved: u64,
}

#[derive(Serialize)]
struct DoingView {
    what: String,
    /// Share that is done, where it is known.
    done: Option<f64>,
}

#[derive(Serialize)]
struct NoteView {
    number: u64,
    text: String,
    bad: bool,
}

/// A frame.
#[derive(Serialize)]
struct SightView {
    number: u64,
    sequence: u32,
    format: Option<PixelFormat>,
    width: u16,
    height: u16,
    /// The frame as the camera gave it; none where it keeps no frames.
    frame: Option<String>,
    /// The network's input, and its sides.
    input: Option<String>,
    sides: Option<[u16; 2]>,
    class: String,
    /// 0 to 1, smoothed where the board does that.
    probability: f64,
    sure: bool,
    /// The model's threshold, 0 to 1.
    threshold: f64,
    answers: Vec<(String, f32)>,
    preprocessing: u64,
    network: u64,
    unit: String,
    /// Units in a second; 0 where that is not known.
    hz: u32,
    layers: Vec<(String, u64)>,
    ms: f64,
    agreement: Option<Agreement>,
}

impl Shared {
    pub(super) fn view(&self, index: usize, shown: u64) -> Result<String> {
        let board = self.board(index)?;
        // Read first: what changes meanwhile is told again.
        let version = self.changes.count();
        let latest = board.state().sights.back().filter(|sight| sight.number != shown).cloned();
        let sight = latest.map(|sight| SightView::of(&sight));
        let models = self.models.all();
        let place = |entry: &Entry| models.iter().position(|other| other.identity == entry.identity);
        let (folder, classes) = {
            let shelf = lock(&self.shelf);
            (shelf.collection.folder().display().to_string(), shelf.classes.clone())
        };
        let view = View {
            version,
            folder,
            classes,
            models: models.iter().map(|entry| ModelView::of(entry)).collect(),
            boards: self.boards.iter().map(|board| BoardView::of(board, &place)).collect(),
            lesson: self.teacher.is_there().then(|| self.teacher.lesson().clone()),
            sight: sight.transpose()?,
        };
        Ok(serde_json::to_string(&view)?)
    }
}

impl ModelView {
    fn of(entry: &Entry) -> Self {
        Self {
            name: entry.known.name().to_owned(),
            file: entry.known.path().display().to_string(),
            blob: hexadecimal(&entry.identity.sha256[..4]),
            bytes: entry.known.blob().len(),
            run: entry.known.run().is_some(),
        }
    }
}

impl TroubleView {
    /// What is wrong with a board and its camera.
    fn all(state: &State) -> Vec<Self> {
        let seen = state.troubles.iter().map(|trouble| Self { text: trouble.to_string(), guess: trouble.is_guess() });
        let reset = state.about.as_ref().and_then(Description::complaint).map(str::to_owned);
        seen.chain(state.losses.clone().into_iter().chain(reset).map(|text| Self { text, guess: false })).collect()
    }
}

impl<'a> BoardView<'a> {
    fn of(board: &'a Board, place: &impl Fn(&Entry) -> Option<usize>) -> Self {
        let state = board.state();
        let State { about, status, .. } = &*state;
        let model = about.as_ref().and_then(|about| about.model);
        let share = |(done, of): (usize, usize)| done as f64 / of.max(1) as f64;
        let (status, why) = match status {
            Status::Connecting => ("connecting", None),
            Status::Watching => ("watching", None),
            Status::Lost(why) => ("lost", Some(why.clone())),
        };
        Self {
            link: &board.link,
            status,
            why,
            name: about.as_ref().map(|about| about.board.clone()),
            kernel_set: about.as_ref().map(|about| about.kernel_set.clone()),
            model: state.model.as_deref().and_then(place),
            blob: model.map(|model| hexadecimal(&model.blob.sha256[..4])),
            tentative: model.is_some_and(|model| model.tentative),
            updates: about.as_ref().is_some_and(|about| about.slots.is_some()),
            pace: state.pace(),
            compared: state.compared,
            differing: state.differing,
            troubles: TroubleView::all(&state),
            arriving: state.arriving.map(share),
            paused: state.paused,
            burst: state.burst.as_ref().map(|burst| burst.left),
            automatic: state.automatic.as_ref().map(|automatic| AutomaticView {
                rule: rule_name(automatic.rule),
                class: automatic.label.clone(),
                saved: automatic.saved,
            }),
            doing: state.doing.as_ref().map(|doing| DoingView {
                what: doing.what.clone(),
                done: (doing.of > 0).then(|| share((doing.done, doing.of))),
            }),
            notes: state
                .notes
                .iter()
                .map(|note| NoteView { number: note.number, text: note.text.clone(), bad: note.is_bad })
                .collect(),
        }
    }
}

fn rule_name(rule: Rule) -> &'static str {
    match rule {
        Rule::Every => "every",
        Rule::Unsure(_) => "unsure",
        Rule::Changed(_) => "changed",
        Rule::Disagreeing => "disagreeing",
    }
}

impl SightView {
    fn of(sight: &Sight) -> Result<Self> {
        let Sight { number, shot, class, threshold, answers, unit, hz, layers, input } = sight;
        let (seen, shape) = (&shot.seen, shot.seen.shape);
        let frame = shape.map(|shape| png(&shape, &shot.bytes)).transpose()?;
        let input_uri = input.as_ref().map(|input| png_uri(&input.pixels, input.width.into(), input.height.into()));
        Ok(Self {
            number: *number,
            sequence: seen.sequence,
            format: shape.map(|shape| shape.format),
            width: shape.map_or(0, |shape| shape.width),
            height: shape.map_or(0, |shape| shape.height),
            frame: frame.map(|png| format!("data:image/png;base64,{}", BASE64_STANDARD.encode(png))),
            input: input_uri.transpose()?,
            sides: input.as_ref().map(|input| [input.width, input.height]),
            class: class.clone(),
            probability: f64::from(seen.probability) / 256.0,
            sure: seen.sure,
            threshold: f64::from(*threshold) / 256.0,
            answers: answers.clone(),
            preprocessing: seen.result.preprocessing,
            network: seen.result.total,
            unit: unit.to_string(),
            hz: *hz,
            layers: layers.clone(),
            ms: shot.took.as_secs_f64() * 1e3,
            agreement: shot.agreement,
        })
    }
}
