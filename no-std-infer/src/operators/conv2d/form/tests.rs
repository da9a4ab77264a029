use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// Recovers the weights, and finds a change of one element.
fn is_exact<T: Transform<N>, const N: usize>(weights: [[i8; 3]; 3], at: usize, change: i16, largest: i16) {
    let mut block = T::block(&weights);
    let gather = |block: &[[i16; N]; N]| T::weights(|row, column| block[row][column].into());
    assert_eq!(gather(&block), weights);
    assert!(block.as_flattened().iter().all(|value| value.abs() <= largest), "{block:?}");
    let element = &mut block[at / N % N][at % N];
    *element = element.wrapping_add(change);
    assert_eq!(T::block(&gather(&block)) == block, change == 0);
}

/// Finds a change of one element of two blocks, and bytes that are no blocks.
fn is_proved<T: Transform<N>, const N: usize>(
    [lower, upper]: [[[i8; 3]; 3]; 2],
    at: usize,
    change: u32,
    [first, second]: [[[i32; 3]; 3]; 2],
) {
    let mut words = [[0; N]; N];
    let blocks = [T::block(&lower), T::block(&upper)];
    for (word, (&a, &b)) in
        words.as_flattened_mut().iter_mut().zip(blocks[0].as_flattened().iter().zip(blocks[1].as_flattened()))
    {
        *word = u32::from(a as u16) | u32::from(b as u16) << 16;
    }
    let magnitude = |weights: [[i8; 3]; 3]| weights.as_flattened().iter().map(|w| u32::from(w.unsigned_abs())).sum();
    assert_eq!(
        T::magnitudes(&words.as_flattened().iter().map(|word| word.to_le_bytes()).collect::<Vec<_>>(), 1),
        Some([magnitude(lower), magnitude(upper)])
    );
    let element = &mut words[at / N % N][at % N];
    *element = element.wrapping_add(change);
    assert_eq!(
        T::magnitudes(&words.as_flattened().iter().map(|word| word.to_le_bytes()).collect::<Vec<_>>(), 1).is_some(),
        change == 0
    );
    // The halves of what weights of any size become are proved where those are int8, and nowhere else.
    let fits = |weights: [[i32; 3]; 3]| weights.as_flattened().iter().all(|&w| i8::try_from(w).is_ok());
    let spread = |weights: &[[i32; 3]; 3]| {
        let columns = T::columns(weights);
        let rows = (0..N).map(|row| T::across(columns.map(|column| column[row])));
        rows.collect::<Vec<_>>()
    };
    let (a, b) = (spread(&first), spread(&second));
    for (word, (&a, &b)) in words.as_flattened_mut().iter_mut().zip(a.as_flattened().iter().zip(b.as_flattened())) {
        *word = u32::from(a as u16) | u32::from(b as u16) << 16;
    }
    assert_eq!(
        T::magnitudes(&words.as_flattened().iter().map(|word| word.to_le_bytes()).collect::<Vec<_>>(), 1).is_some(),
        fits(first) && fits(second)
    );
}

proptest! {
    #[test]
    fn weights_are_recovered_and_a_changed_element_is_found(weights: [[i8; 3]; 3], at in 0..900_usize, change: i16) {
        is_exact::<F2x2, 4>(weights, at, change, 9 * 128);
        is_exact::<F4x4, 6>(weights, at, change, 12 * 12 * 128);
        is_exact::<Stride2, 5>(weights, at, change, 4 * 128);
    }

    #[test]
    fn two_blocks_are_proved_together(
        weights: [[[i8; 3]; 3]; 2],
        at in 0..900_usize,
        change in prop_oneof![Just(0_u32), Just(1), Just(1 << 16), any::<u32>()],
        wide in proptest::array::uniform2(proptest::array::uniform3(proptest::array::uniform3(-140_i32..140))),
        extremes: [[[bool; 3]; 3]; 2],
    ) {
        is_proved::<F2x2, 4>(weights, at, change, wide);
        is_proved::<F4x4, 6>(weights, at, change, wide);
        is_proved::<Stride2, 5>(weights, at, change, wide);
        let wide = extremes.map(|w| w.map(|row| row.map(|low| if low { -128 } else { 127 })));
        is_proved::<F4x4, 6>(weights, at, change, wide);
    }
}

#[test]
fn an_inverse_makes_one() {
    assert!((1..2000).step_by(2).all(|odd| inverse(odd).wrapping_mul(odd) == 1));
}

#[test]
fn the_largest_blocks_fit_16_bits() {
    is_exact::<F4x4, 6>([[i8::MIN; 3]; 3], 0, 0, 12 * 12 * 128);
    is_exact::<F2x2, 4>([[i8::MIN; 3]; 3], 0, 0, 9 * 128);
}
