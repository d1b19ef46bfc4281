//! Avro schemas, read from their JSON.

use std::collections::BTreeMap;

use serde_json::Value;

/// Bytes of a schema's text.
const TEXT_BYTES_MAX: usize = 4 << 20;
/// Types in a schema, each use of a primitive one counted.
const NODES_MAX: usize = 50_000;
/// Digits behind the point of a decimal.
const SCALE_MAX: u64 = 1_000;

/// A text is no schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no Avro schema: {0}")]
pub struct BadSchema(pub String);

/// What a whole number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Number,
    Date,
    /// Parts of a second in a time of day.
    Time(u32),
    /// Parts of a second since 1970 UTC.
    Timestamp(u32),
    /// The same without a time zone.
    LocalTimestamp(u32),
}

/// What bytes mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BytesMeaning {
    Bytes,
    /// A whole number, and how many of its digits stand behind the point.
    Decimal(u32),
    Uuid,
    Duration,
}

/// A type; others are named by their numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// Its definition is being read.
    Open,
    Null,
    Boolean,
    Int(Meaning),
    Long(Meaning),
    Float,
    Double,
    Bytes(BytesMeaning),
    String,
    Fixed(usize, BytesMeaning),
    /// The symbols as JSON.
    Enum(Vec<String>),
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
    /// Names as JSON, and types.
    Record(Vec<(String, usize)>),
}

/// A schema that can be read by.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    pub(super) nodes: Vec<Node>,
    pub(super) root: usize,
}

/// Reads a schema and those that it refers to.
#[derive(Debug, Default)]
pub struct SchemaReader {
    nodes: Vec<Node>,
    /// By full name.
    names: BTreeMap<String, usize>,
}

impl SchemaReader {
    /// Reads a schema whose names those that follow may use.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn refer(&mut self, text: &str) -> Result<(), BadSchema> {
        self.read(text).map(|_| ())
    }

    /// Reads the schema that is wanted.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn finish(mut self, text: &str) -> Result<Schema, BadSchema> {
        let root = self.read(text)?;
        let nodes = self.nodes;
        Ok(Schema { nodes, root })
    }

    fn read(&mut self, text: &str) -> Result<usize, BadSchema> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(BadSchema(format!("it has {} bytes", text.len())));
        }
        let json: Value =
            serde_json::from_str(text).map_err(|error| BadSchema(error.to_string()))?;
        self.node(&json, "")
    }

    fn push(&mut self, node: Node) -> Result<usize, BadSchema> {
        if self.nodes.len() >= NODES_MAX {
            return Err(BadSchema(format!("it has more than {NODES_MAX} types")));
        }
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    // Nesting is bounded by that of JSON, which its parser bounds at 128.
    fn node(&mut self, json: &Value, namespace: &str) -> Result<usize, BadSchema> {
        match json {
            Value::String(name) => self.named(name, namespace),
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.node(branch, namespace));
                let branches = branches.collect::<Result<Vec<usize>, BadSchema>>()?;
                if branches.is_empty() {
                    return Err(BadSchema("a union has no branches".to_owned()));
                }
                self.push(Node::Union(branches))
            }
            Value::Object(_) => self.complex(json, namespace),
            other => Err(BadSchema(format!("{other} is no type"))),
        }
    }

    fn named(&mut self, name: &str, namespace: &str) -> Result<usize, BadSchema> {
        let primitive = match name {
            "null" => Node::Null,
            "boolean" => Node::Boolean,
            "int" => Node::Int(Meaning::Number),
            "long" => Node::Long(Meaning::Number),
            "float" => Node::Float,
            "double" => Node::Double,
            "bytes" => Node::Bytes(BytesMeaning::Bytes),
            "string" => Node::String,
            _ => {
                let full = full_name(name, namespace);
                let found = self.names.get(&full).or_else(|| self.names.get(name));
                let unknown = || BadSchema(format!("there is no type `{name}`"));
                return found.copied().ok_or_else(unknown);
            }
        };
        self.push(primitive)
    }

    fn complex(&mut self, json: &Value, namespace: &str) -> Result<usize, BadSchema> {
        let kind = match &json["type"] {
            Value::String(kind) => kind.as_str(),
            Value::Null => return Err(BadSchema("a type has no `type`".to_owned())),
            inner => return self.node(inner, namespace),
        };
        let logical = json["logicalType"].as_str().unwrap_or_default();
        match kind {
            "array" => {
                let items = self.node(&json["items"], namespace)?;
                self.push(Node::Array(items))
            }
            "map" => {
                let values = self.node(&json["values"], namespace)?;
                self.push(Node::Map(values))
            }
            "record" | "error" => self.record(json, namespace),
            "enum" => {
                let symbols = json["symbols"].as_array().into_iter().flatten();
                let symbols: Vec<String> = symbols.map(Value::to_string).collect();
                if symbols.is_empty() {
                    return Err(BadSchema("an enum has no symbols".to_owned()));
                }
                let node = self.push(Node::Enum(symbols))?;
                self.define(json, namespace, node)?;
                Ok(node)
            }
            "fixed" => {
                let size = json["size"].as_u64().and_then(|size| size.try_into().ok());
                let size = size.ok_or_else(|| BadSchema("a fixed has no size".to_owned()))?;
                let meaning = match logical {
                    "decimal" => BytesMeaning::Decimal(scale(json)?),
                    "duration" if size == 12 => BytesMeaning::Duration,
                    "uuid" if size == 16 => BytesMeaning::Uuid,
                    _ => BytesMeaning::Bytes,
                };
                let node = self.push(Node::Fixed(size, meaning))?;
                self.define(json, namespace, node)?;
                Ok(node)
            }
            "int" => self.push(Node::Int(match logical {
                "date" => Meaning::Date,
                "time-millis" => Meaning::Time(1_000),
                _ => Meaning::Number,
            })),
            "long" => self.push(Node::Long(match logical {
                "time-micros" => Meaning::Time(1_000_000),
                "timestamp-millis" => Meaning::Timestamp(1_000),
                "timestamp-micros" => Meaning::Timestamp(1_000_000),
                "timestamp-nanos" => Meaning::Timestamp(1_000_000_000),
                "local-timestamp-millis" => Meaning::LocalTimestamp(1_000),
                "local-timestamp-micros" => Meaning::LocalTimestamp(1_000_000),
                "local-timestamp-nanos" => Meaning::LocalTimestamp(1_000_000_000),
                _ => Meaning::Number,
            })),
            "bytes" => self.push(Node::Bytes(match logical {
                "decimal" => BytesMeaning::Decimal(scale(json)?),
                _ => BytesMeaning::Bytes,
            })),
            name => self.named(name, namespace),
        }
    }

    fn record(&mut self, json: &Value, namespace: &str) -> Result<usize, BadSchema> {
        // Its fields may be of its own type.
        let node = self.push(Node::Open)?;
        let inner = self.define(json, namespace, node)?;
        let missing = || BadSchema("a record has no fields".to_owned());
        let fields = json["fields"].as_array().ok_or_else(missing)?;
        let mut read = Vec::with_capacity(fields.len());
        for field in fields {
            let name = field["name"].as_str();
            let name = name.ok_or_else(|| BadSchema("a field has no name".to_owned()))?;
            let kind = self.node(&field["type"], &inner)?;
            read.push((Value::from(name).to_string(), kind));
        }
        self.nodes[node] = Node::Record(read);
        Ok(node)
    }

    /// Remembers a type by its name, and gives the namespace inside it.
    fn define(&mut self, json: &Value, around: &str, node: usize) -> Result<String, BadSchema> {
        let name = json["name"].as_str();
        let name = name.ok_or_else(|| BadSchema("a type has no name".to_owned()))?;
        let full = full_name(name, json["namespace"].as_str().unwrap_or(around));
        let inner = full.rsplit_once('.').map_or("", |(inner, _)| inner);
        let inner = inner.to_owned();
        if self.names.insert(full.clone(), node).is_some() {
            return Err(BadSchema(format!("there are two types `{full}`")));
        }
        Ok(inner)
    }
}

fn full_name(name: &str, namespace: &str) -> String {
    match name.contains('.') || namespace.is_empty() {
        true => name.to_owned(),
        false => format!("{namespace}.{name}"),
    }
}

fn scale(json: &Value) -> Result<u32, BadSchema> {
    let scale = match &json["scale"] {
        Value::Null => Some(0),
        scale => scale.as_u64().filter(|&scale| scale <= SCALE_MAX),
    };
    let scale = scale.and_then(|scale| u32::try_from(scale).ok());
    scale.ok_or_else(|| BadSchema("a decimal has no such scale".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_namespaces_and_may_be_their_own_type() {
        let text = r#"{"type":"record","name":"a.b.Node","fields":[
          {"name":"next","type":["null","Node"]},
          {"name":"kind","type":{"type":"enum","name":"Kind","symbols":["X"]}},
          {"name":"again","type":"a.b.Kind"}]}"#;
        let schema = SchemaReader::default().finish(text).unwrap();
        let Node::Record(fields) = &schema.nodes[schema.root] else {
            panic!("{schema:?}");
        };
        assert_eq!(fields[0].0, "\"next\"");
        assert_eq!(fields[1].1, fields[2].1);
        let mut reader = SchemaReader::default();
        reader.refer(text).unwrap();
        assert!(
            reader
                .finish(r#"{"type":"array","items":"a.b.Node"}"#)
                .is_ok()
        );
    }

    #[test]
    fn what_is_no_schema_says_why() {
        for (text, part) in [
            ("{", "EOF"),
            ("7", "no type"),
            ("[]", "no branches"),
            ("\"Unknown\"", "there is no type"),
            (r#"{"type":"record","name":"a"}"#, "no fields"),
            (r#"{"type":"fixed","name":"a"}"#, "no size"),
            (r#"{"type":"enum","name":"a","symbols":[]}"#, "no symbols"),
            (
                r#"{"type":"bytes","logicalType":"decimal","scale":-1}"#,
                "scale",
            ),
            (r#"{"items":"int"}"#, "no `type`"),
        ] {
            let error = SchemaReader::default().finish(text).unwrap_err();
            assert!(error.to_string().contains(part), "{text}: {error}");
        }
    }
}
