//! A host that never stops: frames go on being classified, and what the network runs for is answered.

use super::*;
use crate::link::{Picture, Shown};

/// Frames that the camera has.
const FRAMES: usize = 3;
const ASKED: Picture<'static> =
    Picture::Frame { format: PixelFormat::Rgb565Be, width: SIDE, height: SIDE, bytes: HAPPY };

/// What a host says, by how often it has said something.
type Say<'a> = &'a dyn Fn(u32) -> Vec<u8>;

/// A link that always has bytes.
struct Chatter<'a> {
    say: Say<'a>,
    said: u32,
    to_device: VecDeque<u8>,
    to_host: Vec<u8>,
}

impl ErrorType for Chatter<'_> {
    type Error = Infallible;
}

impl ReadReady for Chatter<'_> {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(true)
    }
}

impl Read for Chatter<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        while self.to_device.len() < bytes.len() {
            self.said += 1;
            self.to_device.extend((self.say)(self.said));
        }
        let len = bytes.len();
        bytes.iter_mut().zip(self.to_device.drain(..len)).for_each(|(slot, byte)| *slot = byte);
        Ok(len)
    }
}

impl Write for Chatter<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.to_host.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// What becomes of the camera's frames in so many polls beside such a link, and what it is answered.
fn beside(say: Say<'_>, polls: usize) -> (Vec<Decision>, Vec<u8>) {
    let (Board { name, mut camera, indicator, clock, .. }, mut slots) = simulation();
    camera.frames = frames(FRAMES);
    let link = Chatter { say, said: 0, to_device: VecDeque::new(), to_host: Vec::new() };
    let mut board = Board { name, camera, link, indicator, clock };
    let events = with_application(Anyone, &mut slots, |application| {
        (0..polls).map(|_| application.poll(&mut board)).collect::<Vec<_>>()
    });
    let decision = |event| if let Event::Classified(report) = event { Some(report.decision) } else { None };
    (events.into_iter().filter_map(decision).collect(), board.link.to_host)
}

#[test]
fn a_link_that_is_never_silent_keeps_no_frame_from_being_classified() {
    let (mut board, mut slots) = simulation();
    board.camera.frames = frames(FRAMES);
    let silent = with_application(Anyone, &mut slots, |application| turns(application, &mut board, 4 * FRAMES));
    let expected: Vec<Decision> = silent.iter().map(|report| report.decision).collect();
    assert_eq!(expected.len(), FRAMES);

    let operators = usize::from(Model::parse(FACES).unwrap().info().ops);
    // Each frame, and the two requests in between, where the camera has a frame at every second look: with its beginning, its
    // operators and its end.
    let polls = 3 * (FRAMES + 1) * (operators + 2);
    let write = |id| frame(id, Request::Update(Update::Write { offset: 0, bytes: &[1; 256] }));
    let says: [(&str, Say<'_>); 10] = [
        ("requests", &|id| frame(id, Request::Hello)),
        ("one request for ever", &|_| frame(1, Request::Hello)),
        ("damaged requests", &|_| vec![9, 1, 2, 0]),
        ("noise", &|count| vec![count as u8 | 1; 64]),
        ("steps of no update", &write),
        ("pictures", &|id| frame(id, Request::Infer(ASKED))),
        ("self-tests", &|id| frame(id, Request::SelfTest)),
        ("looks at whatever comes next", &|id| frame(id, Request::Look { after: (id - 1) % FRAMES as u32 + 1 })),
        ("looks at the same frame for ever", &|id| frame(id, Request::Look { after: 0 })),
        ("reads of the same frame for ever", &|id| match id % 2 {
            0 => frame(id, Request::Look { after: 0 }),
            _ => frame(id, Request::Read { sequence: 1, what: Shown::Input, offset: 0, len: u32::MAX }),
        }),
    ];
    // A frame that a host asks for again and again is kept for so long.
    let kept = FRAMES * crate::KEPT_AT_MOST_SECONDS as usize * Steps::HZ as usize / Steps::TICK as usize;
    for (what, say) in says {
        let (found, _) = beside(say, polls + if what.contains("for ever") { kept } else { 0 });
        assert_eq!(found, expected, "beside {what}");
    }
}

#[test]
fn a_picture_is_answered_however_many_requests_follow_it() {
    let operators = usize::from(Model::parse(FACES).unwrap().info().ops);
    let say = |id| frame(id, if id == 1 { Request::Infer(ASKED) } else { Request::Hello });
    let (_, answered) = beside(&say, 3 * (operators + 2));
    let mut pictures = 0;
    answers(&answered, |Message { id, body }| {
        assert_eq!(id == 1, matches!(body, Response::Inference(_)), "{id}: {body:?}");
        pictures += usize::from(id == 1);
    });
    assert_eq!(pictures, 1);
}
