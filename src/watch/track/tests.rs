use super::*;

fn seen(class_id: usize, score: f32, x: f32, y: f32) -> Detection {
    Detection { class_id, score, bbox: [x, y, x + 20.0, y + 40.0] }
}

/// Shows the frames at ten per second, boxes from 0.5 on being good; the numbers of each frame's boxes.
fn numbers(tracker: &mut Tracker, frames: &[Vec<Detection>]) -> Vec<Vec<Option<u64>>> {
    let mut numbers = Vec::new();
    let mut now = tracker.now;
    let mut show = |found: &Vec<Detection>| {
        now += Duration::from_millis(100);
        tracker.update(now, found, |d| d.score >= 0.5, &mut numbers);
        numbers.clone()
    };
    frames.iter().map(&mut show).collect()
}

/// Two objects walk towards each other on different heights and pass; the order of the boxes changes.
#[test]
fn objects_that_pass_each_other_keep_their_numbers() {
    let frames: Vec<_> = (0..30)
        .map(|i| {
            let x = 4.0 * i as f32;
            let mut found = vec![seen(0, 0.9, x, 0.0), seen(0, 0.8, 116.0 - x, 20.0)];
            if i % 2 == 1 {
                found.reverse();
            }
            found
        })
        .collect();
    let seen = numbers(&mut Tracker::default(), &frames);
    assert!(seen[..2].iter().flatten().all(Option::is_none), "not confirmed yet");
    for (i, numbers) in seen.iter().enumerate().skip(2) {
        let expected = if i % 2 == 0 { [Some(1), Some(2)] } else { [Some(2), Some(1)] };
        assert_eq!(numbers[..], expected, "frame {i}");
    }
}

#[test]
fn a_hidden_object_comes_back_with_its_number_unless_it_takes_too_long() {
    for (hidden, number) in [(5, 1), (14, 1), (16, 2)] {
        let mut tracker = Tracker::default();
        let walk = |from: i32, to: i32| -> Vec<_> {
            (from..to).map(|i| vec![seen(0, 0.9, 2.0 * i as f32, 0.0)]).collect()
        };
        numbers(&mut tracker, &walk(0, 10));
        numbers(&mut tracker, &vec![vec![]; hidden]);
        assert_eq!(tracker.tracks().count(), usize::from(hidden < 16));
        let back = numbers(&mut tracker, &walk(10 + hidden as i32, 16 + hidden as i32));
        assert_eq!(back.last().unwrap()[0], Some(number), "hidden for {hidden} frames");
    }
}

#[test]
fn poor_boxes_go_on_with_an_object_and_begin_none() {
    let mut tracker = Tracker::default();
    let steady = |score| vec![vec![seen(0, score, 0.0, 0.0)]; 4];
    assert!(numbers(&mut tracker, &steady(0.2)).iter().flatten().all(Option::is_none));
    assert_eq!(tracker.tracks.len(), 0);
    numbers(&mut tracker, &steady(0.9));
    assert_eq!(numbers(&mut tracker, &steady(0.2)), vec![vec![Some(1)]; 4]);
    assert!(tracker.tracks().all(|track| track.is_seen() && track.score == 0.2));
}

#[test]
fn what_is_seen_once_or_is_of_another_class_is_no_object_of_ours() {
    let mut tracker = Tracker::default();
    let flicker: Vec<_> =
        (0..20).map(|i| if i % 3 == 2 { vec![] } else { vec![seen(0, 0.9, 0.0, 0.0)] }).collect();
    numbers(&mut tracker, &flicker);
    assert_eq!((tracker.tracks().count(), tracker.ended().len()), (0, 0));
    let both = vec![vec![seen(0, 0.9, 0.0, 0.0), seen(1, 0.9, 0.0, 0.0)]; 4];
    assert_eq!(numbers(&mut tracker, &both)[3], [Some(1), Some(2)]);
}

#[test]
fn an_ended_object_is_told_once() {
    let mut tracker = Tracker::default();
    numbers(&mut tracker, &vec![vec![seen(0, 0.9, 0.0, 0.0)]; 5]);
    let told: Vec<usize> = (0..20)
        .map(|_| {
            numbers(&mut tracker, &[vec![]]);
            tracker.ended().len()
        })
        .collect();
    assert_eq!((told[14], told[15], told.iter().sum::<usize>()), (0, 1, 1));
}

/// Boxes without area or without sense neither match nor do harm.
#[test]
fn strange_boxes_do_no_harm() {
    let mut tracker = Tracker::default();
    let strange =
        [[0.0; 4], [f32::NAN; 4], [9.0, 9.0, 1.0, 1.0], [f32::INFINITY; 4], [-1e30, 0.0, 1e30, 1e30]];
    let frame: Vec<_> = strange.map(|bbox| Detection { class_id: 0, score: 0.9, bbox }).into();
    numbers(&mut tracker, &vec![frame; 50]);
    assert!(tracker.tracks.len() <= 10 * strange.len());
    let many: Vec<_> = (0..2 * TRACKS_MAX).map(|i| seen(0, 0.9, 100.0 * i as f32, 0.0)).collect();
    numbers(&mut tracker, &vec![many; 4]);
    assert!(tracker.tracks.len() <= TRACKS_MAX);
}
