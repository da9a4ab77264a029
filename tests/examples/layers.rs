//! scratch
use host_trainer::device::Device;
use no_std_infer::Model;
fn main() {
    for path in std::env::args().skip(1) {
        let blob = host_trainer::aligned::Aligned::copy_of(&std::fs::read(&path).unwrap());
        let model = Model::parse(&blob).unwrap();
        let mut device = Device::start(&blob).unwrap();
        println!(
            "{path} {} bytes, arena {} self-test {:?}",
            blob.len(),
            model.arena_len(),
            device.self_test().unwrap()
        );
        let input = vec![3; model.info().input.tensor.len()];
        let r = device.infer(&input).unwrap();
        for (op, cost) in model.ops().zip(&r.layers) {
            let i = op.inputs().next().unwrap();
            let o = op.output();
            println!(
                "{cost:>9} {:>6.2} {} {}x{}x{} -> {}x{}x{}",
                *cost as f64 / op.macs().max(1) as f64,
                op.name(),
                i.height,
                i.width,
                i.channels,
                o.height,
                o.width,
                o.channels
            );
        }
        println!("{} stack {}", r.total, r.stack);
    }
}
