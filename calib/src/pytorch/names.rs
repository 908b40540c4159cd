//! What YOLOv5 6.0 and YOLOv5-Lite 1.4 call the modules of their networks, in the order in which the built-in networks run
//! their convolutions. `model.3.cv1` is the module `cv1` of the fourth line of the architecture's file.

use ocellus::zoo::{self, Multiples};

/// The modules that a convolution's numbers are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// A convolution without bias, and the batch normalization behind it. Where both were fused, the convolution has a bias.
    Norm { conv: String, norm: String },
    /// A convolution with or without bias.
    Conv(String),
    /// RepVGG's block: a 3×3 and a 1×1 convolution, each with batch normalization, beside each other; or the one convolution
    /// that they were made into.
    Rep(String),
}

/// The convolutions of a network.
pub(super) struct Names {
    pub all: Vec<Name>,
    /// The module of its heads.
    pub head: String,
    /// Channels of the first one.
    pub first: usize,
}

/// The names of an architecture with these multiples; `None`: it is none of YOLOv5's.
pub(super) fn of(network: &zoo::Network) -> Option<Names> {
    let multiples = network.multiples()?;
    let mut list = List { all: Vec::new(), at: 0, multiples };
    let (lines, stem): (fn(&mut List), usize) = match network.name {
        "v5lite-e" => (List::v5lite_e, 32),
        "v5lite-s" => (List::v5lite_s, 32),
        "v5lite-c" => (List::v5lite_c, 32),
        "v5lite-g" => (List::v5lite_g, 32),
        _ => (List::yolov5, 64),
    };
    lines(&mut list);
    let head = format!("model.{}", list.at);
    list.all.extend((0..3).map(|level| Name::Conv(format!("{head}.m.{level}"))));
    Some(Names { all: list.all, head, first: multiples.channels(stem) })
}

/// Names in the making; each call is a line of the architecture's file.
struct List {
    all: Vec<Name>,
    /// The next line.
    at: usize,
    multiples: Multiples,
}

impl List {
    /// The next line's module.
    fn line(&mut self) -> String {
        self.at += 1;
        format!("model.{}", self.at - 1)
    }

    fn norm(&mut self, module: &str, conv: &str, norm: &str) {
        self.all.push(Name::Norm { conv: format!("{module}.{conv}"), norm: format!("{module}.{norm}") });
    }

    fn conv_in(&mut self, module: &str) {
        self.norm(module, "conv", "bn");
    }

    fn conv(&mut self) {
        let line = self.line();
        self.conv_in(&line);
    }

    /// Lines without numbers: upsampling, concatenation, addition.
    fn skip(&mut self, lines: usize) {
        self.at += lines;
    }

    fn c3(&mut self, repeats: usize) {
        let line = self.line();
        self.conv_in(&format!("{line}.cv1"));
        for i in 0..self.multiples.repeats(repeats) {
            self.conv_in(&format!("{line}.m.{i}.cv1"));
            self.conv_in(&format!("{line}.m.{i}.cv2"));
        }
        self.conv_in(&format!("{line}.cv2"));
        self.conv_in(&format!("{line}.cv3"));
    }

    /// SPP and SPPF.
    fn pyramid(&mut self) {
        let line = self.line();
        self.conv_in(&format!("{line}.cv1"));
        self.conv_in(&format!("{line}.cv2"));
    }

    fn shuffle_right(&mut self, module: &str) {
        for (conv, norm) in [("0", "1"), ("3", "4"), ("5", "6")] {
            self.norm(&format!("{module}.branch2"), conv, norm);
        }
    }

    /// A line of stride 2, and one of units of stride 1.
    fn shuffle_stage(&mut self, units: usize) {
        let line = self.line();
        self.norm(&format!("{line}.branch1"), "0", "1");
        self.norm(&format!("{line}.branch1"), "2", "3");
        self.shuffle_right(&line);
        let line = self.line();
        match self.multiples.repeats(units) {
            1 => self.shuffle_right(&line),
            units => (0..units).for_each(|i| self.shuffle_right(&format!("{line}.{i}"))),
        }
    }

    fn shuffle_backbone(&mut self, last: usize) {
        let line = self.line();
        self.norm(&line, "conv.0", "conv.1");
        [3, 7, last].into_iter().for_each(|units| self.shuffle_stage(units));
    }

    /// YOLOv5-Lite's depthwise and 1×1 convolution.
    fn separable(&mut self) {
        let line = self.line();
        self.norm(&line, "conv1", "bn1");
        self.norm(&line, "conv2", "bn2");
    }

    fn lc_block(&mut self, gated: bool) {
        let line = self.line();
        self.conv_in(&format!("{line}.dw_conv"));
        if gated {
            self.all.extend(["conv1", "conv2"].map(|conv| Name::Conv(format!("{line}.se.{conv}"))));
        }
        self.conv_in(&format!("{line}.pw_conv"));
    }

    fn rep(&mut self) {
        let line = self.line();
        self.all.push(Name::Rep(line));
    }

    /// Way up and way down of the heads; `down` names a line that halves a map.
    fn neck(&mut self, repeats: usize, down: fn(&mut List)) {
        for _ in 0..2 {
            self.conv();
            self.skip(2);
            self.c3(repeats);
        }
        for _ in 0..2 {
            down(self);
            self.skip(1);
            self.c3(repeats);
        }
    }

    fn v5lite_e(&mut self) {
        self.shuffle_backbone(1);
        for _ in 0..2 {
            self.conv();
            self.skip(2);
            self.separable();
        }
        for _ in 0..2 {
            self.separable();
            self.skip(1);
            self.separable();
        }
    }

    fn v5lite_s(&mut self) {
        self.shuffle_backbone(3);
        self.neck(1, List::conv);
    }

    fn v5lite_c(&mut self) {
        self.conv();
        (0..12).for_each(|_| self.lc_block(false));
        (0..4).for_each(|_| self.lc_block(true));
        let line = self.line();
        self.all.push(Name::Conv(format!("{line}.dense_conv")));
        self.neck(1, |list| list.lc_block(true));
    }

    fn v5lite_g(&mut self) {
        let focus = self.line();
        self.conv_in(&format!("{focus}.conv"));
        for repeats in [1, 3, 3] {
            self.rep();
            self.c3(repeats);
        }
        self.rep();
        self.pyramid();
        self.c3(1);
        self.neck(3, List::conv);
    }

    fn yolov5(&mut self) {
        self.conv();
        for repeats in [3, 6, 9, 3] {
            self.conv();
            self.c3(repeats);
        }
        self.pyramid();
        self.neck(3, List::conv);
    }
}
