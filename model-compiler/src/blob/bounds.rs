//! What the engine knows of a blob's cost, and what it refuses: blobs that no exporter makes.

use no_std_infer::fixed::DoubleMultiplier;
use no_std_infer::format::{
    Activation, Clamp, Dense, Info, Input, InputKind, Layout, Op, Pool2d, Provenance, Softmax, Tensor, Weights, Window,
};
use no_std_infer::kernels::{KernelSet, Linked};
use no_std_infer::operators::DenseParams;
use no_std_infer::{Cost, Error, Model, OpError, READS_PER_BYTE, SOFTMAX_PRODUCTS};

use super::{Parts, write};
use crate::aligned::Aligned;
use crate::quantise::softmax_parameters;

fn tensor(offset: u32, [height, width]: [u16; 2], channels: u32) -> Tensor {
    Tensor { offset, height, width, channels, scale: 1.0, zero_point: 0 }
}

fn blob(input: Tensor, ops: &[Op], weights: &[u8]) -> Aligned<u8> {
    let logits = *ops.last().expect("there are operators").output();
    let input = Input { tensor: input, kind: InputKind::Tensor };
    let provenance = Provenance::default();
    let info = Info { name: "", input, logits, labels: 0, ops: 0, temperature: 1.0, provenance };
    write(&Parts { info, labels: &[], ops, weights, layers: None })
}

fn clamp(input: Tensor, output: Tensor) -> Op {
    Op::Clamp(Clamp { input, output, activation: Activation::NONE })
}

fn pool(input: Tensor, output: Tensor, kernel: [u16; 2], pad: [u16; 2]) -> Op {
    let window = Window { pad_top: pad[0], pad_left: pad[1], ..Window::square(1, 1) };
    let window = Window { kernel_h: kernel[0], kernel_w: kernel[1], ..window };
    Op::MaxPool2d(Pool2d { input, output, window, activation: Activation::NONE })
}

/// `count` fully connected layers of 256 inputs and outputs that share all of their constants.
fn sharing(count: usize) -> Aligned<u8> {
    let multiplier = DoubleMultiplier { bits: 1.0_f64.to_bits() };
    let params = DenseParams { bias: 0, multiplier }.to_bytes().repeat(256);
    let weights = [vec![1; 1 << 16], params].concat();
    let sides = [0, 256].map(|offset| tensor(offset, [1, 1], 256));
    let ops: Vec<Op> = (0..count)
        .map(|index| {
            let (input, output) = (sides[index % 2], sides[(index + 1) % 2]);
            let weights = Weights { layout: Layout::Plain, weights: 0, channels: 1 << 16 };
            Op::Dense(Dense { input, output, weights, activation: Activation::NONE })
        })
        .collect();
    blob(sides[0], &ops, &weights)
}

/// `count` operators each of which reads what was there at first.
fn looking_back(count: usize) -> Aligned<u8> {
    let (input, output) = (tensor(0, [1, 1], 16), tensor(16, [1, 1], 16));
    blob(input, &vec![clamp(input, output); count], &[])
}

/// The most copies that are taken, and that one more is refused by its name.
fn most(make: impl Fn(usize) -> Aligned<u8>, up_to: usize) -> usize {
    let taken = |count: usize| match Model::parse(&make(count)) {
        Ok(_) => true,
        Err(Error::Work) => false,
        Err(other) => panic!("{count}: {other}"),
    };
    let (mut low, mut high) = (1, up_to);
    assert!(taken(low) && !taken(high));
    while high - low > 1 {
        let middle = usize::midpoint(low, high);
        if taken(middle) { low = middle } else { high = middle }
    }
    low
}

#[test]
fn constants_are_gone_through_so_many_times_as_there_are_bytes_at_most() {
    let count = most(sharing, 1000);
    let reads = |count: usize| count << 16;
    let allowed = |count: usize| sharing(count).len() * READS_PER_BYTE;
    assert!(reads(count) <= allowed(count), "{count}");
    assert!(reads(count + 1) + 1000 * count > allowed(count + 1), "{count}: no more than that is refused");
}

#[test]
fn operators_are_looked_back_at_so_many_times_as_there_are_bytes_at_most() {
    let count = most(looking_back, 1000);
    let reads = |count: usize| 80 * count * (count + 1) / 2;
    let allowed = |count: usize| looking_back(count).len() * READS_PER_BYTE;
    assert!(reads(count - 1) <= allowed(count) && reads(count + 1) > allowed(count + 1), "{count}");
    // As many as the format can count.
    assert_eq!(Model::parse(&looking_back(usize::from(u16::MAX))).err(), Some(Error::Work));
}

#[test]
fn a_few_bytes_that_run_for_ever_are_known_to_and_refused_by_firmware() {
    let side = [1000, 1000];
    let (input, output) = (tensor(0, side, 1), tensor(1_000_000, side, 1));
    let blob = blob(input, &[pool(input, output, side, [0, 0])], &[]);
    assert!(blob.len() < 240, "{}", blob.len());
    let cost = Cost { products: 1_000_000_000_000, bytes: 2_000_000 };
    assert_eq!(Model::parse(&blob).expect("it is valid").cost(), cost);
    assert_eq!(cost.mebi(), 953_675, "rounded up");
    assert_eq!([Cost { products: 1, bytes: 1 << 30 }, Cost::ANY].map(Cost::mebi), [1 << 13, u32::MAX]);
    assert_eq!(Model::parse_with(&blob, Linked::ALL).err(), Some(Error::Cost { mebi: cost.mebi() }));
    let raised = |most: Cost| &*Box::leak(Box::new(Linked::new(KernelSet::ALL).at_most(most)));
    assert!(Model::parse_with(&blob, raised(cost)).is_ok());
    for less in [Cost { products: cost.products - 1, ..cost }, Cost { bytes: cost.bytes - 1, ..cost }] {
        assert_eq!(Model::parse_with(&blob, raised(less)).err(), Some(Error::Cost { mebi: cost.mebi() }));
    }
}

#[test]
fn products_that_leave_64_bits_are_refused() {
    let (input, output) = (tensor(0, [1, 1], 1), tensor(16, [1 << 15, u16::MAX], 1));
    let op = pool(input, output, [u16::MAX; 2], [u16::MAX - 1; 2]);
    let products = (1 << 15) * u64::from(u16::MAX).pow(3);
    assert_eq!(op.cost().map(|cost| cost.products), Some(products));
    assert_eq!(products.checked_mul(3), None);
    assert_eq!(Model::parse(&blob(input, &[op; 3], &[])).err(), Some(Error::Op { index: 2, why: OpError::Cost }));
}

#[test]
fn what_an_operator_takes_is_products_and_bytes() {
    let model = sharing(3);
    let (products, bytes) = (3 << 16, 3 * (256 + 256 + (1 << 16)));
    assert_eq!(Model::parse(&model).expect("it is valid").cost(), Cost { products, bytes });
    let (input, output) = (tensor(0, [2, 3], 10), tensor(64, [2, 3], 10));
    let output = Tensor { scale: 1.0 / 256.0, zero_point: -128, ..output };
    let (multiplier, diff_min) = softmax_parameters(1.0, 1.0).expect("it is in range");
    let softmax = Op::Softmax(Softmax { input, output, multiplier, diff_min });
    let model = blob(input, &[softmax], &[]);
    let cost = Cost { products: 60 * SOFTMAX_PRODUCTS, bytes: 120 };
    assert_eq!(Model::parse(&model).expect("it is valid").cost(), cost);
}
