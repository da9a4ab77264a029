//! What each operator has made, as a host asks for it, is what the engine makes of the same picture.

use no_std_infer::golden::checksum;

use super::*;
use crate::link::{Excerpt, Picture};

const ASKED: Picture<'static> =
    Picture::Frame { format: PixelFormat::Rgb565Be, width: SIDE, height: SIDE, bytes: HAPPY };

/// Every operator's output, and the logits.
fn expected() -> (Vec<Vec<i8>>, Vec<u8>) {
    let (model, mut arena) = (Model::parse(FACES).unwrap(), Arena::<ARENA_LEN>::new());
    let mut interpreter = Interpreter::new(model, &mut arena).unwrap();
    let frame = Frame::new(PixelFormat::Rgb565Be, SIDE.into(), SIDE.into(), HAPPY).unwrap();
    load_frame(&model, &frame, interpreter.input_mut()).unwrap();
    let mut outputs = Vec::new();
    interpreter.run_profiled(|_, output| outputs.push(output.to_vec()));
    (outputs, interpreter.logits().iter().map(|&value| value as u8).collect())
}

/// What the device says to requests, the first of id 1.
fn said(requests: &[Request<'_>], mut then: impl FnMut(u32, Response<'_>)) {
    let (mut board, mut slots) = simulation();
    with_application(Anyone, &mut slots, |application| {
        for (id, &request) in (1..).zip(requests) {
            board.link.to_device.extend(frame(id, request));
            while application.poll(&mut board) != Event::Idle {}
        }
    });
    answers(&board.link.to_host, |Message { id, body }| then(id, body));
}

#[test]
fn a_trace_holds_the_checksum_of_each_operator_and_the_scores() {
    let (outputs, logits) = expected();
    let mut traces = 0;
    said(&[Request::Trace(ASKED), Request::SelfTest, Request::Trace(ASKED)], |id, body| match body {
        Response::Trace(traced) => {
            traces += 1;
            assert!(traced.of_operators().eq(outputs.iter().map(|output| checksum(output))), "request {id}");
            assert_eq!(traced.logits, logits);
        }
        other => assert_eq!(other, Response::SelfTest(SelfTest::Passed)),
    });
    assert_eq!(traces, 2);
}

#[test]
fn an_excerpt_is_of_the_output_as_it_stood() {
    let (outputs, _) = expected();
    let ends = outputs.iter().enumerate().flat_map(|(index, output)| {
        let (operator, all) = (index as u16, output.len() as u32);
        let excerpt = |(offset, len)| Excerpt { operator, offset, len };
        [(0, all), (all / 2, all - all / 2), (all - 1, 1), (all, 0)].map(excerpt)
    });
    let asked: Vec<Excerpt> = ends.collect();
    let requests: Vec<Request<'_>> = asked.iter().map(|&of| Request::Excerpt { of, picture: ASKED }).collect();
    let mut answered = 0;
    said(&requests, |id, body| {
        let Excerpt { operator, offset, len } = asked[id as usize - 1];
        let made = &outputs[usize::from(operator)][offset as usize..][..len as usize];
        let Response::Excerpt { checksum: found, values, .. } = body else { panic!("{body:?}") };
        assert_eq!(found, checksum(made), "operator {operator}, {len} values");
        assert!(!values.is_empty() || len == 0);
        assert!(values.iter().zip(made).all(|(&found, &made)| found == made as u8), "operator {operator}");
        answered += 1;
    });
    assert_eq!(answered, asked.len());
}

#[test]
fn what_an_operator_does_not_have_is_refused() {
    let (outputs, _) = expected();
    let (operators, all) = (outputs.len() as u16, outputs[0].len() as u32);
    let asked = [(0, all, 1), (0, 0, all + 1), (0, u32::MAX, u32::MAX), (operators, 0, 1), (u16::MAX, 0, 1)];
    let request = |(operator, offset, len)| {
        let of = Excerpt { operator, offset, len };
        Request::Excerpt { of, picture: ASKED }
    };
    let mut refused = 0;
    said(&asked.map(request), |_, body| {
        assert_eq!(body, Response::Error(Failure::Excerpt));
        refused += 1;
    });
    assert_eq!(refused, asked.len());
    said(&[Request::Trace(Picture::Input(&[1; 3]))], |_, body| {
        assert!(matches!(body, Response::Error(Failure::InputLength { found: 3, .. })), "{body:?}");
    });
}
