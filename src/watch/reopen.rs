//! A source that is opened anew when it is lost: a camera that was unplugged, a server that went away.

use super::{Shot, Source, Step};
use crate::error::Result;
use std::time::Duration;

/// Wait before the first attempt; each further one waits twice as long.
const WAIT_MIN: Duration = Duration::from_millis(250);
/// Longest wait.
const WAIT_MAX: Duration = Duration::from_secs(15);

/// Opens the source.
type Opener = Box<dyn FnMut() -> Result<Box<dyn Source>> + Send>;

/// A source that is opened when it is first asked, and anew whenever it fails or ends.
pub(super) struct Reopen {
    open: Opener,
    source: Option<Box<dyn Source>>,
    /// Before the next attempt.
    wait: Duration,
    /// Number of the last frame of the sources before this one, and of the last frame.
    before: u64,
    last: u64,
    sleep: fn(Duration),
}

impl Reopen {
    /// Nothing is opened yet.
    pub fn new(open: impl FnMut() -> Result<Box<dyn Source>> + Send + 'static) -> Self {
        let sleep = std::thread::sleep;
        Reopen { open: Box::new(open), source: None, wait: Duration::ZERO, before: 0, last: 0, sleep }
    }

    fn lose(&mut self) {
        // The old one is closed before it is opened anew: many devices can be open once only.
        self.source = None;
        self.wait = (self.wait * 2).clamp(WAIT_MIN, WAIT_MAX);
    }
}

impl Source for Reopen {
    fn next_frame(&mut self) -> Result<Step> {
        let source = match &mut self.source {
            Some(source) => source,
            None => {
                (self.sleep)(self.wait);
                match (self.open)() {
                    Ok(source) => {
                        self.before = self.last;
                        self.source.insert(source)
                    }
                    Err(error) => {
                        self.lose();
                        return Ok(Step::Lost(error));
                    }
                }
            }
        };
        match source.next_frame() {
            Ok(Step::Frame(shot)) => {
                self.wait = Duration::ZERO;
                self.last = self.before + shot.number;
                Ok(Step::Frame(Shot { number: self.last, ..shot }))
            }
            Ok(Step::End) => {
                self.lose();
                Ok(Step::Lost(crate::Error::Usage("the stream has ended".into())))
            }
            Ok(step) => Ok(step),
            Err(error) => {
                self.lose();
                Ok(Step::Lost(error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::image::Frame;
    use crate::watch::Picture;
    use std::sync::Mutex;

    /// A source that does what its script says: a number is a frame, 0 the end, -1 damage, -2 a failure.
    struct Scripted(std::vec::IntoIter<i64>);

    impl Source for Scripted {
        fn next_frame(&mut self) -> Result<Step> {
            match self.0.next().unwrap() {
                0 => Ok(Step::End),
                -1 => Ok(Step::Damaged(Error::Usage("damaged".into()))),
                -2 => Err(Error::Usage("gone".into())),
                n => {
                    Ok(Step::Frame(Shot::now(n as u64, Picture::Rgb(Frame::new(1, 1, vec![0; 3]).unwrap()))))
                }
            }
        }
    }

    static WAITS: Mutex<Vec<u128>> = Mutex::new(Vec::new());

    #[test]
    fn a_lost_source_is_opened_again_with_growing_patience() {
        let mut scripts =
            [Some(vec![1, 2, -1, 4, -2]), None, None, Some(vec![-2]), Some(vec![1, 3, 0]), Some(vec![1])]
                .into_iter();
        let mut source = Reopen::new(move || match scripts.next().unwrap() {
            Some(script) => Ok(Box::new(Scripted(script.into_iter()))),
            None => Err(Error::Usage("not there".into())),
        });
        source.sleep = |wait| WAITS.lock().unwrap().push(wait.as_millis());
        let mut seen = Vec::new();
        for _ in 0..12 {
            seen.push(match source.next_frame().unwrap() {
                Step::Frame(shot) => shot.number.to_string(),
                Step::Damaged(error) => error.to_string(),
                Step::Lost(error) => format!("lost: {error}"),
                Step::End => "end".into(),
            });
        }
        let expected = [
            "1",
            "2",
            "damaged",
            "4",
            "lost: gone",
            "lost: not there",
            "lost: not there",
            "lost: gone",
            "5",
            "7",
            "lost: the stream has ended",
            "8",
        ];
        assert_eq!(seen, expected);
        assert_eq!(*WAITS.lock().unwrap(), [0, 250, 500, 1000, 2000, 250]);
    }
}
