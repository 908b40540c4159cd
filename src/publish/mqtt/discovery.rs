//! What Home Assistant reads to show this daemon as a device with its cameras, zones and lines.

use super::topics::MqttOptions;
use crate::watch::board::{About, LineCount, Report, ZoneCount};
use crate::watch::{ENTITIES, entity_id, line_entities, plain, zone_entities};
use serde_json::{Value, json};

/// Retained messages by topic.
pub(super) fn announcements<'a>(
    prefix: &str,
    options: &MqttOptions,
    about: &About,
    cameras: impl Iterator<Item = (&'a str, &'a Report)>,
) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for (camera, report) in cameras {
        let camera =
            Camera { prefix, options, about, name: camera, state: options.of_camera(camera, "state") };
        all.extend(camera.own());
        all.extend(report.zones.iter().flat_map(|zone| camera.zone(zone)));
        all.extend(report.lines.iter().flat_map(|line| camera.line(line)));
    }
    all
}

/// Whose entities are announced.
struct Camera<'a> {
    prefix: &'a str,
    options: &'a MqttOptions,
    about: &'a About,
    name: &'a str,
    /// The topic of its state.
    state: String,
}

impl Camera<'_> {
    /// An entity of this camera: what all have, and `facts`.
    fn entity(&self, kind: &str, what: &str, name: &str, facts: Value) -> (String, Vec<u8>) {
        let Camera { prefix, options, about, .. } = self;
        let node = plain(&options.node);
        let id = entity_id(self.name, what);
        let mut config = json!({
            "name": format!("{} {name}", self.name),
            "unique_id": format!("ocellus_{node}_{id}"),
            "availability_topic": options.available(),
            "state_topic": self.state,
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
        (format!("{prefix}/{kind}/ocellus_{node}/{id}/config"), text)
    }

    /// A number in the state.
    fn sensor(&self, what: &str, name: &str, path: &str, class: &str) -> (String, Vec<u8>) {
        let template = format!("{{{{ value_json.{path} }}}}");
        self.entity("sensor", what, name, json!({ "value_template": template, "state_class": class }))
    }

    fn own(&self) -> [(String, Vec<u8>); 4] {
        let running = json!({
            "value_template": "{{ value_json.state }}", "payload_on": "running", "payload_off": "lost",
            "device_class": "running", "entity_category": "diagnostic",
        });
        let fps = json!({
            "value_template": "{{ value_json.fps }}", "unit_of_measurement": "fps",
            "state_class": "measurement", "entity_category": "diagnostic",
        });
        let objects = json!({
            "value_template": "{{ value_json.total }}", "state_class": "measurement",
            "json_attributes_topic": self.state, "json_attributes_template": "{{ value_json.objects | tojson }}",
        });
        let event = json!({
            "state_topic": self.options.of_camera(self.name, "events"),
            "event_types": ["enter", "leave", "forward", "backward"],
            "value_template": "{{ dict(value_json, event_type=value_json.event) | tojson }}",
        });
        let [running_id, fps_id, objects_id, event_id] = ENTITIES;
        [
            self.entity("binary_sensor", running_id, "running", running),
            self.entity("sensor", fps_id, "frame rate", fps),
            self.entity("sensor", objects_id, "objects", objects),
            self.entity("event", event_id, "event", event),
        ]
    }

    fn zone(&self, ZoneCount { name, .. }: &ZoneCount) -> [(String, Vec<u8>); 2] {
        // The name stands in the template as a string of its language.
        let path = |field: &str| format!("zones[{}].{field}", json!(name));
        let [inside, entered] = zone_entities(name);
        [
            self.sensor(&inside, name, &path("inside"), "measurement"),
            self.sensor(&entered, &format!("{name} entered"), &path("entered"), "total_increasing"),
        ]
    }

    fn line(&self, LineCount { name, .. }: &LineCount) -> [(String, Vec<u8>); 2] {
        let [forward, backward] = line_entities(name);
        [(forward, "forward"), (backward, "backward")].map(|(what, way)| {
            let path = format!("lines[{}].{way}", json!(name));
            self.sensor(&what, &format!("{name} {way}"), &path, "total_increasing")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(inside["name"], "yard the \"door\"");
        assert_eq!(inside["state_topic"], "ocellus/pi/yard/state");
        assert_eq!(inside["availability_topic"], "ocellus/pi/available");
        let event = config("homeassistant/event/ocellus_pi/yard_event/config");
        assert_eq!(
            (&event["state_topic"], &event["device"]),
            (&"ocellus/pi/yard/events".into(), &inside["device"])
        );
    }
}
