//! A host is served, and its updates are taken or refused.

use super::*;

#[test]
fn a_model_is_replaced_while_frames_go_on_and_stays_after_a_restart() {
    let (mut board, mut slots) = simulation();
    board.camera.frames = frames(1000);
    let new = another();
    let hello = [Request::Hello];
    let commit = [Request::Update(Update::Commit { blob: identity(&new) })];
    let begin = [Request::Update(begin(&new))];
    let requests = [&hello, &requests_of(&new)[..], &hello, &commit, &begin].concat();
    let (answers, frames) =
        with_application(Anyone, &mut slots, |application| converse(application, &mut board, &requests));
    let received = (1..).map(|count| Answer::Received((count * CHUNK).min(new.len()) as u32));
    let mut expected = vec![Answer::Runs(Some(identity(FACES))), Answer::Received(0)];
    expected.extend(received.take(new.len().div_ceil(CHUNK)));
    expected.push(Answer::Received(new.len() as u32));
    expected.push(Answer::Runs(Some(identity(&new))));
    // Both may be repeated when the model runs already.
    expected.extend([Answer::Received(new.len() as u32), Answer::Received(new.len() as u32)]);
    assert_eq!(answers, expected);
    assert!(frames > requests.len() / 2, "{frames} frames");

    with_application(Anyone, &mut slots, |application| {
        let (answers, _) = converse(application, &mut board, &hello);
        assert_eq!(answers, [Answer::Runs(Some(identity(&new)))], "after a restart");
        let (answers, _) = converse(application, &mut board, &commit);
        assert_eq!(answers, [Answer::Received(new.len() as u32)], "the host may not know");
    });
}

#[test]
fn blobs_that_would_not_work_are_refused_by_name() {
    let new = another();
    let weights = Model::parse(FACES).unwrap().weights().as_ptr() as usize - FACES.as_ptr() as usize;
    let golden = table_entry(section::GOLDEN);
    let mut damaged = new.clone();
    damaged[weights] ^= 2;
    let cases = [
        (damaged, UpdateError::Crc),
        (changed(|blob| blob[weights] ^= 2), UpdateError::SelfTest),
        (changed(|blob| blob[4] = 3), UpdateError::Version(3)),
        (changed(|blob| blob[16] ^= 16), UpdateError::Parse),
        // Of an id that may be skipped.
        (changed(|blob| blob[golden] = 200), UpdateError::NoGolden),
    ];
    for (blob, error) in cases {
        assert_eq!(outcome(Anyone, &blob), Answer::Refused(error));
    }
    assert_eq!(outcome(Owner([1; 32]), &new), Answer::Refused(UpdateError::Unsigned));
    assert_eq!(outcome(Anyone, &new), Answer::Received(new.len() as u32));
}

/// Where in the shipped blob the section table has its entry for a section.
fn table_entry(id: u32) -> usize {
    let index = Section::table(FACES).unwrap().position(|section| section.id == id).unwrap();
    HEADER_LEN + index * SECTION_LEN
}

#[test]
fn a_model_that_needs_more_memory_than_there_is_is_refused_and_does_not_run() {
    let (mut board, mut slots) = simulation();
    let available = ARENA_LEN - 16;
    with_limits((available, Linked::ALL), Anyone, &mut slots, |application| {
        let (answers, _) = converse(application, &mut board, &[Request::Hello]);
        assert_eq!(answers, [Answer::Runs(None)], "the built-in one");
        let new = another();
        let (answers, _) = converse(application, &mut board, &requests_of(&new));
        let error = UpdateError::Arena { needed: ARENA_LEN as u32, available: available as u32 };
        assert_eq!(answers.last(), Some(&Answer::Refused(error)));
    });
}

#[test]
fn a_model_that_needs_a_kernel_that_is_not_linked_is_refused_by_name() {
    const LINKED: &Linked =
        &Linked::new(KernelSet::needed_by(FACES).without(KernelSet::NONE.with(Kernel::AveragePool2d)));
    let (mut board, mut slots) = simulation();
    with_limits((ARENA_LEN, LINKED), Anyone, &mut slots, |application| {
        let (answers, _) = converse(application, &mut board, &[Request::Hello]);
        assert_eq!(answers, [Answer::Runs(None)], "the built-in one");
        let (answers, _) = converse(application, &mut board, &requests_of(&another()));
        let error = UpdateError::NotLinked { kernel: Kernel::AveragePool2d };
        assert_eq!(answers.last(), Some(&Answer::Refused(error)));
    });
}

#[test]
fn a_model_that_runs_longer_than_the_firmware_allows_is_refused_with_what_it_takes() {
    const MOST: Cost = Cost { products: 1000, bytes: u64::MAX };
    const LINKED: &Linked = &Linked::new(KernelSet::ALL).at_most(MOST);
    let (mut board, mut slots) = simulation();
    with_limits((ARENA_LEN, LINKED), Anyone, &mut slots, |application| {
        let (answers, _) = converse(application, &mut board, &[Request::Hello]);
        assert_eq!(answers, [Answer::Runs(None)], "the built-in one");
        let (answers, _) = converse(application, &mut board, &requests_of(&another()));
        let needed = Model::parse(FACES).unwrap().cost();
        assert!(needed.products > MOST.products && needed.is_within(Cost::MINUTE));
        assert_eq!(answers.last(), Some(&Answer::Refused(UpdateError::Cost { mebi: needed.mebi() })));
    });
}

#[test]
fn a_board_without_flash_refuses_updates() {
    let (Board { name, link, clock, .. }, _) = simulation();
    let mut board = Board { name, camera: NoCamera, link, indicator: NoIndicator, clock };
    board.link.to_device.extend(frame(1, Request::Update(begin(&[2]))));
    with_application(Anyone, &mut [NoFlash; 2], |application| {
        assert_eq!([application.poll(&mut board), application.poll(&mut board)], [Event::Served, Event::Idle]);
    });
    answers(&board.link.to_host, |answer| {
        assert_eq!(answer.body, Response::Error(Failure::Update(UpdateError::Unsupported)));
    });
    assert!(!board.link.to_host.is_empty());
}

#[test]
fn a_request_that_is_repeated_after_damage_costs_nothing() {
    let (mut board, mut slots) = simulation();
    let request = frame(9, Request::SelfTest);
    let mut damaged = request.clone();
    damaged[1] ^= 0x55;
    let unknown = encode(&Message { id: 9, body: 99_u8 }, &mut [0; 16]).unwrap().to_vec();
    with_application(Anyone, &mut slots, |application| {
        let answer = exchange(application, &mut board, &request);
        answers(&answer, |answer| assert_eq!(answer.body, Response::SelfTest(SelfTest::Passed)));
        let feeds = board.clock.feeds.get();
        for damaged in [&damaged[..], &unknown, &[5, 1, 0]] {
            let mut refused = 0;
            answers(&exchange(application, &mut board, damaged), |Message { id, body }| {
                assert!(id == 0 && matches!(body, Response::Error(Failure::Frame(_))), "{id}: {body:?}");
                refused += 1;
            });
            assert!(refused > 0);
            assert_eq!(exchange(application, &mut board, &request), answer);
        }
        let operators = u32::from(application.model().unwrap().info().ops);
        assert!(board.clock.feeds.get() - feeds < operators, "the network ran again");
    });
}

/// The answer to a commit is kept over the switch, and what follows it is answered by the new model.

#[test]
fn a_commit_may_be_repeated_and_what_follows_it_is_the_new_models() {
    let (mut board, mut slots) = simulation();
    let new = another();
    let requests = requests_of(&new);
    let (commit, before) = requests.split_last().unwrap();
    with_application(Anyone, &mut slots, |application| {
        converse(application, &mut board, before);
        let (commit, hello) = (frame(5000, *commit), frame(5001, Request::Hello));
        let both = exchange(application, &mut board, &[&commit[..], &hello].concat());
        let mut found = Vec::new();
        answers(&both, |Message { id, body }| {
            found.push(match body {
                Response::Update { received } => (id, received),
                Response::Hello(hello) => (id, hello.model.unwrap().blob.len),
                other => panic!("{other:?}"),
            });
        });
        assert_eq!(found, [(5000, new.len() as u32), (5001, new.len() as u32)]);
        assert_eq!(application.running(), Some(identity(&new)));
    });
    let (mut board, mut slots) = simulation();
    with_application(Anyone, &mut slots, |application| {
        converse(application, &mut board, before);
        let commit = frame(5000, *commit);
        let answer = exchange(application, &mut board, &commit);
        assert_eq!(application.running(), Some(identity(&new)));
        let feeds = board.clock.feeds.get();
        assert_eq!(exchange(application, &mut board, &commit), answer);
        assert_eq!(board.clock.feeds.get() - feeds, 2, "but for the feeds of two polls nothing was done");
    });
}

#[test]
fn the_watchdog_is_fed_between_all_pieces_of_an_update() {
    let (mut board, mut slots) = simulation();
    let new = another();
    let requests = requests_of(&new);
    let (commit, before) = requests.split_last().unwrap();
    let power = Rc::clone(&board.clock.power);
    with_application(Anyone, &mut slots, |application| {
        let start = power.operations();
        let (_, frames) = converse(application, &mut board, before);
        assert_eq!(frames, 0);
        let pieces = new.len().div_ceil(CHUNK) + (crate::record_space::<Flash>() + new.len()).div_ceil(4096);
        assert!(power.operations() - start >= pieces as u32, "each sector is erased and each write programmed");
        let feeds = board.clock.feeds.get();
        board.link.to_device.extend(frame(5000, *commit));
        assert_eq!(application.poll(&mut board), Event::Switched);
        let operators = usize::from(application.model().unwrap().info().ops);
        let pieces = new.len().div_ceil(crate::PIECE);
        // The poll; the digest; parsing; each operator of the self-test; the record; the digest and around it for the switch.
        let expected = 1 + pieces + 1 + operators + 1 + 1 + pieces + 2;
        assert_eq!((board.clock.feeds.get() - feeds) as usize, expected);
    });
    assert_eq!(power.most_unfed(), 1, "operations of the flash between two feeds");
}
