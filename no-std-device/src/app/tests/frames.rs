//! Frames are classified and shown.

use super::*;

#[test]
fn frames_are_classified_smoothed_and_shown() {
    let (mut board, mut slots) = simulation();
    board.camera.frames = frames(7);
    let reports = with_application(Anyone, &mut slots, |application| turns(application, &mut board, 20));

    let model = Model::parse(FACES).unwrap();
    let (mut arena, mut averages) = (Arena::<ARENA_LEN>::new(), heapless::Vec::<_, 4>::new());
    let mut smoother = Smoother::new(&mut averages, SMOOTHING);
    let mut expected = Vec::new();
    for bytes in frames(7) {
        let mut interpreter = Interpreter::new(model, &mut arena).unwrap();
        let frame = Frame::new(PixelFormat::Rgb565Be, SIDE.into(), SIDE.into(), &bytes).unwrap();
        load_frame(&model, &frame, interpreter.input_mut()).unwrap();
        interpreter.run();
        expected.push(smoother.push(interpreter.logits(), interpreter.output(), model.threshold()));
    }
    let found: Vec<Decision> = reports.iter().map(|report| report.decision).collect();
    assert_eq!(found, expected);
    assert!(found.iter().any(|decision| decision.probability != found[0].probability), "{found:?}");
    assert_eq!(board.indicator.0, found.iter().map(|decision| decision.sure).collect::<Vec<_>>());
    // Looks at the clock: after preprocessing, around each operator, when none is left, and for the report.
    let looks = 1 + 2 * u64::from(model.info().ops) + 1 + 1;
    assert!(reports.iter().all(|report| report.latency == 7 * looks), "from taking the frame to the decision");
}

#[test]
fn the_watchdog_is_fed_at_each_poll_and_operator() {
    let (mut board, mut slots) = simulation();
    board.camera.frames = frames(1);
    with_application(Anyone, &mut slots, |application| {
        let operators = u32::from(application.model().unwrap().info().ops);
        assert!(matches!(turn(application, &mut board), Event::Classified(_)));
        // A poll for the beginning, for each operator, and for the decision.
        assert_eq!(board.clock.feeds.get(), 1 + operators + 1 + operators);
    });
}
