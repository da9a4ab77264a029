//! Arithmetic on constants: the shapes that exporters compute while the model runs.

use super::constant::{Constant, Data, element};
use super::file::Node;
use super::view::count;
use crate::import::Result;

/// Most numbers that are made of one.
const FILLED_MAX: usize = 1 << 20;

/// What an operator makes of constants; none where that is not known here.
///
/// # Errors
/// When the constants do not fit the operator.
pub(super) fn folded(node: &Node, inputs: &[&Constant]) -> Result<Option<Constant>> {
    Ok(Some(match (node.kind.as_str(), inputs) {
        ("Cast", [constant]) => cast(constant, node.integer("to", 0))?,
        ("ConstantOfShape", [shape]) => {
            let dims = super::constant::sides(shape.whole()?)?;
            let count = if dims.contains(&0) { 0 } else { count(&dims)? };
            ensure!(count <= FILLED_MAX, OutOfRange, "it fills {count} numbers, more than {FILLED_MAX}");
            match node.constant("value").transpose()?.map(|value| value.data) {
                Some(Data::Integers(values)) => {
                    Constant::integers(vec![values.first().copied().unwrap_or(0); count], dims)
                }
                Some(Data::Reals(values)) => reals(vec![values.first().copied().unwrap_or(0.0); count], dims),
                None => reals(vec![0.0; count], dims),
            }
        }
        ("Concat", [first, ..]) => {
            ensure!(
                inputs.iter().all(|part| part.dims.len() == 1),
                Unsupported,
                "constants of several sides are put together: only lists are supported"
            );
            let all: Option<Vec<i64>> = inputs.iter().try_fold(Vec::new(), |mut all, part| {
                all.extend_from_slice(part.whole().ok()?);
                Some(all)
            });
            match all {
                Some(all) => Constant { element: first.element, ..Constant::integers(all.clone(), vec![all.len()]) },
                None => {
                    let all: Vec<f32> = inputs.iter().flat_map(|part| part.reals()).collect();
                    let len = all.len();
                    reals(all, vec![len])
                }
            }
        }
        ("Add" | "Sub" | "Mul" | "Div", [a, b]) => arithmetic(&node.kind, a, b)?,
        ("Sqrt" | "Neg" | "Reciprocal" | "Floor" | "Ceil", [a]) => {
            let function: fn(f32) -> f32 = match node.kind.as_str() {
                "Sqrt" => f32::sqrt,
                "Neg" => |x| -x,
                "Reciprocal" => f32::recip,
                "Floor" => f32::floor,
                _ => f32::ceil,
            };
            match &a.data {
                Data::Integers(values) => {
                    let values = values
                        .iter()
                        .map(|&value| if node.kind == "Neg" { value.wrapping_neg() } else { value })
                        .collect();
                    Constant::integers(values, a.dims.clone())
                }
                Data::Reals(values) => reals(values.iter().map(|&x| function(x)).collect(), a.dims.clone()),
            }
        }
        _ => return Ok(None),
    }))
}

fn reals(values: Vec<f32>, dims: Vec<usize>) -> Constant {
    Constant { dims, data: Data::Reals(values), element: element::FLOAT, steps: None }
}

fn cast(constant: &Constant, to: i64) -> Result<Constant> {
    let to = i32::try_from(to).unwrap_or(0);
    let real = matches!(to, element::FLOAT | element::DOUBLE | element::FLOAT16 | element::BFLOAT16);
    ensure!(
        real || matches!(to, element::INT32 | element::INT64),
        Unsupported,
        "it makes ONNX's type {to}, which is not supported"
    );
    let data = match &constant.data {
        Data::Reals(values) if !real => Data::Integers(values.iter().map(|&value| value as i64).collect()),
        Data::Integers(_) if real => Data::Reals(constant.reals()),
        same => same.clone(),
    };
    Ok(Constant { data, element: to, ..constant.clone() })
}

fn arithmetic(kind: &str, a: &Constant, b: &Constant) -> Result<Constant> {
    let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    ensure!(
        a.dims == b.dims || short.len() == 1,
        Unsupported,
        "constants of the sides {:?} and {:?} are put together: only equal ones, or one number, are supported",
        a.dims,
        b.dims
    );
    let pairs = |at: usize| (if a.len() == 1 { 0 } else { at }, if b.len() == 1 { 0 } else { at });
    let dims = long.dims.clone();
    if let (Data::Integers(x), Data::Integers(y)) = (&a.data, &b.data) {
        let of = |at: usize| {
            let (x, y) = (x[pairs(at).0], y[pairs(at).1]);
            match kind {
                "Add" => x.checked_add(y),
                "Sub" => x.checked_sub(y),
                "Mul" => x.checked_mul(y),
                _ => x.checked_div(y),
            }
        };
        let values = (0..long.len()).map(of).collect::<Option<Vec<_>>>();
        let values = values.ok_or_else(|| refused!(OutOfRange, "its integers leave 64 bits, or are divided by 0"))?;
        return Ok(Constant { element: a.element, ..Constant::integers(values, dims) });
    }
    let (x, y) = (a.reals(), b.reals());
    let of = |at: usize| {
        let (x, y) = (x[pairs(at).0], y[pairs(at).1]);
        match kind {
            "Add" => x + y,
            "Sub" => x - y,
            "Mul" => x * y,
            _ => x / y,
        }
    };
    Ok(reals((0..long.len()).map(of).collect(), dims))
}
