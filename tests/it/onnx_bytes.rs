//! ONNX files made field by field, as `onnx.proto` numbers them.

/// A protobuf message in the making.
#[derive(Clone, Default)]
pub struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// An integer field.
    pub fn int(mut self, field: u64, value: i64) -> Self {
        self.varint(field << 3);
        self.varint(value as u64);
        self
    }

    /// A field of bytes, a string or a message.
    pub fn bytes(mut self, field: u64, value: impl AsRef<[u8]>) -> Self {
        self.varint(field << 3 | 2);
        self.varint(value.as_ref().len() as u64);
        self.0.extend_from_slice(value.as_ref());
        self
    }

    /// A list of messages, or of strings.
    pub fn each<T: AsRef<[u8]>>(self, field: u64, values: impl IntoIterator<Item = T>) -> Self {
        values.into_iter().fold(self, |message, value| message.bytes(field, value))
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// `AttributeProto` of integers.
pub fn ints(name: &str, values: &[i64]) -> Message {
    let message = Message::default().bytes(1, name).int(20, 7);
    values.iter().fold(message, |message, &value| message.int(8, value))
}

/// `NodeProto`.
pub fn node(op: &str, inputs: &[&str], output: &str, attributes: &[Message]) -> Message {
    Message::default().each(1, inputs).bytes(2, output).bytes(3, op).bytes(4, op).each(5, attributes)
}

/// `TensorProto` of floats; `dims` may lie.
pub fn floats(name: &str, dims: &[i64], values: &[f32]) -> Message {
    let raw: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    let message = dims.iter().fold(Message::default(), |message, &dim| message.int(1, dim));
    message.int(2, 1).bytes(8, name).bytes(9, raw)
}

/// `ValueInfoProto` of a float tensor.
pub fn value(name: &str, dims: &[i64]) -> Message {
    let shape = Message::default().each(1, dims.iter().map(|&dim| Message::default().int(1, dim)));
    let tensor = Message::default().int(1, 1).bytes(2, shape);
    Message::default().bytes(1, name).bytes(2, Message::default().bytes(1, tensor))
}

/// `ModelProto`, operator set 13, around a graph with the input `images`.
pub fn model(nodes: &[Message], constants: &[Message], input: &[i64], outputs: &[&str]) -> Vec<u8> {
    let outputs = outputs.iter().map(|name| Message::default().bytes(1, name));
    let graph = Message::default()
        .each(1, nodes)
        .bytes(2, "made")
        .each(5, constants)
        .bytes(11, value("images", input))
        .each(12, outputs);
    Message::default().int(1, 8).bytes(8, Message::default().int(2, 13)).bytes(7, graph).0
}

/// A convolution 3 → 4 and a ReLU on 8×8 pixels.
pub fn small() -> Vec<u8> {
    let constants = [floats("w", &[4, 3, 3, 3], &[0.25; 108]), floats("b", &[4], &[0.5; 4])];
    let pads = ints("pads", &[1, 1, 1, 1]);
    let nodes = [node("Conv", &["images", "w", "b"], "c", &[pads]), node("Relu", &["c"], "y", &[])];
    model(&nodes, &constants, &[1, 3, 8, 8], &["y"])
}

/// A YOLOv5 detector for 64×64 pixels and two classes with heads at strides 8, 16 and 32. It sees the same in
/// every picture: weights are zero, and one bias makes an object of class 1 with YOLOv5's last anchor,
/// 373×326, in each of the four cells of stride 32, score σ(4)².
pub fn detector() -> Vec<u8> {
    let mut nodes = Vec::new();
    let mut constants = Vec::new();
    for stride in [8i64, 16, 32] {
        let mut bias = [-10f32; 3 * 7];
        // Box [x, y, w, h] of zeros: the cell's centre, the anchor's size.
        (0..3).for_each(|anchor| bias[anchor * 7..][..4].fill(0.0));
        if stride == 32 {
            (bias[2 * 7 + 4], bias[2 * 7 + 6]) = (4.0, 4.0);
        }
        let (w, b, y) = (format!("w{stride}"), format!("b{stride}"), format!("y{stride}"));
        constants.push(floats(&w, &[21, 3, stride, stride], &vec![0.0; (63 * stride * stride) as usize]));
        constants.push(floats(&b, &[21], &bias));
        nodes.push(node("Conv", &["images", &w, &b], &y, &[ints("strides", &[stride; 2])]));
    }
    model(&nodes, &constants, &[1, 3, 64, 64], &["y8", "y16", "y32"])
}
