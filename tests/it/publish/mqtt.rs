//! Against a real broker.

use super::broker::{Broker, Door, PATIENCE};
use super::happenings::{board, feed, happen, spool};
use crate::temp_dir::TempDir;
use ocellus::publish::{Mqtt, MqttOptions};
use serde_json::Value;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// The first message that `fits`.
fn wait(messages: &Receiver<(String, String)>, fits: impl Fn(&str, &str) -> bool) -> (String, String) {
    let end = Instant::now() + PATIENCE;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let (topic, text) = messages.recv_timeout(left).expect("the message comes in time");
        if fits(&topic, &text) {
            return (topic, text);
        }
    }
}

#[test]
fn home_assistant_finds_everything_and_learns_of_the_end() {
    let dir = TempDir::new("mqtt-discovery");
    let Some(broker) = Broker::new(&dir) else { return };
    let heard = broker.listen("#");
    let (board, mut publisher) = board();
    let (spool, outlet) = spool(None);
    let options = MqttOptions::new("127.0.0.1", broker.port, "pi");
    let mqtt = Mqtt::start(board.clone(), spool.clone(), outlet.clone(), options).unwrap();
    let feed = feed(&board, &spool, mqtt.bell());
    wait(&heard, |topic, text| (topic, text) == ("ocellus/pi/available", "online"));
    happen(&mut publisher, 1);
    let (_, event) = wait(&heard, |topic, _| topic == "ocellus/pi/yard/events");
    let event: Value = serde_json::from_str(&event).unwrap();
    assert_eq!(
        (&event["event"], &event["place"], &event["track"]),
        (&"enter".into(), &"door".into(), &1.into())
    );
    assert_eq!(event["id"], *board.events().all()[0].id);
    // Retained: who comes later learns it as well, even what the zone was announced as.
    let late = broker.listen("ocellus/#");
    wait(&late, |topic, text| {
        let state: Value = serde_json::from_str(text).unwrap_or_default();
        topic == "ocellus/pi/yard/state" && state["zones"]["door"]["entered"] == 1
    });
    let late = broker.listen("homeassistant/#");
    let (_, config) =
        wait(&late, |topic, _| topic == "homeassistant/sensor/ocellus_pi/yard_zone_door/config");
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["availability_topic"], "ocellus/pi/available");
    // The listener may have heard of it before the broker has told the sender that it arrived.
    let patience = Instant::now() + Duration::from_secs(10);
    while outlet.sent.load(Relaxed) == 0 && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(outlet.sent.load(Relaxed), 1);
    drop((feed, mqtt));
    wait(&heard, |topic, text| (topic, text) == ("ocellus/pi/available", "offline"));
}

/// What was heard of events: the objects' numbers, in order.
fn tracks(heard: &Receiver<(String, String)>) -> Vec<u64> {
    let events = heard.try_iter().map(|(_, text)| serde_json::from_str::<Value>(&text).unwrap());
    events.map(|event| event["track"].as_u64().unwrap()).collect()
}

/// Events happen every `period`, before, while and after the broker is dead; then each has been heard once, in
/// order. The listener is at the broker again before the daemon: what it does not hear is lost by nobody else.
fn broker_dies(name: &str, period: Duration, [before, dead, after]: [u64; 3]) {
    let dir = TempDir::new(name);
    let Some(mut broker) = Broker::new(&dir) else { return };
    let door = Door::to(broker.port);
    door.open();
    let (board, mut publisher) = board();
    let (spool, outlet) = spool(Some(&dir.path("spool")));
    let options = MqttOptions::new("127.0.0.1", door.port, "pi");
    let mqtt = Mqtt::start(board.clone(), spool.clone(), outlet.clone(), options).unwrap();
    let _feed = feed(&board, &spool, mqtt.bell());
    let mut track = 0;
    let mut happen_times = |times: u64| {
        for _ in 0..times {
            track += 1;
            happen(&mut publisher, track);
            std::thread::sleep(period);
        }
    };
    let first = broker.listen("ocellus/+/+/events");
    happen_times(before);
    broker.kill();
    door.shut();
    let start = Instant::now();
    happen_times(dead);
    let away = start.elapsed();
    broker.start();
    let second = broker.listen("ocellus/+/+/events");
    door.open();
    happen_times(after);
    let all = before + dead + after;
    let start = Instant::now();
    while outlet.sent.load(Relaxed) < all {
        assert!(start.elapsed() < 3 * PATIENCE, "{} of {all}", outlet.sent.load(Relaxed));
        std::thread::sleep(Duration::from_millis(10));
    }
    // A message that the broker has confirmed is on its way to the listener.
    std::thread::sleep(Duration::from_millis(200));
    let (heard_before, heard_after) = (tracks(&first), tracks(&second));
    println!(
        "broker away for {away:.1?}: {all} events, {} heard before and {} after, {} dropped",
        heard_before.len(),
        heard_after.len(),
        outlet.dropped.load(Relaxed)
    );
    let mut heard = [heard_before, heard_after].concat();
    let length = heard.len();
    // The one that was under way when the broker died may have come before, too.
    heard.dedup();
    assert!(length - heard.len() <= 1, "{} were doubled", length - heard.len());
    assert_eq!(heard, (1..=all).collect::<Vec<_>>());
    assert_eq!(outlet.waiting.load(Relaxed), 0);
    assert_eq!(std::fs::read_dir(dir.path("spool")).unwrap().count(), 0);
}

#[test]
fn no_event_is_lost_or_doubled_when_the_broker_dies() {
    broker_dies("mqtt-outage", Duration::from_millis(5), [20, 40, 20]);
}

/// As the one above, with the broker away for 20 seconds under ten events a second.
#[test]
#[ignore = "takes half a minute"]
fn no_event_is_lost_or_doubled_in_twenty_seconds() {
    broker_dies("mqtt-outage-long", Duration::from_millis(100), [50, 200, 50]);
}

/// The daemon ends while the broker is away; the next one sends what the first has left.
#[test]
fn events_survive_a_restart_of_the_daemon() {
    let dir = TempDir::new("mqtt-restart");
    let Some(broker) = Broker::new(&dir) else { return };
    let door = Door::to(broker.port);
    let options = MqttOptions::new("127.0.0.1", door.port, "pi");
    let ids: Vec<String> = {
        let (board, mut publisher) = board();
        let (spool, outlet) = spool(Some(&dir.path("spool")));
        let mqtt = Mqtt::start(board.clone(), spool.clone(), outlet, options.clone()).unwrap();
        let _feed = feed(&board, &spool, mqtt.bell());
        (1..=3).for_each(|track| happen(&mut publisher, track));
        board.events().all().iter().map(|event| event.id.clone()).collect()
    };
    let heard = broker.listen("ocellus/+/+/events");
    door.open();
    let (board, _publisher) = board();
    let (spool, outlet) = spool(Some(&dir.path("spool")));
    let _mqtt = Mqtt::start(board, spool, outlet, options).unwrap();
    for id in ids {
        let (_, event) = wait(&heard, |_, _| true);
        assert_eq!(serde_json::from_str::<Value>(&event).unwrap()["id"], id);
    }
}
