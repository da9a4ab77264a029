//! Layers in stripes of rows give the bytes of whole layers, in less memory.

use host_trainer::device::bench::networks::network;
use model_compiler::aligned::Aligned;
use model_compiler::blob::emit::{Limits, emit_within};
use model_compiler::blob::{Parts, write};
use model_compiler::layout::stripes::{Group, Layers};
use model_compiler::layout::{self, pack::pack};
use no_std_infer::format::{Op, Tensor};
use no_std_infer::golden::self_test;
use no_std_infer::kernels::{Armv6m, Armv7em, Armv7m, Generic};
use no_std_infer::{Error, Model, OpError};
use tests::stripes::{DESCRIPTION, Striped, blob, random};
use tests::{Engine, Reference, outputs};

fn same_layers<K: Engine>(whole: &Model<'_>, striped: &Model<'_>, layers: &Layers, input: &[i8]) {
    assert_eq!(layers.outputs(&outputs::<K>(striped, input)), outputs::<Reference>(whole, input));
}

#[test]
fn stripes_give_the_bytes_of_whole_layers() {
    let (mut striped, mut moves) = (0, 0);
    for seed in 0..120 {
        let Striped { whole, stripes, input } = random(seed);
        let [plain, model] = [&whole, &stripes].map(|blob| Model::parse(blob).expect("emit checks the blob"));
        let layers = Layers::of(&stripes, &model).expect("emit wrote the section");
        assert_eq!(layers.count(), plain.ops().count());
        let macs = |model: &Model<'_>| model.ops().map(|op| op.macs()).sum::<u64>();
        assert_eq!(macs(&model), macs(&plain), "nothing is computed twice");
        striped += usize::from(model.ops().count() > plain.ops().count());
        moves += (0..model.ops().count()).filter(|&index| layers.layer(index).is_none()).count();
        same_layers::<Reference>(&plain, &model, &layers, &input);
        same_layers::<Generic>(&plain, &model, &layers, &input);
        same_layers::<Armv7em>(&plain, &model, &layers, &input);
        same_layers::<Armv7m>(&plain, &model, &layers, &input);
        same_layers::<Armv6m>(&plain, &model, &layers, &input);
        self_test(&model, &mut Aligned::new(model.arena_len())).expect("the golden vector is that of the stripes");
    }
    assert!(striped > 50 && moves > 50, "{striped} networks in stripes, {moves} moves of rows");
}

/// Arena and operators of one of MLPerf Tiny's topologies within limits.
fn arena_and_operators(name: &str, flash: usize, arena: Option<u32>) -> [usize; 2] {
    let model = network(name).expect("it is one of the three");
    let blob = emit_within(&model, &DESCRIPTION, Limits { flash, arena, ..Limits::default() })
        .expect("the blob is valid")
        .blob;
    let model = Model::parse(&blob).expect("emit checks the blob");
    [model.arena_len(), model.ops().count()]
}

#[test]
fn the_arena_keeps_to_its_budget_with_as_few_stripes_as_it_takes() {
    for (name, budget, least) in [("vww", 30, 28_752), ("resnet8", 28, 26_560)] {
        let whole = arena_and_operators(name, 0, None);
        assert_eq!(arena_and_operators(name, 0, Some(whole[0] as u32)), whole, "{name}: nothing need be done");
        let within = arena_and_operators(name, 0, Some(budget * 1024));
        let [shortest, operators] = arena_and_operators(name, 0, Some(0));
        assert!(within[0] <= budget as usize * 1024 && within[0] < whole[0] * 81 / 100, "{name}: {within:?}");
        assert!(within[1] <= operators && shortest <= least, "{name}: {shortest} in {operators} operators");
    }
    // Each of its tensors is as long as the worst, which the last layer needs whole.
    assert_eq!(arena_and_operators("kws", 0, Some(0)), arena_and_operators("kws", 0, None));
}

/// Two layers in stripes: what makes the first stripe of both, the move of the row that both stripes read, and so on.
fn two_layers() -> Aligned<u8> {
    let model = pack(&network("vww").expect("it is one of the three"), 0);
    blob(&model, &[Group { first: 2, last: 3, rows: 8 }])
}

#[test]
fn rows_that_nobody_made_are_named() {
    let blob = two_layers();
    let good = Model::parse(&blob).expect("emit checks the blob");
    let ops: Vec<Op> = good.ops().collect();
    let moved = ops.iter().position(|op| matches!(op, Op::Reshape(_))).expect("a row is moved");
    let refused = |change: &dyn Fn(&mut Vec<Op>)| {
        let mut ops = ops.clone();
        change(&mut ops);
        let parts = Parts { info: *good.info(), labels: &[], ops: &ops, weights: good.weights(), layers: None };
        Model::parse(&write(&parts)).err()
    };
    let dataflow = |index: usize| Some(Error::Op { index: index as u16, why: OpError::Dataflow });
    let Op::DepthwiseConv2d(reader) = ops[moved + 2] else { panic!("{:?} reads the rows", ops[moved + 2]) };
    let with_input = |input: Tensor| {
        move |ops: &mut Vec<Op>| {
            if let Op::DepthwiseConv2d(op) = &mut ops[moved + 2] {
                op.input = input;
            }
        }
    };
    assert_eq!(refused(&|_| {}), None);
    let without_maker = |ops: &mut Vec<Op>| {
        ops.remove(moved - 2);
    };
    assert_eq!(refused(&without_maker), dataflow(moved - 2));
    let rows = reader.input;
    for input in [
        Tensor { offset: rows.offset + 1, ..rows },
        Tensor { height: rows.height + 1, ..rows },
        Tensor { zero_point: rows.zero_point ^ 1, ..rows },
    ] {
        assert_eq!(refused(&with_input(input)), dataflow(moved + 2), "{input:?}");
    }
}

#[test]
fn a_list_of_layers_must_fit_the_operators() {
    let blob = two_layers();
    let good = Model::parse(&blob).expect("emit checks the blob");
    let ops: Vec<Op> = good.ops().collect();
    let count = ops.len() as u16;
    for (entries, why) in [
        (vec![0], layout::Error::Entries),
        (vec![5; ops.len()], layout::Error::LeftOut),
        ((1..=count).collect(), layout::Error::LeftOut),
    ] {
        let layers = Some(entries.into_iter().flat_map(u16::to_le_bytes).collect());
        let parts = Parts { info: *good.info(), labels: &[], ops: &ops, weights: good.weights(), layers };
        let blob = write(&parts);
        let model = Model::parse(&blob).expect("nothing that runs needs the section");
        assert_eq!(Layers::of(&blob, &model), Err(why));
    }
}
