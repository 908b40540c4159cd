//! Numbers with their derivatives by four variables: gradients of a formula without a second formula.

use std::ops::{Add, Div, Mul, Sub};

/// A number, and how it changes with each of four variables.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Dual {
    pub value: f64,
    pub slopes: [f64; 4],
}

impl Dual {
    /// The variable of this place.
    pub fn variable(value: f64, place: usize) -> Self {
        let mut slopes = [0.0; 4];
        slopes[place] = 1.0;
        Dual { value, slopes }
    }

    pub fn constant(value: f64) -> Self {
        Dual { value, slopes: [0.0; 4] }
    }

    /// A function of this number, by its value and its derivative here.
    fn through(self, value: f64, slope: f64) -> Self {
        Dual { value, slopes: self.slopes.map(|own| own * slope) }
    }

    pub fn sigmoid(self) -> Self {
        let value = 1.0 / (1.0 + (-self.value).exp());
        self.through(value, value * (1.0 - value))
    }

    pub fn atan(self) -> Self {
        self.through(self.value.atan(), 1.0 / (1.0 + self.value * self.value))
    }

    pub fn squared(self) -> Self {
        self.through(self.value * self.value, 2.0 * self.value)
    }

    pub fn min(self, other: Self) -> Self {
        if self.value <= other.value { self } else { other }
    }

    pub fn max(self, other: Self) -> Self {
        if self.value >= other.value { self } else { other }
    }

    pub fn scaled(self, factor: f64) -> Self {
        self.through(self.value * factor, factor)
    }

    fn with(self, other: Self, value: f64, slope: f64, other_slope: f64) -> Self {
        let slopes = std::array::from_fn(|i| slope * self.slopes[i] + other_slope * other.slopes[i]);
        Dual { value, slopes }
    }
}

impl Add for Dual {
    type Output = Dual;
    fn add(self, other: Dual) -> Dual {
        self.with(other, self.value + other.value, 1.0, 1.0)
    }
}

impl Sub for Dual {
    type Output = Dual;
    fn sub(self, other: Dual) -> Dual {
        self.with(other, self.value - other.value, 1.0, -1.0)
    }
}

impl Mul for Dual {
    type Output = Dual;
    fn mul(self, other: Dual) -> Dual {
        self.with(other, self.value * other.value, other.value, self.value)
    }
}

impl Div for Dual {
    type Output = Dual;
    fn div(self, other: Dual) -> Dual {
        let value = self.value / other.value;
        self.with(other, value, 1.0 / other.value, -value / other.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By finite differences, of a formula with every operation.
    #[test]
    fn slopes_are_those_of_differences() {
        let formula = |at: [f64; 4]| {
            let [a, b, c, d] = std::array::from_fn(|i| Dual::variable(at[i], i));
            let joined = a.sigmoid() * b.squared() + (c / d).atan().scaled(3.0);
            joined.max(a) - b.min(c) + Dual::constant(2.0)
        };
        let at = [0.3, -1.2, 0.7, 1.9];
        let exact = formula(at);
        for i in 0..4 {
            let moved = |by: f64| {
                let mut at = at;
                at[i] += by;
                formula(at).value
            };
            let difference = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((difference - exact.slopes[i]).abs() < 1e-7, "{i}: {difference} {}", exact.slopes[i]);
        }
    }
}
