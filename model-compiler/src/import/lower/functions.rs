//! Functions of one element as LiteRT's reference kernels compute them, each a table of its own.

use no_std_infer::format::Activation;

use super::elementwise::{multiplier_of_up_to, requantisation};
use super::hard_swish::hard_swish;
use super::rsqrt::rsqrt;
use super::{Table, bound, fused};
use crate::import::Result;
use crate::import::model::{ActivationFunctionType, BuiltinOperator, Options};
use crate::quantise::Quantisation;

/// What LiteRT makes of the inputs −128..=127 by an operator that is a function of one element.
///
/// # Errors
/// When LiteRT refuses the scales, or is not defined for them, and where the operator is no such function.
pub(crate) fn function_table(
    code: BuiltinOperator,
    options: &Options,
    from: Quantisation,
    to: Quantisation,
) -> Result<Table> {
    use ActivationFunctionType as Function;
    use BuiltinOperator as Code;
    // LiteRT divides the scales as floats here, and as doubles in QUANTIZE.
    let rectified = |activation| requantisation(from, to, f64::from(from.scale / to.scale), activation);
    match code {
        Code::Relu => rectified(fused(Function::Relu, to)?),
        Code::Relu6 => rectified(fused(Function::Relu6, to)?),
        Code::ReluN1To1 => rectified(fused(Function::ReluN1To1, to)?),
        Code::Relu0To1 => rectified(Activation { min: bound(0.0, to), max: bound(1.0, to) }),
        Code::Quantize => requantisation(from, to, f64::from(from.scale) / f64::from(to.scale), Activation::NONE),
        Code::HardSwish => hard_swish(from, to),
        Code::Logistic => {
            let scale = to.scale;
            ensure!(scale == 1.0 / 256.0, Unsupported, "its output has scale {scale}, but LiteRT asks for 1/256");
            float_table(from, to, |x| 1.0 / (1.0 + (-x).exp()))
        }
        Code::Tanh => float_table(from, to, f32::tanh),
        Code::Elu => float_table(from, to, |x| if x < 0.0 { options.elu_factor * x.exp_m1() } else { x }),
        Code::Gelu if options.approximate => float_table(from, to, gelu_by_tanh),
        Code::Gelu => float_table(from, to, |x| 0.5 * x * libm::erfcf(x * -std::f32::consts::FRAC_1_SQRT_2)),
        Code::Exp => float_table(from, to, f32::exp),
        Code::Log => {
            let least = to.scale * (-128 - i32::from(to.zero_point)) as f32;
            float_table(from, to, |x| if x <= 0.0 { least } else { x.ln() })
        }
        Code::Sqrt => sqrt(from, to),
        Code::Rsqrt => rsqrt(from, to),
        Code::LeakyRelu => leaky_relu(from, to, options.alpha),
        Code::Abs => abs(from, to),
        // LiteRT negates the byte, whatever it stands for, and wraps.
        Code::Neg => Ok(std::array::from_fn(|index| (index as u8 ^ 0x80).wrapping_neg() as i8)),
        other => Err(refused!(UnsupportedOperator, "{other:?} is no function of one element")),
    }
}

/// How many steps above the zero point the inputs −128..=127 are.
pub(super) fn steps(from: Quantisation) -> [i32; 256] {
    std::array::from_fn(|index| index as i32 - 128 - i32::from(from.zero_point))
}

/// The byte so many steps above the zero point, or the nearest.
pub(super) fn byte(steps: i32, to: Quantisation) -> i8 {
    steps.saturating_add(to.zero_point.into()).clamp(-128, 127) as i8
}

/// A table of floats, rounded to the nearest steps.
fn float_table(from: Quantisation, to: Quantisation, function: impl Fn(f32) -> f32) -> Result<Table> {
    let reals = steps(from).map(|steps| function(from.scale * steps as f32));
    let sums = reals.map(|real| (real * (1.0 / to.scale)).round() + f32::from(to.zero_point));
    check_32_bits(&sums)?;
    Ok(sums.map(|sum| sum.clamp(-128.0, 127.0) as i8))
}

/// LiteRT converts floats to 32 bits before it clamps.
fn check_32_bits(sums: &[f32]) -> Result<()> {
    ensure!(
        sums.iter().all(|sum| sum.abs() < (1_u32 << 31) as f32),
        OutOfRange,
        "its outputs for some bytes leave 32 bits, where LiteRT is not defined: the scales of its input and its output are out \
         of all proportion"
    );
    Ok(())
}

/// x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))).
fn gelu_by_tanh(x: f32) -> f32 {
    let root = (std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2) as f32;
    0.5 * x * (1.0 + (root * (x + 0.044_715 * x * x * x)).tanh())
}

/// Towards 0, in place of to the nearest. Below 0, where LiteRT stops, it is what 0 gives.
fn sqrt(from: Quantisation, to: Quantisation) -> Result<Table> {
    let roots = steps(from).map(|steps| (from.scale * steps.max(0) as f32).sqrt() / to.scale);
    check_32_bits(&roots)?;
    Ok(roots.map(|root| byte(root as i32, to)))
}

fn leaky_relu(from: Quantisation, to: Quantisation, alpha: f32) -> Result<Table> {
    let identity = multiplier_of_up_to(255, f64::from(from.scale / to.scale))?;
    let slope = multiplier_of_up_to(255, f64::from((from.scale * alpha / to.scale).abs()))?;
    let sign = if alpha < 0.0 { -1 } else { 1 };
    let scaled = |steps| if steps >= 0 { identity.apply(steps) } else { sign * slope.apply(steps) };
    Ok(steps(from).map(|steps| byte(scaled(steps), to)))
}

fn abs(from: Quantisation, to: Quantisation) -> Result<Table> {
    if from.scale == to.scale {
        return Ok(steps(from).map(|steps| byte(steps.abs(), to)));
    }
    let multiplier = multiplier_of_up_to(255, f64::from(from.scale / to.scale))?;
    Ok(steps(from).map(|steps| byte(multiplier.apply(steps.abs()), to)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::model::Options;

    fn of(code: BuiltinOperator, options: Options, from: (f32, i8), to: (f32, i8)) -> Result<Table> {
        let quantisation = |(scale, zero_point)| Quantisation { scale, zero_point };
        function_table(code, &options, quantisation(from), quantisation(to))
    }

    fn leaky(alpha: f32) -> Options {
        Options { alpha, ..Options::default() }
    }

    #[test]
    fn tables_are_those_of_litert_s_reference_kernels() {
        use BuiltinOperator as Code;
        let plain = Options::default();
        let approximate = Options { approximate: true, ..plain };
        let gelu = [-120, -120, -120, -120, -121, -122, -124, -126, -128, -127, -118, -102, -80, -55, -30, -6, 18, 40];
        let slope = [-90, -86, -82, -79, -75, -71, -67, -64, -57, -39, -20, -1, 18, 36, 55, 74, 93, 111];
        let rising = [-30, -34, -38, -41, -45, -49, -53, -56, -57, -39, -20, -1, 18, 36, 55, 74, 93, 111];
        let elu = [-119, -119, -119, -118, -116, -114, -111, -106, -98, -86, -67, -44, -22, 1, 23, 46, 68, 91];
        let same = [18, 3, -12, -27, -42, -57, -72, -87, -98, -83, -68, -53, -38, -23, -8, 7, 22, 37];
        let finer = [69, 44, 19, -6, -31, -56, -81, -106, -125, -100, -75, -50, -25, 0, 25, 50, 75, 100];
        let neg = [-128, 113, 98, 83, 68, 53, 38, 23, 8, -7, -22, -37, -52, -67, -82, -97, -112, -127];
        let exp = [-127, -127, -126, -125, -124, -123, -122, -119, -116, -112, -107, -99, -89, -76, -57, -33, 1, 46];
        let log = [-128, -128, -128, -24, 8, 27, 41, 52, 61, 68, 75, 81, 86, 91, 95, 99, 103, 106];
        let sqrt = [-128, -77, -55, -39, -25, -13, -2, 8, 18, 26, 35, 43, 50, 58, 65, 72, 78, 84];
        let rsqrt =
            [127, -63, -82, -91, -96, -99, -102, -104, -105, -106, -108, -109, -109, -110, -111, -111, -112, -112];
        for (code, options, from, to, expected) in [
            (Code::LeakyRelu, leaky(0.2), (0.05, -10), (0.04, -60), slope),
            (Code::LeakyRelu, leaky(-0.2), (0.05, -10), (0.04, -60), rising),
            (Code::Elu, plain, (0.03, 20), (0.02, -70), elu),
            (Code::Gelu, plain, (0.03, 20), (0.02, -120), gelu),
            (Code::Gelu, approximate, (0.03, 20), (0.02, -120), gelu),
            (Code::Abs, plain, (0.05, -10), (0.05, -100), same),
            (Code::Abs, plain, (0.05, -10), (0.03, -128), finer),
            (Code::Neg, plain, (0.05, 3), (0.05, -3), neg),
            (Code::Exp, plain, (0.02, 30), (0.04, -128), exp),
            (Code::Log, plain, (0.03, -100), (0.02, 10), log),
            (Code::Sqrt, plain, (0.04, -128), (0.015, -128), sqrt),
            (Code::Rsqrt, plain, (0.04, -128), (0.02, -128), rsqrt),
        ] {
            let table = of(code, options, from, to).unwrap();
            let every_fifteenth: Vec<i8> = table.iter().step_by(15).copied().collect();
            assert_eq!(every_fifteenth, expected, "{code:?} {options:?}");
        }
    }

    #[test]
    fn scales_that_litert_does_not_define_are_refused() {
        use BuiltinOperator as Code;
        let refusal = |code, options, from, to| {
            let error = of(code, options, (from, 0), (to, 0)).unwrap_err();
            assert_eq!(error.kind(), crate::import::Kind::OutOfRange, "{code:?}: {error}");
        };
        refusal(Code::Exp, Options::default(), 1.0, 0.1);
        refusal(Code::Sqrt, Options::default(), 1e20, 1e-9);
        refusal(Code::Rsqrt, Options::default(), 1e-20, 1e-9);
        refusal(Code::Abs, Options::default(), 1.0, 1e-8);
        refusal(Code::LeakyRelu, leaky(f32::NAN), 1.0, 1.0);
    }

    #[test]
    fn below_0_square_roots_are_what_0_gives() {
        let roots = of(BuiltinOperator::Sqrt, Options::default(), (0.04, 0), (0.01, -128)).unwrap();
        assert!(roots[..129].iter().all(|&root| root == -128) && roots[129] > -128);
        let roots = of(BuiltinOperator::Rsqrt, Options::default(), (0.04, 0), (0.03, -128)).unwrap();
        assert!(roots[..129].iter().all(|&root| root == i8::MAX) && roots[255] < i8::MAX);
    }
}
