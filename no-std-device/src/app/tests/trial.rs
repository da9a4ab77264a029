//! A model that was taken must prove itself, or the one before runs again.

use super::*;
use crate::link::ModelInfo;
use crate::slots::ATTEMPTS;

/// What the device says of the model that runs.
fn model<T: Trust>(application: &mut Application<'_, Flash, T>, board: &mut Simulation) -> ModelInfo {
    let mut model = None;
    let hello = frame(board.link.next_id, Request::Hello);
    board.link.next_id += 1;
    answers(&exchange(application, board, &hello), |answer| match answer.body {
        Response::Hello(hello) => model = hello.model,
        other => panic!("{other:?}"),
    });
    model.unwrap()
}

fn ask<T: Trust>(application: &mut Application<'_, Flash, T>, board: &mut Simulation, step: Update<'_>) -> Answer {
    converse(application, board, &[Request::Update(step)]).0.pop().unwrap()
}

/// Brings a model; the device has not been reset since.
fn bring<T: Trust>(application: &mut Application<'_, Flash, T>, board: &mut Simulation, blob: &[u8]) {
    let (answers, _) = converse(application, board, &requests_of(blob));
    assert_eq!(answers.last(), Some(&Answer::Received(blob.len() as u32)));
    let ModelInfo { blob: runs, tentative, .. } = model(application, board);
    assert_eq!((runs, tentative), (identity(blob), true));
}

#[test]
fn without_proof_the_model_before_runs_after_some_resets() {
    let (mut board, mut slots) = simulation();
    with_application(Anyone, &mut slots, |application| bring(application, &mut board, TINY));
    for start in 1..ATTEMPTS + 3 {
        with_application(Anyone, &mut slots, |application| {
            let expected = if start < ATTEMPTS { TINY } else { FACES };
            assert_eq!(application.running(), Some(identity(expected)), "start {start} after the first");
            assert_eq!(model(application, &mut board).tentative, start < ATTEMPTS);
        });
    }
    // What did not prove itself can be brought again.
    with_application(Anyone, &mut slots, |application| bring(application, &mut board, TINY));
}

#[test]
fn frames_prove_a_model() {
    for (count, proved) in [(TRIAL_FRAMES as usize - 1, false), (TRIAL_FRAMES as usize, true)] {
        let (mut board, mut slots) = simulation();
        let new = another();
        with_application(Anyone, &mut slots, |application| {
            bring(application, &mut board, &new);
            board.camera.frames = frames(count);
            assert_eq!(turns(application, &mut board, 3 * count).len(), count);
            assert_eq!(model(application, &mut board).tentative, !proved);
        });
        for _ in 0..2 * ATTEMPTS {
            with_application(Anyone, &mut slots, |_| ());
        }
        let expected = if proved { &new[..] } else { FACES };
        with_application(Anyone, &mut slots, |application| {
            assert_eq!(application.running(), Some(identity(expected)));
        });
    }
}

#[test]
fn a_host_proves_a_model_or_rolls_it_back() {
    for keep in [true, false] {
        let (mut board, mut slots) = simulation();
        with_application(Anyone, &mut slots, |application| {
            for step in [Update::Confirm, Update::Rollback] {
                assert_eq!(ask(application, &mut board, step), Answer::Refused(UpdateError::BuiltIn));
            }
            bring(application, &mut board, TINY);
            // What the device falls back to is not touched meanwhile.
            for step in [begin(&another()), Update::Write { offset: 0, bytes: &[1; 256] }] {
                assert_eq!(ask(application, &mut board, step), Answer::Refused(UpdateError::Tentative));
            }
            let step = if keep { Update::Confirm } else { Update::Rollback };
            assert_eq!(ask(application, &mut board, step), Answer::Received(0));
            let ModelInfo { blob, tentative, .. } = model(application, &mut board);
            assert_eq!((blob, tentative), (identity(if keep { TINY } else { FACES }), false));
        });
        for _ in 0..2 * ATTEMPTS {
            with_application(Anyone, &mut slots, |application| {
                assert_eq!(application.running(), Some(identity(if keep { TINY } else { FACES })));
            });
        }
        with_application(Anyone, &mut slots, |application| {
            if keep {
                // Without a key also a model that has proved itself can be rolled back.
                assert_eq!(ask(application, &mut board, Update::Rollback), Answer::Received(0));
                assert_eq!(application.running(), Some(identity(FACES)));
            }
            bring(application, &mut board, TINY);
        });
    }
}

/// While the network runs, all but what needs it is answered, and the model can be replaced.
#[test]
fn a_model_that_takes_long_can_be_replaced() {
    let (mut board, mut slots) = simulation();
    let requests = requests_of(TINY);
    with_application(Anyone, &mut slots, |application| {
        board.camera.frames = frames(1);
        while application.poll(&mut board) != Event::Working {}
        for (id, &request) in (700..).zip(&[&[Request::Hello], &requests[..]].concat()) {
            board.link.to_device.extend(frame(id, request));
            // Two polls: one for what is left of the chunk before.
            for _ in 0..2 {
                assert!(matches!(
                    application.poll(&mut board),
                    Event::Working | Event::Served | Event::Switched | Event::Idle
                ));
            }
        }
        assert_eq!(application.running(), Some(identity(TINY)));
        let mut answered = 0;
        answers(&core::mem::take(&mut board.link.to_host), |answer| {
            assert!(!matches!(answer.body, Response::Error(_)), "{answer:?}");
            answered += 1;
        });
        assert_eq!(answered, requests.len() + 1);
    });
}
