//! What was compared, and what was chosen.

use serde::{Deserialize, Serialize};

use super::{Look, Probe};
use crate::data::bootstrap::{self, Estimate};
use crate::data::dataset::Sample;
use crate::measure::metrics::Share;

/// The recipe that is taken unless another is better by more than chance.
pub(super) const USUAL: &str = "fine-tuned";

/// What was compared, and what was chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// What the pictures are like.
    pub look: Look,
    /// Output layers on a pretrained network's features, at several widths; none where there are too few pictures.
    pub probed: Vec<Probed>,
    /// Whether mirror images are of the same class, so that training uses them.
    pub flips: bool,
    /// The recipes that were trained, in this order.
    pub tried: Vec<Tried>,
    /// Whether the chosen one was trained once more, on validation images too.
    pub refitted: bool,
}

/// An output layer at one width.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probed {
    /// Width and height of the network's input in pixels.
    pub side: u16,
    /// What it reached on folds of the training images.
    #[serde(flatten)]
    pub probe: Probe,
}

/// A recipe that was trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// `frozen`, `fine-tuned` or `scratch`.
    pub name: String,
    /// Of its int8 model on the validation images.
    pub accuracy: Share,
    /// By which share of the images it is right more often than the usual recipe.
    pub lead: Option<Estimate>,
    #[serde(skip)]
    hit: Vec<bool>,
}

impl Choice {
    /// Nothing was tried yet.
    pub(super) fn new(look: Look) -> Self {
        Self { look, probed: Vec::new(), flips: true, tried: Vec::new(), refitted: false }
    }

    /// The width whose output layer reaches most, the narrowest of several.
    pub(super) fn best_probe(&self) -> Option<&Probed> {
        self.probed.iter().reduce(|best, next| if next.probe.accuracy > best.probe.accuracy { next } else { best })
    }

    /// Adds what a recipe has right of the validation images.
    pub(super) fn add(&mut self, name: &str, hit: &[bool], valid: &[Sample]) {
        let groups: Vec<&str> = valid.iter().map(Sample::cluster).collect();
        let accuracy = Share::over(hit, &groups);
        self.tried.push(Tried { name: name.to_owned(), accuracy, hit: hit.to_vec(), lead: None });
        let Some(usual) = self.tried.iter().find(|tried| tried.name == USUAL).map(|usual| usual.hit.clone()) else {
            return;
        };
        for tried in &mut self.tried {
            tried.lead = Some(bootstrap::lead(&groups, &tried.hit, &usual));
        }
    }

    /// The recipe that leads the usual one by most, where that is more than a standard error; otherwise the usual one, or the
    /// first where that does not fit the target.
    pub(super) fn best(&self) -> usize {
        let usual = self.tried.iter().position(|tried| tried.name == USUAL).unwrap_or_default();
        let leads = |tried: &Tried| tried.lead.filter(Estimate::is_more_than_chance).map_or(0.0, |lead| lead.value);
        let order = |&place: &usize| leads(&self.tried[place]);
        (0..self.tried.len())
            .filter(|place| order(place) > 0.0)
            .max_by(|a, b| order(a).total_cmp(&order(b)))
            .unwrap_or(usual)
    }

    /// What the recipe that was tried last reached.
    pub(super) fn last(&self) -> String {
        self.tried
            .last()
            .map_or_else(String::new, |tried| format!("{}: {}", described(&tried.name), right(&tried.accuracy)))
    }

    /// What was seen, compared and chosen, in sentences.
    #[must_use]
    pub fn text(&self) -> Vec<String> {
        let Some(chosen) = self.tried.get(self.best()) else { return Vec::new() };
        let mut said = vec![format!("The recipe was chosen for {}.", self.look.text())];
        let tried: Vec<String> =
            self.tried.iter().map(|tried| format!("{} {}", described(&tried.name), right(&tried.accuracy))).collect();
        said.push(format!(
            "{} was taken: on the validation pictures {}.",
            capital(described(&chosen.name)),
            tried.join(", ")
        ));
        if self.refitted {
            said.push(
                "It was then trained once more, on the validation pictures as well, but for a few that are watched."
                    .to_owned(),
            );
        }
        if !self.flips {
            said.push("Mirror images were left out: they seem to be of other classes.".to_owned());
        }
        said
    }
}

fn described(name: &str) -> &str {
    match name {
        "frozen" => "an output layer on ImageNet's features",
        "fine-tuned" => "ImageNet's network, fine-tuned",
        "scratch" => "a small network from random weights",
        other => other,
    }
}

fn right(share: &Share) -> String {
    format!("had {:.0} % right ({:.0} to {:.0} %)", 100.0 * share.value, 100.0 * share.low, 100.0 * share.high)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(counts: &[(&str, usize)], images: usize, probes: &[(u16, f64)]) -> Choice {
        let look = Look { images: 90, photographs: 90, classes: 2, side: 64, grey: false, drawn: false };
        let probe = |accuracy| Probe { l2: 1.0, accuracy, mirrored: accuracy };
        let probed = probes.iter().map(|&(side, accuracy)| Probed { side, probe: probe(accuracy) }).collect();
        let mut choice = Choice { probed, ..Choice::new(look) };
        let sample = |image: usize| Sample { name: format!("{image:04}"), label: 0, group: None, digest: None };
        let valid: Vec<Sample> = (0..images).map(sample).collect();
        for &(name, count) in counts {
            // Those that are right are spread differently for each recipe.
            let hit = |image: usize| (image * (7 + name.len() * 4) + 3) % images < count;
            choice.add(name, &(0..images).map(hit).collect::<Vec<_>>(), &valid);
        }
        choice
    }

    #[test]
    fn another_recipe_has_to_lead_by_more_than_chance() {
        let name = |counts: [usize; 3], images: usize| {
            let names = ["frozen", USUAL, "scratch"];
            let choice = choice(&names.into_iter().zip(counts).collect::<Vec<_>>(), images, &[]);
            choice.tried[choice.best()].name.clone()
        };
        assert_eq!(name([11, 10, 11], 20), USUAL);
        assert_eq!(name([9, 10, 18], 20), "scratch");
        assert_eq!(name([5, 10, 10], 20), USUAL);
        assert_eq!(name([540, 500, 520], 1000), "frozen");
        let text = choice(&[("frozen", 9), (USUAL, 12)], 20, &[]).text().join(" ");
        assert!(text.contains("ImageNet's network, fine-tuned was taken") && text.contains("had 60 % right"), "{text}");
    }

    #[test]
    fn a_wider_input_has_to_be_better() {
        let side = |probes: &[(u16, f64)]| choice(&[], 20, probes).best_probe().map(|best| best.side);
        assert_eq!(side(&[(64, 0.5), (96, 0.505), (128, 0.52)]), Some(128));
        assert_eq!(side(&[(64, 0.5), (96, 0.5)]), Some(64));
        assert_eq!(side(&[]), None);
    }
}
