//! Steps that a thread runs one after the other, without waiting for the other threads in between.
//!
//! Every wait costs some microseconds, as much as a small layer. It is needed only before a step that looks at
//! pixels which another thread made: a group is any step and all pointwise steps behind it of the same pixels.
//! What a thread made then also lies in its cache when the next step reads it.

use super::arena::Lifetime;
use super::step::Step;
use std::ops::Range;

/// The steps of each group, in order.
pub fn groups(steps: &[Step]) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        match groups.last_mut() {
            Some(group) if joins(&steps[group.clone()], step) => group.end = at + 1,
            _ => groups.push(at..at + 1),
        }
    }
    groups
}

fn joins(group: &[Step], step: &Step) -> bool {
    let first = &group[0];
    let unit = group.iter().map(|step| step.work.unit).max().unwrap_or(0);
    let shared =
        |unit: usize, other: usize| unit > 0 && other > 0 && unit.max(other).is_multiple_of(unit.min(other));
    let pixels = first.write.pixels();
    // Operands of another size are seen as a whole: all of them must be there.
    let made_here = |buffer: usize| group.iter().any(|step| step.write.buffer == buffer);
    let same_pixels = |buffer: usize, pixels_read: usize| pixels_read == pixels || !made_here(buffer);
    step.pointwise
        && step.write.pixels() == pixels
        && shared(unit, step.work.unit)
        && step.reads.iter().all(|loc| same_pixels(loc.buffer, loc.pixels()))
        // The first step may look at any pixel of its operands while another thread is here already.
        && first.reads.iter().all(|loc| loc.buffer != step.write.buffer)
}

/// Lets buffers live as long as any thread may use them: from the begin of a group to the end of one.
pub fn extend(lifetimes: &mut [Lifetime], groups: &[Range<usize>]) {
    let of = |step: usize| groups.get(groups.partition_point(|group| group.end <= step));
    for life in lifetimes {
        life.first = of(life.first).map_or(life.first, |group| group.start);
        life.last = of(life.last).map_or(life.last, |group| group.end - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_reach_from_the_begin_of_a_group_to_the_end_of_one() {
        let life = |first, last| Lifetime { first, last, bytes: 1 };
        let mut lives = [life(0, 0), life(1, 2), life(2, 3), life(4, usize::MAX)];
        extend(&mut lives, &[0..1, 1..3, 3..5]);
        assert_eq!(lives, [life(0, 0), life(1, 2), life(1, 4), life(3, usize::MAX)]);
    }
}
