//! Just enough of a protobuf writer to make small models.

/// A message under construction.
#[derive(Clone, Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// Adds an integer field.
    pub fn int(mut self, field: u64, value: i64) -> Self {
        self.varint(field << 3);
        self.varint(value as u64);
        self
    }

    /// Adds a float field.
    pub fn float(mut self, field: u64, value: f32) -> Self {
        self.varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Adds text, bytes or a nested message.
    pub fn bytes(mut self, field: u64, bytes: impl AsRef<[u8]>) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.as_ref().len() as u64);
        self.0.extend(bytes.as_ref());
        self
    }

    /// Adds packed integers.
    pub fn ints(self, field: u64, values: &[i64]) -> Self {
        let mut packed = Writer::default();
        values.iter().for_each(|&v| packed.varint(v as u64));
        self.bytes(field, packed.0)
    }
}

impl AsRef<[u8]> for Writer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn attribute(name: &str) -> Writer {
    Writer::default().bytes(1, name)
}

/// A node under construction: operands and results separated by spaces, `-` for an omitted one.
pub fn node(op: &str, inputs: &str, outputs: &str) -> Node {
    let mut node = Writer::default();
    for name in inputs.split_whitespace() {
        node = node.bytes(1, if name == "-" { "" } else { name });
    }
    for name in outputs.split_whitespace() {
        node = node.bytes(2, name);
    }
    Node(node.bytes(4, op))
}

/// See [`node`].
#[derive(Clone)]
pub struct Node(Writer);

impl Node {
    pub fn int(self, name: &str, value: i64) -> Self {
        Node(self.0.bytes(5, attribute(name).int(3, value)))
    }

    pub fn float(self, name: &str, value: f32) -> Self {
        Node(self.0.bytes(5, attribute(name).float(2, value)))
    }

    pub fn text(self, name: &str, value: &str) -> Self {
        Node(self.0.bytes(5, attribute(name).bytes(4, value)))
    }

    pub fn ints(self, name: &str, values: &[i64]) -> Self {
        Node(self.0.bytes(5, attribute(name).ints(8, values)))
    }

    pub fn tensor(self, name: &str, tensor: Writer) -> Self {
        Node(self.0.bytes(5, attribute(name).bytes(5, tensor)))
    }

    pub fn domain(self, domain: &str) -> Self {
        Node(self.0.bytes(7, domain))
    }
}

/// A tensor of any type with its raw bytes.
pub fn raw(name: &str, data_type: i64, dims: &[i64], bytes: &[u8]) -> Writer {
    Writer::default().ints(1, dims).int(2, data_type).bytes(8, name).bytes(9, bytes)
}

/// A float tensor.
pub fn floats(name: &str, dims: &[i64], values: &[f32]) -> Writer {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    raw(name, 1, dims, &bytes)
}

/// A vector of int64.
pub fn ints(name: &str, values: &[i64]) -> Writer {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    raw(name, 7, &[values.len() as i64], &bytes)
}

/// An int8 tensor.
pub fn codes(name: &str, dims: &[i64], values: &[i8]) -> Writer {
    let bytes: Vec<u8> = values.iter().map(|&v| v as u8).collect();
    raw(name, 3, dims, &bytes)
}

/// A value with a shape; a negative extent is written as a symbol.
pub fn value(name: &str, dims: &[i64]) -> Writer {
    let dims = dims.iter().fold(Writer::default(), |shape, &d| {
        let dim = if d < 0 { Writer::default().bytes(2, "n") } else { Writer::default().int(1, d) };
        shape.bytes(1, dim)
    });
    let tensor = Writer::default().int(1, 1).bytes(2, dims);
    Writer::default().bytes(1, name).bytes(2, Writer::default().bytes(1, tensor))
}

/// A model with the input `x` and the given outputs.
pub fn model(opset: i64, input: &[i64], nodes: &[Node], tensors: &[Writer], outputs: &str) -> Vec<u8> {
    let mut graph = Writer::default();
    for node in nodes {
        graph = graph.bytes(1, &node.0);
    }
    for tensor in tensors {
        graph = graph.bytes(5, tensor);
    }
    graph = graph.bytes(11, value("x", input));
    for name in outputs.split_whitespace() {
        graph = graph.bytes(12, value(name, &[]));
    }
    let file = Writer::default().int(1, 8).bytes(7, graph).bytes(8, Writer::default().int(2, opset));
    let file = file.bytes(14, Writer::default().bytes(1, "stride").bytes(2, "32"));
    file.0
}
