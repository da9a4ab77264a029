//! Messages that arrive together: none of those behind a commit reaches the slot that it has switched to.

use crate::slots::SlotPair;

use super::*;

/// What a host may send, well-meaning or not.
fn messages() -> [Request<'static>; 8] {
    let other = Identity { len: 1, sha256: [7; 32] };
    let updates = [
        Update::Begin { blob: other, credentials: None },
        begin(TINY),
        Update::Write { offset: 0, bytes: &[] },
        Update::Write { offset: 0, bytes: &[7] },
        Update::Commit { blob: other },
        Update::Commit { blob: identity(TINY) },
    ];
    let [a, b, c, d, e, commit] = updates.map(Request::Update);
    [Request::Hello, Request::SelfTest, a, b, c, d, e, commit]
}

/// All sequences of up to three messages of which one is the commit.
fn sequences() -> Vec<Vec<Request<'static>>> {
    let messages = messages();
    let commit = messages[7];
    let pairs = messages.iter().flat_map(|&first| messages.iter().map(move |&second| vec![first, second]));
    let pairs: Vec<_> = pairs.collect();
    let triples = pairs.iter().flat_map(|pair| messages.iter().map(|&third| [&pair[..], &[third]].concat()));
    let all: Vec<_> = pairs.iter().cloned().chain(triples).filter(|sequence| sequence.contains(&commit)).collect();
    assert_eq!(all.len(), (64 - 49) + (512 - 343));
    all
}

/// The frames of messages, as one chunk.
fn chunk(messages: &[Request<'_>]) -> Vec<u8> {
    (100..).zip(messages).flat_map(|(id, &body)| frame(id, body)).collect()
}

/// Whether the commit among these messages was acknowledged.
fn is_taken(messages: &[Request<'_>], answered: &[u8]) -> bool {
    let mut taken = false;
    let received = TINY.len() as u32;
    answers(answered, |Message { id, body }| {
        let sent = id.checked_sub(100).and_then(|index| messages.get(index as usize));
        let commit = Request::Update(Update::Commit { blob: identity(TINY) });
        taken |= sent == Some(&commit) && body == Response::Update { received };
    });
    taken
}

/// What runs after a restart.
fn runs(slots: &mut [Flash; 2]) -> Option<Identity> {
    with_application(Anyone, slots, |application| application.running())
}

/// Sends all of a blob but its commit, and then the messages.
fn exchanged(slots: &mut [Flash; 2], board: &mut Simulation, messages: &[Request<'static>]) -> Vec<u8> {
    let requests = requests_of(TINY);
    let (_, before) = requests.split_last().unwrap();
    with_application(Anyone, slots, |application| {
        converse(application, board, before);
        exchange(application, board, &chunk(messages))
    })
}

#[test]
fn what_was_acknowledged_runs_after_a_restart_whatever_came_with_it() {
    let mut taken = 0;
    for messages in sequences() {
        let (mut board, mut slots) = simulation();
        if is_taken(&messages, &exchanged(&mut slots, &mut board, &messages)) {
            taken += 1;
            assert_eq!(runs(&mut slots), Some(identity(TINY)), "{messages:?}");
        }
    }
    assert!(taken > 50, "{taken} commits were taken");
}

/// The same by a server alone, which is polled until nothing waits and knows nothing of a switch.
#[test]
fn a_server_alone_takes_no_step_after_a_commit() {
    let mut taken = 0;
    for messages in sequences() {
        let (board, mut slots) = simulation();
        let Board { mut link, clock, .. } = board;
        let requests = requests_of(TINY);
        let (_, before) = requests.split_last().unwrap();
        let loaded = Loaded::parse(FACES, Linked::ALL).unwrap();
        let (mut arena, mut buffers) = (Arena::<ARENA_LEN>::new(), Buffers::<REQUEST_LEN, 1024, 2048>::new());
        {
            let mut server = Server::new(buffers.memory());
            let mut updater = Updater::new(Anyone, Linked::ALL);
            updater.open(SlotPair::open(slots.each_mut(), &|| (), |_| true).idle, update::Running::BuiltIn);
            let mut device =
                Device { name: "", clock: &clock, loaded: Some(&loaded), arena: &mut arena[..], updater: &mut updater };
            let chunks = [before.iter().zip(1..).flat_map(|(&body, id)| frame(id, body)).collect(), chunk(&messages)];
            for chunk in chunks {
                link.to_host.clear();
                link.to_device.extend(chunk);
                while server.poll(&mut link, &mut device) || !link.to_device.is_empty() {}
            }
        }
        if is_taken(&messages, &link.to_host) {
            taken += 1;
            assert_eq!(runs(&mut slots), Some(identity(TINY)), "{messages:?}");
            assert!(slots.iter().any(|slot| slot.bytes().windows(TINY.len()).any(|bytes| bytes == TINY)));
        }
    }
    assert!(taken > 50, "{taken} commits were taken");
}
