//! Operators that only give elements other places: of a constant they move numbers, of an activation they change its view.

use super::constant::Constant;
use super::file::Node;
use super::view::{View, count};
use crate::import::Result;

/// Whether an operator only gives elements other places.
pub(super) fn moves(kind: &str) -> bool {
    matches!(
        kind,
        "Identity"
            | "Dropout"
            | "Flatten"
            | "Reshape"
            | "Squeeze"
            | "Unsqueeze"
            | "Transpose"
            | "Slice"
            | "Split"
            | "Gather"
    )
}

/// A side of so many, where negative ones count from the end.
pub(super) fn side(axis: i64, rank: usize) -> Result<usize> {
    let from_the_end = if axis < 0 { rank as i64 } else { 0 };
    let side = axis.checked_add(from_the_end).and_then(|side| usize::try_from(side).ok()).filter(|&side| side < rank);
    side.ok_or_else(|| refused!(Damaged, "there is no side {axis} among {rank}"))
}

/// Sides by a constant input, or by an attribute as older versions of ONNX have it.
pub(super) fn axes(node: &Node, constant: Option<&Constant>) -> Result<Option<Vec<i64>>> {
    match constant {
        Some(constant) => Ok(Some(constant.whole()?.to_vec())),
        None => Ok(node.integers("axes").map(<[i64]>::to_vec)),
    }
}

/// What an operator makes of a view: one for each output. `rest` has the constants after the first input.
///
/// # Errors
/// When the constants are not there or do not fit.
pub(super) fn moved(node: &Node, view: &View, rest: &[Option<&Constant>]) -> Result<Vec<View>> {
    let dims = view.dims();
    let constant = |at: usize| rest.get(at - 1).copied().flatten();
    let needed = |at: usize| {
        constant(at).ok_or_else(|| {
            refused!(Unsupported, "its input {at} is computed while the model runs: only constants are supported")
        })
    };
    let one = match node.kind.as_str() {
        "Identity" | "Dropout" => view.clone(),
        "Flatten" => {
            let axis = node.integer("axis", 1);
            let axis = if axis == dims.len() as i64 { dims.len() } else { side(axis, dims.len())? };
            let (first, second) = dims.split_at(axis);
            reshaped(view, &[first.iter().product(), second.iter().product()])?
        }
        "Reshape" => reshaped(view, &target(needed(1)?.whole()?, &dims, node.integer("allowzero", 0) != 0)?)?,
        "Squeeze" => {
            let axes = axes(node, constant(1))?;
            let axes = axes.map(|axes| axes.iter().map(|&axis| side(axis, dims.len())).collect::<Result<Vec<_>>>());
            let axes = axes.transpose()?;
            let gone = |at: usize| axes.as_ref().map_or(dims[at] == 1, |axes| axes.contains(&at));
            let kept: Vec<usize> = (0..dims.len()).filter(|&at| !gone(at)).map(|at| dims[at]).collect();
            reshaped(view, &kept)?
        }
        "Unsqueeze" => {
            let axes = axes(node, constant(1))?.unwrap_or_default();
            let rank = dims.len() + axes.len();
            ensure!(rank <= 8, Unsupported, "a tensor with {rank} sides is not supported");
            let axes = axes.iter().map(|&axis| side(axis, rank)).collect::<Result<Vec<_>>>()?;
            let mut old = dims.iter();
            let new = (0..rank).map(|at| if axes.contains(&at) { Some(1) } else { old.next().copied() });
            let new = new.collect::<Option<Vec<_>>>();
            reshaped(view, &new.ok_or_else(|| refused!(Damaged, "it names a side twice"))?)?
        }
        "Transpose" => {
            let order = match node.integers("perm") {
                Some(order) => order.iter().map(|&axis| side(axis, dims.len())).collect::<Result<Vec<_>>>()?,
                None => (0..dims.len()).rev().collect(),
            };
            view.transposed(&order).ok_or_else(|| refused!(Damaged, "its order {order:?} does not fit {dims:?}"))?
        }
        "Slice" => sliced(view, [needed(1)?, needed(2)?], [constant(3), constant(4)])?,
        "Split" => return split(node, view, constant(1)),
        _ => {
            let axis = side(node.integer("axis", 0), dims.len())?;
            let indices = needed(1)?;
            let chosen = indices.whole()?.iter().map(|&index| side(index, dims[axis])).collect::<Result<Vec<_>>>()?;
            let view = selected(view, axis, &chosen)?;
            let mut sides = dims.clone();
            sides.splice(axis..=axis, indices.dims.iter().copied());
            reshaped(&view, &sides)?
        }
    };
    Ok(vec![one])
}

fn selected(view: &View, axis: usize, indices: &[usize]) -> Result<View> {
    view.selected(axis, indices).ok_or_else(|| refused!(Unsupported, "it leaves no elements"))
}

fn reshaped(view: &View, dims: &[usize]) -> Result<View> {
    let from = view.dims();
    ensure!(count(dims)? == count(&from)?, Damaged, "{from:?} cannot become {dims:?}");
    view.reshaped(dims)?.ok_or_else(|| {
        refused!(
            Unsupported,
            "it makes {dims:?} of {from:?} whose elements lie otherwise, which would move each of them: only shuffled channels and \
             what a dense layer reads are supported"
        )
    })
}

/// The sides that a Reshape asks for: 0 keeps one, -1 is what is left.
fn target(asked: &[i64], dims: &[usize], zeros: bool) -> Result<Vec<usize>> {
    ensure!(asked.len() <= 8, Unsupported, "a tensor with {} sides is not supported", asked.len());
    let known = |(at, &side): (usize, &i64)| match side {
        0 if !zeros => dims.get(at).copied().map(Some),
        -1 => Some(None),
        side => usize::try_from(side).ok().map(Some),
    };
    let sides = asked.iter().enumerate().map(known).collect::<Option<Vec<_>>>();
    let sides = sides.ok_or_else(|| refused!(Damaged, "{asked:?} is no shape for {dims:?}"))?;
    let rest: Vec<usize> = sides.iter().copied().flatten().collect();
    let left = count(dims)? / count(if rest.is_empty() { &[1] } else { &rest })?;
    Ok(sides.into_iter().map(|side| side.unwrap_or(left)).collect())
}

fn sliced(view: &View, [starts, ends]: [&Constant; 2], [axes, steps]: [Option<&Constant>; 2]) -> Result<View> {
    let (starts, ends, rank) = (starts.whole()?, ends.whole()?, view.dims().len());
    let axes = axes.map_or_else(|| Ok((0..starts.len() as i64).collect()), |axes| axes.whole().map(<[i64]>::to_vec))?;
    let steps = steps.map_or_else(|| Ok(vec![1; starts.len()]), |steps| steps.whole().map(<[i64]>::to_vec))?;
    ensure!(
        starts.len() == ends.len() && axes.len() == starts.len() && steps.len() == starts.len(),
        Damaged,
        "its starts, ends, axes and steps do not fit together"
    );
    let mut view = view.clone();
    for (at, &start) in starts.iter().enumerate() {
        let axis = side(axes[at], rank)?;
        let len = view.dims()[axis] as i64;
        ensure!(steps[at] != 0, Damaged, "its step is 0");
        let back = i64::from(steps[at] < 0);
        let place = |place: i64| if place < 0 { place.saturating_add(len) } else { place };
        let (start, end) = (place(start).clamp(0, len - back), place(ends[at]).clamp(-back, len - back));
        let step = usize::try_from(steps[at].unsigned_abs()).unwrap_or(usize::MAX);
        let indices: Vec<usize> = if back == 0 {
            (start..end).step_by(step).map(|index| index as usize).collect()
        } else {
            (end + 1..=start).rev().step_by(step).map(|index| index as usize).collect()
        };
        view = selected(&view, axis, &indices)?;
    }
    Ok(view)
}

fn split(node: &Node, view: &View, lengths: Option<&Constant>) -> Result<Vec<View>> {
    let dims = view.dims();
    let axis = side(node.integer("axis", 0), dims.len())?;
    let parts = node.outputs.len().max(1);
    let even = dims[axis].div_ceil(parts);
    let lengths: Vec<usize> = match lengths {
        Some(lengths) => super::constant::sides(lengths.whole()?)?,
        None => (0..parts).map(|at| even.min(dims[axis].saturating_sub(at * even))).collect(),
    };
    let all = lengths.iter().try_fold(0_usize, |sum, &len| sum.checked_add(len));
    ensure!(all == Some(dims[axis]) && lengths.len() == parts, Damaged, "its parts {lengths:?} do not fit {dims:?}");
    let mut from = 0;
    let part = |&len: &usize| {
        from += len;
        selected(view, axis, &(from - len..from).collect::<Vec<_>>())
    };
    lengths.iter().map(part).collect()
}
