//! A Kalman filter for a box that moves with nearly constant speed.
//!
//! Centre, width and height are filtered one by one. For each the state is position and speed; the acceleration is
//! noise. All noise is in proportion to the size of the object: near things are large and fast.

/// Standard deviation of a measured position, in sizes of the object.
const MEASURED: f32 = 0.05;
/// Standard deviation of a new object's speed, in sizes per second.
const SPEED: f32 = 2.0;
/// Standard deviation of the acceleration, in sizes per second and second.
const ACCELERATION: f32 = 4.0;
/// Smallest size in pixels, so that noise is never zero.
const SIZE_MIN: f32 = 1.0;

/// Position and speed of one coordinate, with their covariance.
#[derive(Clone, Copy, Debug)]
struct Axis {
    position: f32,
    speed: f32,
    /// Variance of the position, covariance, variance of the speed.
    spread: [f32; 3],
}

impl Axis {
    fn new(position: f32, size: f32) -> Self {
        Axis { position, speed: 0.0, spread: [(MEASURED * size).powi(2), 0.0, (SPEED * size).powi(2)] }
    }

    fn predict(&mut self, step: f32, size: f32) {
        let [p, c, s] = self.spread;
        let noise = (ACCELERATION * size).powi(2);
        self.position += self.speed * step;
        self.spread = [
            p + 2.0 * step * c + step * step * s + noise * step.powi(4) / 4.0,
            c + step * s + noise * step.powi(3) / 2.0,
            s + noise * step * step,
        ];
    }

    fn correct(&mut self, measured: f32, size: f32) {
        let [p, c, s] = self.spread;
        let total = p + (MEASURED * size).powi(2);
        let (gain, speed_gain) = (p / total, c / total);
        let error = measured - self.position;
        self.position += gain * error;
        self.speed += speed_gain * error;
        self.spread = [p * (1.0 - gain), c * (1.0 - gain), s - speed_gain * c];
    }
}

/// The filter of a box.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    /// Centre x, centre y, width, height.
    axes: [Axis; 4],
    size: f32,
}

impl Filter {
    /// A box `[x1, y1, x2, y2]` that stands still as far as is known.
    pub fn new(bbox: [f32; 4]) -> Self {
        let size = size_of(bbox);
        Filter { axes: parts(bbox).map(|part| Axis::new(part, size)), size }
    }

    /// Goes on by `step` seconds.
    pub fn predict(&mut self, step: f32) {
        self.axes.iter_mut().for_each(|axis| axis.predict(step, self.size));
    }

    /// Learns where the box was seen.
    pub fn correct(&mut self, bbox: [f32; 4]) {
        self.size = size_of(bbox);
        for (axis, part) in self.axes.iter_mut().zip(parts(bbox)) {
            axis.correct(part, self.size);
        }
    }

    /// Where the box is believed to be.
    pub fn bbox(&self) -> [f32; 4] {
        let [x, y, width, height] = self.axes.map(|axis| axis.position);
        let (width, height) = (width.max(SIZE_MIN), height.max(SIZE_MIN));
        [x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0]
    }
}

fn parts([x1, y1, x2, y2]: [f32; 4]) -> [f32; 4] {
    [(x1 + x2) / 2.0, (y1 + y2) / 2.0, x2 - x1, y2 - y1]
}

fn size_of([x1, y1, x2, y2]: [f32; 4]) -> f32 {
    ((x2 - x1) * (y2 - y1)).max(0.0).sqrt().max(SIZE_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f32) -> [f32; 4] {
        [x, 10.0, x + 20.0, 50.0]
    }

    /// An object at 30 pixels per second, seen ten times in a second, is where it should be when it was hidden for half
    /// a second.
    #[test]
    fn a_steady_object_is_predicted_where_it_goes() {
        let mut filter = Filter::new(at(0.0));
        for i in 1..=10 {
            filter.predict(0.1);
            filter.correct(at(3.0 * i as f32));
        }
        for _ in 0..5 {
            filter.predict(0.1);
        }
        let bbox = filter.bbox();
        for (side, expected) in bbox.iter().zip(at(45.0)) {
            assert!((side - expected).abs() < 1.0, "{bbox:?}");
        }
    }

    /// With no time between, the prediction is the last position, and the estimate lies between it and what is seen.
    #[test]
    fn an_estimate_lies_between_belief_and_sight() {
        let mut filter = Filter::new(at(0.0));
        filter.predict(0.0);
        filter.correct(at(10.0));
        assert!((0.0..10.0).contains(&filter.bbox()[0]), "{:?}", filter.bbox());
        assert!(Filter::new([5.0; 4]).bbox().iter().all(|side| side.is_finite()));
    }
}
