//! The whole argument for the loop through a board's camera, in a short form: a network that sees another camera than it learnt from
//! is better on it after it has learnt some labelled frames, and hardly worse on what it knew.

use host_trainer::measure::held_out::Better;
use tests::the_loop::{Plan, measure};

#[test]
fn frames_of_the_camera_make_the_model_better_on_others() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let outcome = measure(&Plan::short(1), dir.path()).expect("it goes round");
    let (frames, drawings) = (&outcome.frames, &outcome.drawings);
    println!("{}\n{}", frames.to_text(), drawings.to_text());
    assert_eq!(frames.better, Better::Second, "{}", frames.verdict);
    assert_ne!(drawings.better, Better::First, "{}", drawings.verdict);
    assert_eq!((frames.left_out, drawings.left_out > 0), (0, true), "training pictures are no evidence");
}
