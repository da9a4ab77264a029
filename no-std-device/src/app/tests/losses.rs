//! A camera that loses, shortens and repeats frames.

use super::*;
use crate::link::CameraFaults;

/// What a host is told of the camera: the number of the frame that is there, and the frames that were lost.
fn look(application: &mut Application<'_, Flash, impl Trust>, board: &mut Simulation) -> (Option<u32>, CameraFaults) {
    board.link.next_id += 1;
    board.link.to_device.extend(frame(board.link.next_id, Request::Look { after: 0 }));
    application.poll(board);
    let mut told = None;
    answers(&core::mem::take(&mut board.link.to_host), |Message { body, .. }| match body {
        Response::Look { frame, faults } => told = Some((frame.map(|frame| frame.sequence), faults)),
        other => panic!("{other:?}"),
    });
    told.expect("a look is answered at once")
}

/// What is decided of these frames, the smoothed averages included.
fn decisions(frames: VecDeque<Vec<u8>>) -> (Vec<Decision>, CameraFaults) {
    let (mut board, mut slots) = simulation();
    let looks = 4 * frames.len();
    board.camera.frames = frames;
    with_application(Anyone, &mut slots, |application| {
        let reports = turns(application, &mut board, looks);
        assert!(board.camera.frames.is_empty(), "no frame is left");
        (reports.iter().map(|report| report.decision).collect(), application.camera_faults())
    })
}

#[test]
fn lost_and_shortened_frames_are_counted_and_change_no_answer() {
    let (whole, none) = decisions(frames(6));
    assert_eq!((whole.len(), none), (6, CameraFaults::default()));
    let mut shaky = VecDeque::new();
    for (index, frame) in frames(6).into_iter().enumerate() {
        // Cut in a row, at its end, and in a pixel.
        let cut = [1, frame.len() - 1, frame.len() / 2 + 1][index % 3];
        shaky.extend([vec![], frame[..cut].to_vec(), vec![], frame]);
    }
    assert_eq!(decisions(shaky), (whole, CameraFaults { silent: 12, short: 6, damaged: 0 }));
}

#[test]
fn a_frame_that_is_repeated_is_classified_again_and_is_no_fault() {
    let (mut board, mut slots) = simulation();
    board.camera.frames = core::iter::repeat_n(HAPPY.to_vec(), 5).collect();
    with_application(Anyone, &mut slots, |application| {
        let reports = turns(application, &mut board, 20);
        assert_eq!(reports.len(), 5);
        assert!(reports.windows(2).all(|pair| pair[0].decision.class == pair[1].decision.class));
        assert_eq!(application.camera_faults(), CameraFaults::default());
    });
}

#[test]
fn a_camera_that_was_silent_for_long_is_seen_again() {
    let (mut board, mut slots) = simulation();
    board.camera.frames = core::iter::repeat_n(vec![], 300).chain(frames(1)).collect();
    with_application(Anyone, &mut slots, |application| {
        assert_eq!(turns(application, &mut board, 600), [], "and a host is answered meanwhile");
        let lost = CameraFaults { silent: 300, ..CameraFaults::default() };
        assert_eq!(look(application, &mut board), (None, lost));
        assert_eq!(turns(application, &mut board, 3).len(), 1);
        assert_eq!(look(application, &mut board), (Some(1), lost));
    });
}

#[test]
fn what_is_lost_while_a_host_keeps_a_frame_is_told_as_well() {
    let (mut board, mut slots) = simulation();
    board.camera.frames = frames(1);
    with_application(Anyone, &mut slots, |application| {
        assert_eq!(look(application, &mut board), (None, CameraFaults::default()));
        assert_eq!(turns(application, &mut board, 4).len(), 1);
        assert_eq!(look(application, &mut board), (Some(1), CameraFaults::default()));
        board.camera.faults.extend([CameraFault::Damaged, CameraFault::Damaged, CameraFault::Short]);
        assert_eq!(turns(application, &mut board, 2), [], "the frame is kept");
        assert_eq!(look(application, &mut board), (Some(1), CameraFaults { silent: 0, short: 1, damaged: 2 }));
    });
}

#[test]
fn counts_stay_at_their_greatest_value() {
    let mut faults = CameraFaults { silent: u32::MAX - 1, short: 0, damaged: 0 };
    for fault in [CameraFault::Silent, CameraFault::Silent, CameraFault::Damaged] {
        faults.count(fault);
    }
    assert_eq!(faults, CameraFaults { silent: u32::MAX, short: 0, damaged: 1 });
}

#[test]
fn a_host_is_told_why_the_board_started() {
    for reset in [Reset::Unknown, Reset::Other, Reset::Watchdog] {
        let (mut board, mut slots) = simulation();
        board.clock.reset = reset;
        with_application(Anyone, &mut slots, |application| {
            let mut told = None;
            answers(&exchange(application, &mut board, &frame(1, Request::Hello)), |Message { body, .. }| {
                if let Response::Hello(hello) = body {
                    told = Some(hello.reset);
                }
            });
            assert_eq!(told, Some(reset));
        });
    }
}
