//! A host sees the camera's frames: what was made of each, its bytes and the network's input.

use super::*;
use crate::link::{Look, Shown};
use crate::{KEPT_AT_MOST_SECONDS, KEPT_SECONDS};

/// A frame as a host sees it.
#[derive(Debug, PartialEq)]
struct Seen {
    sequence: u32,
    len: usize,
    decision: Decision,
    logits: Vec<u8>,
    output: Vec<u8>,
    layers: usize,
}

impl Seen {
    fn new(look: &Look<'_>) -> Self {
        let Look { sequence, shape, decision, inference } = look;
        let pixels = shape.map_or(0, |shape| usize::from(shape.width) * usize::from(shape.height));
        Self {
            sequence: *sequence,
            len: 2 * pixels,
            decision: Decision {
                class: decision.class as usize,
                probability: decision.probability,
                sure: decision.sure,
            },
            logits: inference.logits.to_vec(),
            output: inference.output.to_vec(),
            layers: inference.of_operators().count(),
        }
    }
}

/// What a host is answered, but for costs.
#[derive(Debug, PartialEq)]
enum Said {
    Look(Option<Seen>),
    Read(Vec<u8>),
    Failed(Failure),
    Other,
}

/// Sends a request, polls so often, and gives the answer and the frames that were classified.
fn ask(
    application: &mut Application<'_, Flash, impl Trust>,
    board: &mut Simulation,
    request: Request<'_>,
    polls: usize,
) -> (Said, usize) {
    board.link.next_id += 1;
    board.link.to_device.extend(frame(board.link.next_id, request));
    let events: Vec<Event> = (0..polls).map(|_| application.poll(board)).collect();
    let mut said = Vec::new();
    answers(&core::mem::take(&mut board.link.to_host), |Message { body, .. }| {
        said.push(match body {
            Response::Look { frame, .. } => Said::Look(frame.map(|look| Seen::new(&look))),
            Response::Read(bytes) => Said::Read(bytes.to_vec()),
            Response::Error(failure) => Said::Failed(failure),
            _ => Said::Other,
        });
    });
    assert_eq!(said.len(), 1, "{request:?}: {said:?}");
    (said.remove(0), events.iter().filter(|event| matches!(event, Event::Classified(_))).count())
}

/// Polls of a request alone, and of a frame.
const SHORT: usize = 1;
const LONG: usize = 60;

/// All bytes of a frame, which come in several answers.
fn read(
    application: &mut Application<'_, Flash, impl Trust>,
    board: &mut Simulation,
    (sequence, what): (u32, Shown),
) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let request = Request::Read { sequence, what, offset: bytes.len() as u32, len: u32::MAX };
        match ask(application, board, request, SHORT) {
            (Said::Read(more), 0) if more.is_empty() => return bytes,
            (Said::Read(more), 0) => bytes.extend(more),
            other => panic!("{other:?}"),
        }
    }
}

/// Looks until there is another frame.
fn look(application: &mut Application<'_, Flash, impl Trust>, board: &mut Simulation, after: u32) -> Seen {
    for _ in 0..100 {
        match ask(application, board, Request::Look { after }, 3) {
            (Said::Look(Some(seen)), _) => return seen,
            (Said::Look(None), _) => {}
            other => panic!("{other:?}"),
        }
    }
    panic!("no other frame than {after}")
}

/// What a host computes of a frame: the input, logits and output.
fn computed(bytes: &[u8]) -> [Vec<u8>; 3] {
    let (model, mut arena) = (Model::parse(FACES).unwrap(), Arena::<ARENA_LEN>::new());
    let mut interpreter = Interpreter::new(model, &mut arena).unwrap();
    let frame = Frame::new(PixelFormat::Rgb565Be, SIDE.into(), SIDE.into(), bytes).unwrap();
    load_frame(&model, &frame, interpreter.input_mut()).unwrap();
    let bytes = |values: &[i8]| values.iter().map(|&value| value as u8).collect::<Vec<u8>>();
    let input = bytes(interpreter.input_mut());
    interpreter.run();
    [input, bytes(interpreter.logits()), bytes(interpreter.output())]
}

#[test]
fn a_host_sees_each_frame_and_what_was_made_of_it() {
    let (mut board, mut slots) = simulation();
    board.camera.frames = frames(5);
    let (mut averages, mut last) = (heapless::Vec::<_, 4>::new(), 0);
    let mut smoother = Smoother::new(&mut averages, SMOOTHING);
    with_application(Anyone, &mut slots, |application| {
        for (index, expected) in frames(5).into_iter().enumerate() {
            let seen = look(application, &mut board, last);
            let [input, logits, output] = computed(&expected);
            assert_eq!((seen.sequence as usize, seen.len), (index + 1, expected.len()));
            assert_eq!((&seen.logits, &seen.output), (&logits, &output));
            let int8 = |bytes: &[u8]| bytes.iter().map(|&byte| byte as i8).collect::<Vec<i8>>();
            let model = application.model().unwrap();
            assert_eq!(seen.layers, usize::from(model.info().ops));
            assert_eq!(seen.decision, smoother.push(&int8(&logits), &int8(&output), model.threshold()));
            // In any order, and more than once.
            assert_eq!(read(application, &mut board, (seen.sequence, Shown::Input)), input);
            assert_eq!(read(application, &mut board, (seen.sequence, Shown::Frame)), expected);
            assert_eq!(look(application, &mut board, last), seen, "what it gave is still there");
            last = seen.sequence;
        }
        let (hello, _) = ask(application, &mut board, Request::Hello, SHORT);
        assert_eq!(hello, Said::Other);
    });
}

#[test]
fn answers_hold_as_much_as_was_asked_for_and_no_more() {
    let (mut board, mut slots) = simulation();
    board.camera.frames = frames(1);
    with_application(Anyone, &mut slots, |application| {
        let Seen { sequence, len, .. } = look(application, &mut board, 0);
        let input_len = application.model().unwrap().info().input.tensor.len();
        for (what, whole, bytes) in
            [(Shown::Frame, len, HAPPY.to_vec()), (Shown::Input, input_len, computed(HAPPY)[0].clone())]
        {
            for offset in [0, 1, 255, whole - 1, whole, whole + 1, u32::MAX as usize] {
                for most in [0, 1, 300, u32::MAX as usize] {
                    let request = Request::Read { sequence, what, offset: offset as u32, len: most as u32 };
                    let (Said::Read(found), 0) = ask(application, &mut board, request, SHORT) else { panic!() };
                    let left = bytes.get(offset..).unwrap_or_default();
                    assert_eq!(found, left[..found.len()], "{request:?}");
                    let wanted = most.min(left.len());
                    assert!(found.len() == wanted || (found.len() < wanted && found.len() > 512), "{request:?}");
                }
            }
        }
        let other = Request::Read { sequence: sequence + 1, what: Shown::Frame, offset: 0, len: 1 };
        assert_eq!(ask(application, &mut board, other, SHORT).0, Said::Failed(Failure::Gone));
    });
}

#[test]
fn frames_go_on_when_the_host_has_gone() {
    let (mut board, mut slots) = simulation();
    board.camera.frames = frames(3);
    let seconds = |board: &Simulation, seconds: u32| {
        board.clock.time.set(board.clock.time.get() + u64::from(seconds * Steps::HZ));
    };
    with_application(Anyone, &mut slots, |application| {
        let Seen { sequence, .. } = look(application, &mut board, 0);
        assert_eq!(turns(application, &mut board, 20), [], "the frame is kept");
        seconds(&board, KEPT_SECONDS);
        let gone = Request::Read { sequence, what: Shown::Frame, offset: 0, len: 1 };
        assert_eq!(ask(application, &mut board, gone, SHORT).0, Said::Failed(Failure::Gone));
        assert_eq!(turns(application, &mut board, 20).len(), 2, "nobody looks at the next ones");

        board.camera.frames = frames(2);
        let Seen { sequence, .. } = look(application, &mut board, 0);
        for _ in 1..KEPT_AT_MOST_SECONDS {
            seconds(&board, 1);
            let request = Request::Read { sequence, what: Shown::Frame, offset: 0, len: 1 };
            let (said, classified) = ask(application, &mut board, request, LONG);
            if classified > 0 {
                return;
            }
            assert_eq!(said, Said::Read(vec![HAPPY[0]]));
        }
        seconds(&board, 1);
        assert_eq!(turns(application, &mut board, 20).len(), 1, "however often a host asks");
    });
}

#[test]
fn what_takes_the_place_of_a_frames_results_ends_its_keeping() {
    let picture = Request::Infer(crate::link::Picture::Frame {
        format: PixelFormat::Rgb565Be,
        width: SIDE,
        height: SIDE,
        bytes: HAPPY,
    });
    for request in [picture, Request::SelfTest] {
        let (mut board, mut slots) = simulation();
        board.camera.frames = frames(2);
        with_application(Anyone, &mut slots, |application| {
            let Seen { sequence, .. } = look(application, &mut board, 0);
            let (said, _) = ask(application, &mut board, request, LONG);
            assert_eq!(said, Said::Other);
            let gone = Request::Read { sequence, what: Shown::Input, offset: 0, len: 1 };
            assert_eq!(ask(application, &mut board, gone, SHORT).0, Said::Failed(Failure::Gone));
        });
    }
}

/// After an update the frame's results are none of the model that runs; after a reset, no frame is kept.
#[test]
fn a_frame_of_another_model_or_start_is_gone() {
    let (mut board, mut slots) = simulation();
    let new = another();
    board.camera.frames = frames(1);
    let gone = Request::Read { sequence: 1, what: Shown::Frame, offset: 0, len: 1 };
    with_application(Anyone, &mut slots, |application| {
        assert_eq!(look(application, &mut board, 0).sequence, 1);
        board.link.next_id += 1;
        converse(application, &mut board, &requests_of(&new));
        assert_eq!(application.running(), Some(identity(&new)));
        assert_eq!(ask(application, &mut board, gone, SHORT).0, Said::Failed(Failure::Gone));
        board.camera.frames = frames(1);
        assert_eq!(look(application, &mut board, 1).sequence, 2);
    });
    with_application(Anyone, &mut slots, |application| {
        assert_eq!(ask(application, &mut board, gone, SHORT).0, Said::Failed(Failure::Gone));
        board.camera.frames = frames(1);
        assert_eq!(look(application, &mut board, 2).sequence, 1, "another number is another frame");
    });
}

#[test]
fn a_camera_that_keeps_no_frame_still_shows_what_was_made_of_it() {
    let (mut board, mut slots) = simulation();
    (board.camera.frames, board.camera.forgets) = (frames(1), true);
    with_application(Anyone, &mut slots, |application| {
        let seen = look(application, &mut board, 0);
        assert_eq!((seen.sequence, seen.len, seen.logits), (1, 0, computed(HAPPY)[1].clone()));
        let gone = Request::Read { sequence: 1, what: Shown::Frame, offset: 0, len: 1 };
        assert_eq!(ask(application, &mut board, gone, SHORT).0, Said::Failed(Failure::Gone));
    });
}

#[test]
fn firmware_without_a_camera_says_so() {
    let (Board { name, link, indicator, clock, .. }, mut slots) = simulation();
    let mut board = Board { name, camera: NoCamera, link, indicator, clock };
    with_application(Anyone, &mut slots, |application| {
        for (id, request) in (1..)
            .zip([Request::Look { after: 0 }, Request::Read { sequence: 0, what: Shown::Input, offset: 0, len: 1 }])
        {
            board.link.to_device.extend(frame(id, request));
            while application.poll(&mut board) != Event::Idle {}
            answers(&core::mem::take(&mut board.link.to_host), |Message { body, .. }| {
                assert_eq!(body, Response::Error(Failure::NoCamera));
            });
        }
    });
}
