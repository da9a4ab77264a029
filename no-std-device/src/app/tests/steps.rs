//! Each poll does one piece of work, whatever arrives in between, and the answers are those of whole runs.

use core::num::NonZeroU16;

use super::*;
use crate::link::{Excerpt, Hello, Picture};

/// With which rows a poll is bounded in turn.
const BOUNDS: [Option<NonZeroU16>; 3] = [None, NonZeroU16::new(4), NonZeroU16::new(11)];

/// A host's picture.
const ASKED: Picture<'static> =
    Picture::Frame { format: PixelFormat::Rgb565Be, width: SIDE, height: SIDE, bytes: HAPPY };

/// A request for the first logits, for which the whole network runs.
fn last_values() -> Request<'static> {
    let ops = Model::parse(FACES).unwrap().info().ops;
    Request::Excerpt { of: Excerpt { operator: ops - 1, offset: 0, len: 2 }, picture: ASKED }
}

fn poll(
    application: &mut Application<'_, Flash, impl Trust>,
    board: &mut Simulation,
    rows: Option<NonZeroU16>,
) -> Event {
    match rows {
        None => application.poll(board),
        Some(rows) => application.poll_rows(board, rows),
    }
}

/// Steps of the shipped model, as the engine counts them.
fn steps(rows: Option<NonZeroU16>) -> usize {
    let mut arena = Arena::<ARENA_LEN>::new();
    let mut interpreter = Interpreter::new(Model::parse(FACES).unwrap(), &mut arena).unwrap();
    let step = || match rows {
        None => interpreter.step(),
        Some(rows) => interpreter.step_rows(rows),
    };
    core::iter::from_fn(step).count()
}

/// What was done before the application was idle: its events, and what it sent.
fn until_idle(
    application: &mut Application<'_, Flash, impl Trust>,
    board: &mut Simulation,
    rows: Option<NonZeroU16>,
) -> (Vec<Event>, Vec<u8>) {
    let events = core::iter::repeat_with(|| poll(application, board, rows)).take_while(|&event| event != Event::Idle);
    (events.collect(), core::mem::take(&mut board.link.to_host))
}

/// What an answer says, but for costs.
fn said(bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    answers(bytes, |Message { id, body }| {
        let body = match body {
            Response::Inference(inference) => {
                Response::Inference(Inference { layers: &[], preprocessing: 0, total: 0, ..inference })
            }
            // Which is known of a frame that came before, or not yet.
            Response::Hello(hello) => Response::Hello(Hello { camera: None, ..hello }),
            other => other,
        };
        found.push(format!("{id} {body:?}"));
    });
    found
}

#[test]
fn a_poll_takes_at_most_one_step() {
    let counts = BOUNDS.map(steps);
    assert!(counts[1] > counts[2] && counts[2] > counts[0], "{counts:?}");
    for rows in BOUNDS {
        let (mut board, mut slots) = simulation();
        board.camera.frames = frames(1);
        with_application(Anyone, &mut slots, |application| {
            let operators = application.model().unwrap().info().ops;
            for (id, request) in (0..).zip([
                None,
                Some(Request::Infer(ASKED)),
                Some(Request::SelfTest),
                Some(Request::Trace(ASKED)),
                Some(last_values()),
            ]) {
                board.link.to_device.extend(request.map(|request| frame(id, request)).unwrap_or_default());
                let mut events = Vec::new();
                loop {
                    let feeds = board.clock.feeds.get();
                    let event = poll(application, &mut board, rows);
                    // The poll, and each step.
                    assert!(board.clock.feeds.get() - feeds <= 2, "{event:?}");
                    if event == Event::Idle {
                        break;
                    }
                    events.push(event);
                }
                let working = events.iter().filter(|&&event| event == Event::Working).count();
                // What is asked of an operator is answered in the step that completes it.
                let last = usize::from(matches!(request, Some(Request::Excerpt { .. })));
                assert_eq!((working + last, events.len() + last), (1 + steps(rows), 2 + steps(rows)), "{request:?}");
            }
            answers(&core::mem::take(&mut board.link.to_host), |Message { body, .. }| match body {
                Response::Inference(inference) => {
                    let costs: u64 = inference.of_operators().map(u64::from).sum();
                    assert_eq!(inference.of_operators().count(), usize::from(operators));
                    assert_eq!((inference.total, costs), (7 * steps(rows) as u64, 7 * steps(rows) as u64));
                }
                Response::Trace(traced) => {
                    assert_eq!(traced.of_operators().count(), usize::from(operators));
                    assert_eq!(traced.total, 7 * steps(rows) as u64);
                }
                Response::Excerpt { values, .. } => assert_eq!(values.len(), 2),
                other => assert_eq!(other, Response::SelfTest(SelfTest::Passed)),
            });
        });
    }
}

/// Frames are classified, and what a host asks in the middle of it is answered, as each is alone.
#[test]
fn requests_may_arrive_at_any_step_of_a_frame() {
    for request in [Request::Hello, Request::Infer(ASKED), Request::SelfTest, Request::Trace(ASKED), last_values()] {
        for rows in BOUNDS {
            let (mut board, mut slots) = simulation();
            with_application(Anyone, &mut slots, |application| {
                board.link.to_device.extend(frame(1, request));
                let (_, alone) = until_idle(application, &mut board, rows);
                board.camera.frames = frames(1);
                let (events, _) = until_idle(application, &mut board, rows);
                let Some(&Event::Classified(Report { decision, .. })) = events.last() else { panic!("{events:?}") };

                for before in (0..=steps(rows) + 1).step_by(if rows.is_some() { 7 } else { 1 }) {
                    application.smoother.restart();
                    (board.camera.frames, board.camera.looks) = (frames(1), 0);
                    let mut events: Vec<Event> = (0..before).map(|_| poll(application, &mut board, rows)).collect();
                    let id = 1000 + before as u32;
                    board.link.to_device.extend(frame(id, request));
                    events.push(poll(application, &mut board, rows));
                    assert!(board.link.to_device.len() <= 1, "its bytes are taken at once");
                    let (after, answer) = until_idle(application, &mut board, rows);
                    events.extend(after);
                    let found: Vec<Decision> = events
                        .iter()
                        .filter_map(
                            |event| if let Event::Classified(report) = event { Some(report.decision) } else { None },
                        )
                        .collect();
                    assert_eq!(found, [decision], "{request:?} after {before} polls");
                    let expected: Vec<String> =
                        said(&alone).iter().map(|said| said.replacen('1', &id.to_string(), 1)).collect();
                    assert_eq!(said(&answer), expected, "after {before} polls");
                }
            });
        }
    }
}

/// A model that is committed while a frame is classified takes over at once, so that it can replace one that takes long.
#[test]
fn a_commit_may_arrive_at_any_step_of_a_frame() {
    let new = another();
    let requests = requests_of(&new);
    let (commit, before) = requests.split_last().unwrap();
    for polls in 0..=steps(None) {
        let (mut board, mut slots) = simulation();
        with_application(Anyone, &mut slots, |application| {
            converse(application, &mut board, before);
            (board.camera.frames, board.camera.looks) = (frames(1), 0);
            (0..polls).for_each(|_| assert_eq!(application.poll(&mut board), Event::Working));
            board.link.to_device.extend(frame(5000, *commit));
            let (events, answer) = until_idle(application, &mut board, None);
            let events: Vec<Event> = events.into_iter().filter(|&event| event != Event::Working).collect();
            let done = |event: &Event| matches!(event, Event::Classified(_));
            match (polls, &events[..]) {
                // The commit came first.
                (0, [Event::Switched, frame]) => assert!(done(frame)),
                (_, [Event::Switched]) if polls > 0 => {}
                _ => panic!("{events:?} after {polls} polls"),
            }
            let received = new.len() as u32;
            answers(&answer, |answer| assert_eq!(answer.body, Response::Update { received }));
            assert_eq!(application.running(), Some(identity(&new)));
        });
    }
}

/// While the network runs for a request, frames wait and so does the next request that needs it, whose bytes are taken.
#[test]
fn frames_and_requests_wait_for_a_request_that_is_worked_on() {
    let (mut board, mut slots) = simulation();
    with_application(Anyone, &mut slots, |application| {
        board.link.to_device.extend(frame(1, Request::Infer(ASKED)));
        assert_eq!(application.poll(&mut board), Event::Working);
        (board.camera.frames, board.camera.looks) = (frames(1), 0);
        board.link.to_device.extend([frame(2, Request::Infer(ASKED)), frame(3, Request::Hello)].concat());
        assert!(matches!(turn(application, &mut board), Event::Classified(_)));
        let ids = |bytes: &[u8]| {
            let mut ids = Vec::new();
            answers(bytes, |answer| ids.push(answer.id));
            ids
        };
        assert_eq!(ids(&core::mem::take(&mut board.link.to_host)), [1], "frames are not kept by requests");
        assert_eq!(ids(&until_idle(application, &mut board, None).1), [3, 2], "a Hello waits for nothing");
    });
}
