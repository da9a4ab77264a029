//! Successive halving (Jamieson and Talwalkar 2016) that keeps networks of any cost: each is compared with those that take no
//! longer.

/// What is known of a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked {
    /// Share of the images that it has right.
    pub accuracy: f64,
    /// What it takes: cycles, instructions or whatever is counted of all.
    pub cost: u64,
}

/// The places of those that no other beats: that are more accurate than all that cost as much or less; the cheapest first.
/// Of equals the first.
#[must_use]
pub fn front(ranked: &[Ranked]) -> Vec<usize> {
    let all: Vec<usize> = (0..ranked.len()).collect();
    front_of(ranked, &all)
}

fn front_of(ranked: &[Ranked], places: &[usize]) -> Vec<usize> {
    let mut order = places.to_vec();
    order.sort_by(|&a, &b| {
        let (one, other) = (ranked[a], ranked[b]);
        one.cost.cmp(&other.cost).then(other.accuracy.total_cmp(&one.accuracy)).then(a.cmp(&b))
    });
    let mut front: Vec<usize> = Vec::new();
    for place in order {
        if front.last().is_none_or(|&last| ranked[place].accuracy > ranked[last].accuracy) {
            front.push(place);
        }
    }
    front
}

/// The places of so many that go on, ascending: the front, then the front of those that are left, and so on; of the last front
/// the most accurate.
#[must_use]
pub fn survivors(ranked: &[Ranked], count: usize) -> Vec<usize> {
    let (mut left, mut kept): (Vec<usize>, Vec<usize>) = ((0..ranked.len()).collect(), Vec::new());
    while kept.len() < count && !left.is_empty() {
        let front = front_of(ranked, &left);
        left.retain(|place| !front.contains(place));
        // A front's accuracy rises with its cost.
        kept.extend(front.into_iter().rev().take(count - kept.len()));
    }
    kept.sort_unstable();
    kept
}

/// The place of the first whose loss is within its standard error (Breiman et al. 1984, section 3.4.3). `losses` are what each of
/// a front, the cheapest first, has less right than the most accurate, with a standard error.
#[must_use]
pub fn cheapest_of_the_best(losses: &[(f64, f64)]) -> Option<usize> {
    losses.iter().position(|(loss, error)| loss <= error)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ranked(pairs: &[(f64, u64)]) -> Vec<Ranked> {
        pairs.iter().map(|&(accuracy, cost)| Ranked { accuracy, cost }).collect()
    }

    #[test]
    fn cheap_networks_go_on_beside_accurate_ones() {
        let all = ranked(&[(0.9, 100), (0.89, 120), (0.6, 10), (0.5, 9), (0.88, 110), (0.3, 200)]);
        assert_eq!(front(&all), [3, 2, 0]);
        assert_eq!(survivors(&all, 3), [0, 2, 3]);
        // The next front is that of 4, 1; the more accurate goes first.
        assert_eq!(survivors(&all, 4), [0, 1, 2, 3]);
        assert_eq!(survivors(&all, 2), [0, 2]);
        assert_eq!(survivors(&all, 9), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn the_cheapest_is_chosen_of_those_that_may_be_the_best() {
        assert_eq!(cheapest_of_the_best(&[(0.2, 0.03), (0.01, 0.02), (0.0, 0.0)]), Some(1));
        assert_eq!(cheapest_of_the_best(&[(0.2, 0.03), (0.01, 0.005), (0.0, 0.0)]), Some(2));
        assert_eq!(cheapest_of_the_best(&[]), None);
    }

    proptest! {
        #[test]
        fn no_member_of_a_front_is_beaten_and_all_others_are(
            pairs in prop::collection::vec((0_u32..20, 1_u64..20), 1..30), count in 1_usize..30,
        ) {
            let pairs: Vec<(f64, u64)> = pairs.iter().map(|&(hits, cost)| (f64::from(hits) / 20.0, cost)).collect();
            let all = ranked(&pairs);
            let front = front(&all);
            let beats = |a: &Ranked, b: &Ranked| a.accuracy >= b.accuracy && a.cost <= b.cost && a != b;
            for (place, one) in all.iter().enumerate() {
                let beaten = all.iter().any(|other| beats(other, one));
                let twin = front.iter().any(|&member| all[member] == *one);
                prop_assert_eq!(twin, !beaten, "{} {:?}", place, front);
            }
            let kept = survivors(&all, count);
            prop_assert_eq!(kept.len(), count.min(all.len()));
            let whole = front.iter().all(|member| kept.contains(member));
            prop_assert_eq!(whole, count >= front.len());
        }
    }
}
