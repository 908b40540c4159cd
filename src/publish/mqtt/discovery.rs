//! What Home Assistant reads to show this daemon as a device with its cameras, zones and lines.

use super::topics::{MqttOptions, slug};
use crate::watch::board::{About, Report};
use serde_json::{Value, json};

/// Retained messages by topic.
pub(super) fn announcements<'a>(
    prefix: &str,
    options: &MqttOptions,
    about: &About,
    cameras: impl Iterator<Item = (&'a str, &'a Report)>,
) -> Vec<(String, Vec<u8>)> {
    let node = slug(&options.node);
    let mut all = Vec::new();
    for (camera, report) in cameras {
        let mut add = |kind: &str, what: &str, name: String, facts: Value| {
            let id = format!("{}_{}", slug(camera), slug(what));
            let mut config = json!({
                "name": name,
                "unique_id": format!("ocellus_{node}_{id}"),
                "availability_topic": options.available(),
                "device": {
                    "identifiers": [format!("ocellus_{node}")],
                    "name": options.node,
                    "manufacturer": "ocellus",
                    "model": format!("{} ({})", about.model, about.precision),
                    "sw_version": about.version,
                },
            });
            if let (Some(config), Value::Object(facts)) = (config.as_object_mut(), facts) {
                config.extend(facts);
            }
            let text = serde_json::to_vec(&config).expect("names and numbers are JSON");
            all.push((format!("{prefix}/{kind}/ocellus_{node}/{id}/config"), text));
        };
        let state = options.of_camera(camera, "state");
        let value = |path: &str| format!("{{{{ value_json.{path} }}}}");
        // Names are put into templates as strings of their language.
        let item = |group: &str, name: &str, field: &str| value(&format!("{group}[{}].{field}", json!(name)));
        add(
            "binary_sensor",
            "running",
            format!("{camera} running"),
            json!({
                "state_topic": state, "value_template": value("state"), "payload_on": "running",
                "payload_off": "lost", "device_class": "running", "entity_category": "diagnostic",
            }),
        );
        add(
            "sensor",
            "fps",
            format!("{camera} frame rate"),
            json!({
                "state_topic": state, "value_template": value("fps"), "unit_of_measurement": "fps",
                "state_class": "measurement", "entity_category": "diagnostic",
            }),
        );
        add(
            "sensor",
            "objects",
            format!("{camera} objects"),
            json!({
                "state_topic": state, "value_template": value("total"), "state_class": "measurement",
                "json_attributes_topic": state, "json_attributes_template": "{{ value_json.objects | tojson }}",
            }),
        );
        add(
            "event",
            "event",
            format!("{camera} event"),
            json!({
                "state_topic": options.of_camera(camera, "events"),
                "event_types": ["enter", "leave", "forward", "backward"],
                "value_template": "{{ dict(value_json, event_type=value_json.event) | tojson }}",
            }),
        );
        for zone in &report.zones {
            let name = &zone.name;
            add(
                "sensor",
                &format!("zone_{name}"),
                format!("{camera} {name}"),
                json!({
                    "state_topic": state, "value_template": item("zones", name, "inside"), "state_class": "measurement",
                }),
            );
            add(
                "sensor",
                &format!("zone_{name}_entered"),
                format!("{camera} {name} entered"),
                json!({
                    "state_topic": state, "value_template": item("zones", name, "entered"), "state_class": "total_increasing",
                }),
            );
        }
        for line in &report.lines {
            let name = &line.name;
            for direction in ["forward", "backward"] {
                add(
                    "sensor",
                    &format!("line_{name}_{direction}"),
                    format!("{camera} {name} {direction}"),
                    json!({
                        "state_topic": state, "value_template": item("lines", name, direction),
                        "state_class": "total_increasing",
                    }),
                );
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::board::ZoneCount;

    #[test]
    fn each_zone_is_an_entity_of_one_device() {
        let classes = vec!["person".into()];
        let about = About {
            version: "1",
            model: "m".into(),
            precision: "int8",
            input: [32, 32],
            classes,
            threads: 1,
        };
        let zone = ZoneCount { name: "the \"door\"".into(), inside: 1, entered: 2, left: 1 };
        let report = Report { zones: vec![zone], ..Report::default() };
        let options = MqttOptions::new("broker", 1883, "pi");
        let all = announcements("homeassistant", &options, &about, [("yard", &report)].into_iter());
        assert_eq!(all.len(), 6);
        let config = |topic: &str| -> Value {
            let (_, text) =
                all.iter().find(|(t, _)| t == topic).unwrap_or_else(|| panic!("{topic}: {all:?}"));
            serde_json::from_slice(text).unwrap()
        };
        let inside = config("homeassistant/sensor/ocellus_pi/yard_zone_the__door_/config");
        assert_eq!(inside["value_template"], r#"{{ value_json.zones["the \"door\""].inside }}"#);
        assert_eq!(inside["state_topic"], "ocellus/pi/yard/state");
        assert_eq!(inside["availability_topic"], "ocellus/pi/available");
        let event = config("homeassistant/event/ocellus_pi/yard_event/config");
        assert_eq!(
            (&event["state_topic"], &event["device"]),
            (&"ocellus/pi/yard/events".into(), &inside["device"])
        );
    }
}
