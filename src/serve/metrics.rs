//! Metrics in Prometheus' text format. Names are those of Frigate where it has the same figure, so that its dashboards
//! and alerts serve here, too; others begin with `ocellus_`, and `process_` as is the custom.

use super::site::Site;
use crate::bench::Process;
use crate::bench::host::Host;
use crate::publish::Outlet;
use crate::watch::board::{Counts, LATENCY_BOUNDS_MS, Panel, Report, State};
use std::fmt::{Display, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Type of the text.
pub(super) const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics.
pub(super) fn text(site: &Site) -> String {
    let mut text = Text::default();
    let board = &site.board;
    let cameras: Vec<Camera> = board.panels().iter().map(Camera::of).collect();
    rates(&mut text, &cameras);
    totals(&mut text, &cameras);
    latencies(&mut text, &cameras);
    objects(&mut text, &cameras);
    let about = board.about();
    let labels = [("version", about.version), ("model", &about.model), ("precision", about.precision)];
    text.family("ocellus_build_info", "gauge", "Version and model.").sample("", &labels, 1);
    let mut one =
        |name: &str, kind: &str, help: &str, value: f64| text.family(name, kind, help).sample("", &[], value);
    let seconds = board.uptime().as_secs_f64();
    one("frigate_service_uptime_seconds", "gauge", "Seconds since the daemon started.", seconds);
    let connections = site.counters.connections.load(Relaxed) as f64;
    one("ocellus_http_connections", "gauge", "Connections to the web page now.", connections);
    let refused = site.counters.refused.load(Relaxed) as f64;
    let help = "Connections closed at once, since too many were open.";
    one("ocellus_http_refused_total", "counter", help, refused);
    outlets(&mut text, &site.outlets);
    machine(&mut text);
    text.0
}

/// A camera at one moment.
struct Camera {
    panel: Arc<Panel>,
    counts: Counts,
    report: Arc<Report>,
}

impl Camera {
    fn of(panel: &Arc<Panel>) -> Self {
        Camera { counts: panel.counters().snapshot(), report: panel.report(), panel: Arc::clone(panel) }
    }

    fn label(&self) -> (&'static str, &str) {
        ("camera_name", self.panel.name())
    }
}

fn rates(text: &mut Text, cameras: &[Camera]) {
    type Value = fn(&Camera) -> f64;
    let families: [(&str, &str, Value); 5] = [
        ("frigate_camera_fps", "Frames per second that the source delivers.", |c| c.counts.camera_fps),
        ("frigate_process_fps", "Frames per second that are answered.", |c| c.counts.process_fps),
        ("frigate_skipped_fps", "Frames per second that a newer one replaced.", |c| c.counts.skipped_fps),
        ("frigate_detection_fps", "Frames per second that the network looks at.", |c| c.counts.detection_fps),
        ("ocellus_camera_up", "1 while frames come.", |c| {
            f64::from(u8::from(c.panel.status().state == State::Running))
        }),
    ];
    for (name, help, value) in families {
        let mut family = text.family(name, "gauge", help);
        for camera in cameras {
            family.sample("", &[camera.label()], value(camera));
        }
    }
    let total: f64 = cameras.iter().map(|camera| camera.counts.detection_fps).sum();
    text.family("frigate_detection_total_fps", "gauge", "Sum of frigate_detection_fps.").sample(
        "",
        &[],
        total,
    );
    // Of the newest frame that the network has looked at; all cameras share it.
    let seen = cameras.iter().filter(|camera| camera.report.frame > 0 && !camera.report.still);
    if let Some(newest) = seen.max_by_key(|camera| camera.report.time) {
        let help = "Time of the network for the newest frame.";
        let seconds = newest.report.ms.inference / 1e3;
        let mut family = text.family("frigate_detector_inference_speed_seconds", "gauge", help);
        family.sample("", &[("name", "cpu")], seconds);
    }
}

fn totals(text: &mut Text, cameras: &[Camera]) {
    type Value = fn(&Counts) -> u64;
    let families: [(&str, &str, Value); 8] = [
        ("ocellus_captured_frames_total", "Frames that the source delivered.", |c| c.captured),
        ("ocellus_frames_total", "Frames that were answered.", |c| c.frames),
        ("ocellus_dropped_frames_total", "Frames that a newer one replaced.", |c| c.dropped),
        ("ocellus_damaged_frames_total", "Frames that were damaged.", |c| c.damaged),
        ("ocellus_still_frames_total", "Answered frames that the motion gate kept from the network.", |c| {
            c.still
        }),
        ("ocellus_reconnects_total", "Times that the source was lost and opened again.", |c| c.reconnects),
        ("ocellus_events_total", "Events.", |c| c.events),
        ("ocellus_snapshot_failures_total", "Pictures of events that could not be written.", |c| {
            c.snapshots_failed
        }),
    ];
    for (name, help, value) in families {
        let mut family = text.family(name, "counter", help);
        for camera in cameras {
            family.sample("", &[camera.label()], value(&camera.counts));
        }
    }
}

fn latencies(text: &mut Text, cameras: &[Camera]) {
    let mut family = text.family("ocellus_latency_seconds", "histogram", "From capture to answer.");
    for Camera { counts, panel, .. } in cameras {
        let name = ("camera_name", panel.name());
        let mut below = 0;
        for (count, bound) in counts.latency.iter().zip(LATENCY_BOUNDS_MS) {
            below += count;
            let bound = (f64::from(bound) / 1e3).to_string();
            family.sample("_bucket", &[name, ("le", &bound)], below);
        }
        let all: u64 = counts.latency.iter().sum();
        family.sample("_bucket", &[name, ("le", "+Inf")], all);
        family.sample("_sum", &[name], counts.latency_seconds);
        family.sample("_count", &[name], all);
    }
    let mut family =
        text.family("ocellus_stage_seconds_total", "counter", "Time of answered frames by stage.");
    for Camera { counts, panel, .. } in cameras {
        let stages = &counts.stages;
        for (stage, seconds) in [
            ("decode", stages.decode),
            ("preprocess", stages.preprocess),
            ("inference", stages.inference),
            ("postprocess", stages.postprocess),
        ] {
            family.sample("", &[("camera_name", panel.name()), ("stage", stage)], seconds);
        }
    }
}

fn objects(text: &mut Text, cameras: &[Camera]) {
    let mut family = text.family("ocellus_objects", "gauge", "Objects in the newest frame by class.");
    for camera in cameras {
        for (class, count) in camera.report.by_class() {
            family.sample("", &[camera.label(), ("class", class)], count);
        }
    }
    let zones: Vec<_> =
        cameras.iter().flat_map(|c| c.report.zones.iter().map(|zone| (c.label(), zone))).collect();
    let mut family = text.family("ocellus_zone_objects", "gauge", "Objects in a zone.");
    for (camera, zone) in &zones {
        family.sample("", &[*camera, ("zone", &zone.name)], zone.inside);
    }
    let help = "Objects that came into a zone or went out of it.";
    let mut family = text.family("ocellus_zone_passages_total", "counter", help);
    for (camera, zone) in &zones {
        family.sample("", &[*camera, ("zone", &zone.name), ("direction", "in")], zone.entered);
        family.sample("", &[*camera, ("zone", &zone.name), ("direction", "out")], zone.left);
    }
    let mut family = text.family("ocellus_line_crossings_total", "counter", "Objects that crossed a line.");
    for camera in cameras {
        for line in &camera.report.lines {
            let name = ("line", &*line.name);
            family.sample("", &[camera.label(), name, ("direction", "forward")], line.forward);
            family.sample("", &[camera.label(), name, ("direction", "backward")], line.backward);
        }
    }
}

fn outlets(text: &mut Text, outlets: &[Arc<Outlet>]) {
    type Value = fn(&Outlet) -> u64;
    let families: [(&str, &str, &str, Value); 4] = [
        ("ocellus_outlet_connected", "gauge", "1 where the last attempt to send succeeded.", |o| {
            u64::from(o.connected.load(Relaxed))
        }),
        ("ocellus_outlet_waiting_events", "gauge", "Events that wait.", |o| o.waiting.load(Relaxed) as u64),
        ("ocellus_outlet_sent_events_total", "counter", "Events that arrived.", |o| o.sent.load(Relaxed)),
        ("ocellus_outlet_lost_events_total", "counter", "Events that were given up.", |o| {
            o.dropped.load(Relaxed)
        }),
    ];
    for (name, kind, help, value) in families {
        let mut family = text.family(name, kind, help);
        for outlet in outlets {
            family.sample("", &[("outlet", &outlet.name)], value(outlet));
        }
    }
}

/// What the system tells about the machine and this process; what it does not tell is left out.
fn machine(text: &mut Text) {
    let host = Host::read();
    if let Some(celsius) = host.celsius {
        let mut family = text.family("frigate_device_temperature", "gauge", "Hottest sensor in °C.");
        family.sample("", &[("device", "cpu")], celsius);
    }
    if let Some(mhz) = host.mhz {
        text.family("ocellus_cpu_hertz", "gauge", "Clock of the first CPU.").sample("", &[], mhz * 1e6);
    }
    if let Some(throttled) = host.is_throttled() {
        let help = "1 while the CPU runs slower than it could.";
        text.family("ocellus_cpu_throttled", "gauge", help).sample("", &[], u8::from(throttled));
    }
    let process = Process::read();
    if let Some(seconds) = process.cpu_seconds {
        text.family("process_cpu_seconds_total", "counter", "CPU time of this process.").sample(
            "",
            &[],
            seconds,
        );
    }
    if let Some(bytes) = process.resident_bytes {
        let help = "Memory of this process.";
        text.family("process_resident_memory_bytes", "gauge", help).sample("", &[], bytes);
    }
    if let Some(threads) = process.threads {
        text.family("process_threads", "gauge", "Threads of this process.").sample("", &[], threads);
    }
}

/// The text so far.
#[derive(Default)]
struct Text(String);

/// Samples of one name.
struct Family<'a> {
    text: &'a mut String,
    name: String,
}

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) -> Family<'_> {
        write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n").expect("a string takes all");
        Family { text: &mut self.0, name: name.to_owned() }
    }
}

impl Family<'_> {
    fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let Family { text, name } = self;
        text.push_str(name);
        text.push_str(suffix);
        for (i, (label, value)) in labels.iter().enumerate() {
            text.push(if i == 0 { '{' } else { ',' });
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            write!(text, "{label}=\"{value}\"").expect("a string takes all");
        }
        text.push_str(if labels.is_empty() { "" } else { "}" });
        writeln!(text, " {value}").expect("a string takes all");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example for escaping in Prometheus' description of the format.
    #[test]
    fn labels_are_escaped() {
        let mut text = Text::default();
        let labels = [("path", r"C:\DIR\FILE.TXT"), ("error", "Cannot find file:\n\"FILE.TXT\"")];
        text.family("msdos_file_access_time_seconds", "gauge", "x").sample("", &labels, 1.458255915e9);
        let line = text.0.lines().nth(2).unwrap();
        assert_eq!(
            line,
            r#"msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1458255915"#
        );
    }
}
