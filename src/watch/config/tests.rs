use super::*;
use crate::limits::CAMERAS_MAX;

fn error(text: &str) -> String {
    parse(text, "c.toml".as_ref()).unwrap_err().to_string()
}

#[test]
fn a_whole_file_is_read() {
    let text = r#"
        model = "e.param"
        size = "320x256"
        threads = 2
        score = 0.3
        print = "events"
        snapshots = { folder = "snapshots", max_mb = 20 }

        [[camera]]
        source = "-"
        raw = "yuv420:640x480"
        max_fps = 5
        motion = true
        scores = { person = 0.5 }
        min_area = 0.001

        [[camera.zone]]
        name = "porch"
        points = [[0, 0], [1, 0], [1, 0.5]]
        classes = ["person"]

        [[camera]]
        name = "yard"
        source = "videos/yard.y4m"
        loop = true
        fps = 12.5
        motion = 0.01

        [[camera.line]]
        name = "gate"
        points = [[0.5, 0], [0.5, 1]]
    "#;
    let config = parse(text, "c.toml".as_ref()).unwrap();
    assert_eq!(config.size, Some(Size { width: 320, height: 256 }));
    assert_eq!(config.snapshots.as_ref().unwrap().max_mb.bytes(), 20_000_000);
    assert_eq!(config.print, Some(Print::Events));
    let [first, second] = &config.cameras[..] else { panic!() };
    assert_eq!((first.label(), second.label()), ("stdin".into(), "yard".into()));
    assert_eq!((first.motion, second.motion.unwrap().share()), (Some(Motion::USUAL), Some(0.01)));
    assert_eq!((first.zones[0].name.as_str(), second.lines[0].name.as_str()), ("porch", "gate"));
    assert!(second.endless && second.fps.unwrap().per_second() == 12.5);
    assert_eq!(parse("", "c.toml".as_ref()).unwrap(), Config::default());
}

#[test]
fn mistakes_are_named_by_file_line_and_key() {
    for (text, what) in [
        ("modl = 'x'", "c.toml:1: key 'modl' is unknown; did you mean 'model'? (known here: model, names,"),
        (
            "\n[[camera]]\nsource = '-'\nmaxfps = 3",
            "c.toml:4: key 'maxfps' is unknown; did you mean 'max_fps'?",
        ),
        ("[[camera]]\nname = 'a'", "c.toml:1: missing field `source`"),
        ("threads = 2\nscore = 1.5", "c.toml:2: 1.5 does not lie between 0 and 1"),
        ("size = 'big'", "c.toml:1: 'big' is neither N nor WIDTHxHEIGHT"),
        ("size = true", "c.toml:1: 'true' is neither N nor WIDTHxHEIGHT"),
        ("print = 'all'", "c.toml:1: unknown variant `all`, expected one of `frames`"),
        ("[[camera]]\nsource = '-'\nfps = 0", "c.toml:3: 0 is no rate"),
        ("[[camera]]\nsource = '-'\nraw = 'nv12:2x2'", "c.toml:3: raw format 'nv12:2x2'"),
        ("[[camera]]\nsource = '-'\nmotion = 0", "c.toml:3: 0 is no share"),
        ("[[camera]]\nsource = '-'\n[[camera.zone]]\nname = 'a'\npoints = [[0, 0]]", "c.toml:5: 1 points"),
        ("[[camera]]\nsource = '-'\n[[camera]]\nsource = '-'", "c.toml: two cameras read standard input"),
        ("[[camera]]\nsource = 'a.y4m'\n[[camera]]\nsource = 'a.mjpeg'", "c.toml: two cameras are named 'a'"),
        ("[[camera]]\nname = ''\nsource = '-'", "c.toml: camera '': \"\" is no name"),
        ("a = [", "c.toml:1: "),
        ("snapshots = { folder = 'a', max_mb = 0 }", "c.toml:1: 0 MB; at least 1 is needed"),
    ] {
        let error = error(text);
        assert!(error.starts_with(what), "{text}: {error}");
    }
}

#[test]
fn numbers_of_cameras_and_places_are_bounded() {
    let cameras: String =
        (0..=CAMERAS_MAX).map(|i| format!("[[camera]]\nname = 'c{i}'\nsource = '-'\n")).collect();
    assert!(error(&cameras).contains("cameras; at most"));
    let places: String =
        (0..100).map(|i| format!("{{name = 'z{i}', points = [[0,0],[1,0],[1,1]]}},")).collect();
    assert!(error(&format!("[[camera]]\nsource = '-'\nzone = [{places}]")).contains("at most"));
    let twice = "{name = 'z', points = [[0,0],[1,0],[1,1]]},";
    assert!(error(&format!("[[camera]]\nsource = '-'\nzone = [{twice}{twice}]")).contains("are named 'z'"));
}

#[test]
fn what_would_share_a_place_is_refused() {
    let cameras = |a: &str, b: &str| {
        let camera =
            |name: &str, source: &str| format!("[[camera]]\nname = \"{name}\"\nsource = \"{source}\"\n");
        camera(a, "a.y4m") + &camera(b, "b.y4m")
    };
    let (alike, mqtt) = (cameras("front door", "front_door"), "[mqtt]\nurl = \"mqtt://hub\"\n");
    assert!(parse(&alike, "c.toml".as_ref()).is_ok());
    assert!(
        error(&format!("{mqtt}{alike}"))
            .contains("cameras 'front door' and 'front_door' have the same MQTT topic 'front_door'")
    );
    assert!(parse(&format!("{mqtt}{}", cameras("front", "back")), "c.toml".as_ref()).is_ok());
    let zones = |a: &str, b: &str| {
        let zone = |name: &str| format!("{{name = '{name}', points = [[0,0],[1,0],[1,1]]}},");
        format!("{mqtt}[[camera]]\nname = 'c'\nsource = '-'\nzone = [{}{}]", zone(a), zone(b))
    };
    assert!(
        error(&zones("a b", "a_b"))
            .contains("zone 'a b' of camera 'c' and zone 'a_b' of camera 'c' have the")
    );
    assert!(error(&zones("a", "a entered")).contains("'c_zone_a_entered'"));
    assert!(parse(&zones("a-b", "a_b"), "c.toml".as_ref()).is_ok());
    let webhook = "[[webhook]]\nurl = \"http://a/b\"\n";
    assert!(error(&format!("{webhook}{webhook}")).contains("two webhooks"));
}

#[test]
fn the_nearest_word_is_one_that_is_near() {
    let near = |word| nearest(word, ["person", "car", "dog"].into_iter());
    assert_eq!((near("persons"), near("cars"), near("zebra")), (Some("person"), Some("car"), None));
}
